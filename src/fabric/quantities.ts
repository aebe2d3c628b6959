/** Quantities as people write them; `src/intent/values.ts` reads them. */

/** At most four decimals. */
export const trimmed = (n: number): string => String(Number(n.toFixed(4)))
const units = { T: 1e12, G: 1e9, M: 1e6, K: 1e3 } as const
function formatBits(bits: number): string {
  for (const [unit, scale] of Object.entries(units)) {
    const scaled = bits / scale
    if (scaled >= 1 && Number(scaled.toFixed(3)) === scaled) return `${scaled}${unit}`
  }
  return String(bits)
}
/** bit/s: `500M/100M` = down/up, `300M` both ways. */
export const formatRate = ({ down, up }: { readonly down: number; readonly up: number }): string =>
  down === up ? formatBits(down) : `${formatBits(down)}/${formatBits(up)}`
/** `120ms`; 0 is none. */
export const formatDuration = (ms: number): string => (ms === 0 ? 'none' : `${trimmed(ms)}ms`)

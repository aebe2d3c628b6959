/**
 * `net.ipv4.ip_local_reserved_ports` (Documentation/networking/ip-sysctl.rst): what the kernel gives to no socket that
 * asked for no port. One list of a network namespace for everybody, so ours are added to others' and taken out alone.
 * Texts are as the kernel writes them: `4500,51820-53999`, ascending, '' when empty.
 */
export const reservedPorts = 'net/ipv4/ip_local_reserved_ports'

/** `list`, and all of `more`. */
export const reservedWith = (list: string, more: string): string => written(new Set([...read(list), ...read(more)]))
/** `list` less those of `ours` that weren't in it `before`. */
export function reservedWithout(list: string, ours: string, before: string): string {
  const [own, others] = [read(ours), read(before)]
  return written(new Set([...read(list)].filter((port) => !own.has(port) || others.has(port))))
}

function read(list: string): ReadonlySet<number> {
  const ports = new Set<number>()
  for (const [, first, last = first] of list.matchAll(/(\d+)(?:-(\d+))?/g))
    for (let port = Number(first); port <= Number(last); port++) ports.add(port)
  return ports
}
function written(ports: ReadonlySet<number>): string {
  const spans: { readonly first: number; last: number }[] = []
  for (const port of [...ports].sort((a, b) => a - b)) {
    const span = spans.at(-1)
    if (span?.last === port - 1) span.last = port
    else spans.push({ first: port, last: port })
  }
  return spans.map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`)).join(',')
}

/** The EC2 query protocol's answers. A list is written as `<item>` elements inside the element of its name. */
export type Xml = string | number | boolean | undefined | readonly Xml[] | { readonly [name: string]: Xml }

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' }
export const escaped = (raw: string): string => raw.replace(/[&<>"']/g, (one) => escapes[one]!)

const isList = (value: Xml): value is readonly Xml[] => Array.isArray(value)
export function render(value: Xml): string {
  if (value === undefined) return ''
  if (isList(value)) return value.map((item) => `<item>${render(item)}</item>`).join('')
  if (typeof value !== 'object') return escaped(String(value))
  return Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .map(([name, inner]) => `<${name}>${render(inner)}</${name}>`)
    .join('')
}

const prolog = '<?xml version="1.0" encoding="UTF-8"?>\n'
export const apiVersion = '2016-11-15'
export const answerXml = (action: string, requestId: string, result: Xml): string =>
  `${prolog}<${action}Response xmlns="http://ec2.amazonaws.com/doc/${apiVersion}/">${render({ requestId })}${render(result)}</${action}Response>`
export const refusalXml = (code: string, message: string, requestId: string): string =>
  `${prolog}<Response><Errors><Error>${render({ Code: code, Message: message })}</Error></Errors>${render({ RequestID: requestId })}</Response>`
/** ISO 8601 with milliseconds, as EC2 writes times. */
export const time = (ms: number): string => new Date(ms).toISOString()

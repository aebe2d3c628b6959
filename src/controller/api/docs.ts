/** The API's documentation as one page without scripts or anything from elsewhere: it must open where there is no internet. */

interface Described {
  readonly info: { readonly title: string; readonly version: string; readonly description?: string }
  readonly paths?: object
  readonly components?: { readonly schemas?: object }
}
interface Operation {
  readonly operationId?: string
  readonly summary?: string
  readonly tags?: readonly string[]
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required?: boolean; readonly description?: string }[]
  readonly requestBody?: { readonly content?: Readonly<Record<string, { readonly schema?: unknown }>> }
  readonly responses?: Readonly<
    Record<string, { readonly description?: string; readonly content?: Readonly<Record<string, { readonly schema?: unknown }>> }>
  >
}

const escape = (text: string): string => text.replaceAll(/[&<>"]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[c] ?? c)

/** Text with `code` in it. */
const prose = (text: string): string => escape(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>')

/** A schema as the reader thinks of it: a name that is linked, or `{ a: string, b?: integer }`. */
function shape(schema: unknown, depth = 0): string {
  if (typeof schema !== 'object' || schema === null) return 'any'
  const of = schema as {
    $ref?: string
    type?: string | readonly string[]
    items?: unknown
    properties?: Record<string, unknown>
    required?: readonly string[]
    enum?: readonly unknown[]
    const?: unknown
    anyOf?: readonly unknown[]
    oneOf?: readonly unknown[]
    allOf?: readonly unknown[]
    additionalProperties?: unknown
  }
  if (of.$ref) {
    const name = of.$ref.split('/').at(-1) ?? ''
    return `<a href="#schema-${escape(name)}">${escape(name)}</a>`
  }
  if (of.enum) return of.enum.map((value) => escape(JSON.stringify(value))).join(' | ')
  if (of.const !== undefined) return escape(JSON.stringify(of.const))
  const several = of.anyOf ?? of.oneOf
  if (several) return several.map((one) => shape(one, depth)).join(' | ')
  if (of.allOf) return of.allOf.map((one) => shape(one, depth)).join(' &amp; ')
  if (of.properties) {
    const pad = '  '.repeat(depth + 1)
    const lines = Object.entries(of.properties).map(
      ([name, member]) => `${pad}${escape(name)}${of.required?.includes(name) ? '' : '?'}: ${shape(member, depth + 1)}`,
    )
    return `{\n${lines.join('\n')}\n${'  '.repeat(depth)}}`
  }
  const types = [of.type ?? 'any'].flat()
  return types.map((type) => (type === 'array' ? `${shape(of.items, depth)}[]` : type === 'object' ? 'object' : escape(type))).join(' | ')
}

function operation(method: string, path: string, of: Operation): string {
  const parameters = (of.parameters ?? []).map(
    ({ name, in: where, required, description }) =>
      `<tr><td><code>${escape(name)}</code></td><td>${escape(where)}${required ? '' : ', optional'}</td><td>${prose(description ?? '')}</td></tr>`,
  )
  const request = of.requestBody?.content?.['application/json']?.schema
  const answers = Object.entries(of.responses ?? {}).map(([status, { description, content }]) => {
    const [type, body] = Object.entries(content ?? {})[0] ?? []
    const shown = body?.schema && type !== 'application/problem+json' ? `<pre>${shape(body.schema)}</pre>` : ''
    return `<tr><td><code>${escape(status)}</code></td><td>${prose(description ?? '')}${type && type !== 'application/json' ? ` <small>${escape(type)}</small>` : ''}${shown}</td></tr>`
  })
  return [
    `<section id="${escape(of.operationId ?? '')}"><h3><code><b>${method.toUpperCase()}</b> ${escape(path)}</code></h3><p>${prose(of.summary ?? '')}</p>`,
    parameters.length > 0 ? `<table>${parameters.join('')}</table>` : '',
    request ? `<p>Body</p><pre>${shape(request)}</pre>` : '',
    `<table>${answers.join('')}</table></section>`,
  ].join('\n')
}

export function docsPage(document: Described): string {
  const operations = Object.entries((document.paths ?? {}) as Readonly<Record<string, Readonly<Record<string, Operation>>>>).flatMap(
    ([path, methods]) => Object.entries(methods).map(([method, of]) => ({ method, path, of })),
  )
  const tags = [...new Set(operations.map(({ of }) => of.tags?.[0] ?? 'other'))]
  const schemas = Object.entries(document.components?.schemas ?? {}).map(
    ([name, schema]) => `<section id="schema-${escape(name)}"><h3>${escape(name)}</h3><pre>${shape(schema)}</pre></section>`,
  )
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escape(document.info.title)} API</title>
<style>
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h3 { margin: 2rem 0 .3rem; border-top: 1px solid #8884; padding-top: 1rem }
pre, code { font: 13px/1.45 ui-monospace, monospace }
pre { background: #8881; padding: .6rem .8rem; border-radius: 6px; overflow-x: auto; margin: .3rem 0 }
table { border-collapse: collapse; width: 100% } td { padding: .2rem .8rem .2rem 0; vertical-align: top } td:first-child { width: 10rem; white-space: nowrap }
nav a { margin-right: 1rem } b { color: #06c }
</style></head><body>
<h1>${escape(document.info.title)} API <small>${escape(document.info.version)}</small></h1>
<p>${prose(document.info.description ?? '')} Every request carries <code>Authorization: Bearer cwa_…</code>. The same as <a href="/v1/openapi.json">OpenAPI 3.1</a>.</p>
<nav>${tags.map((tag) => `<a href="#tag-${escape(tag)}">${escape(tag)}</a>`).join('')}<a href="#schemas">schemas</a></nav>
${tags
  .map(
    (tag) =>
      `<h2 id="tag-${escape(tag)}">${escape(tag)}</h2>\n${operations
        .filter(({ of }) => (of.tags?.[0] ?? 'other') === tag)
        .map(({ method, path, of }) => operation(method, path, of))
        .join('\n')}`,
  )
  .join('\n')}
<h2 id="schemas">schemas</h2>
${schemas.join('\n')}
</body></html>
`
}

/** Networks to spoil: the demo, and every case, sound ones several times. And the keys and values that are written in them. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMap, isPair, isScalar, parseDocument, visit } from 'yaml'
import type { SourceFile } from '#src/intent/yaml.ts'

export type Network = readonly SourceFile[]

const root = join(import.meta.dirname, '..', '..')
const folder = (path: string): Network =>
  readdirSync(join(root, path))
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .map((name) => ({ path: name, text: readFileSync(join(root, path, name), 'utf8') }))

const cases = readdirSync(join(root, 'test', 'cases'), { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !existsSync(join(root, 'test', 'cases', entry.name, 'source.txt')))
  .map((entry) => join('test', 'cases', entry.name))
  .sort()
const isSound = (path: string): boolean => existsSync(join(root, path, 'ok.txt'))

/** What holds, and reaches every stage. */
export const sound: readonly Network[] = ['sites/demo', 'test/networks/branches', ...cases.filter(isSound)].map(folder)
/** What is refused already. */
export const refused: readonly Network[] = cases.filter((path) => !isSound(path)).map(folder)

/** Values by the key that they were written under, as YAML on one line; keys. */
function read(all: readonly Network[]) {
  const values = new Map<string, Set<string>>()
  const note = (key: string, value: string) => values.set(key, (values.get(key) ?? new Set<string>()).add(value))
  for (const { text } of all.flat()) {
    visit(parseDocument(text, { uniqueKeys: false }), (_, node) => {
      if (!isPair(node) || !isScalar(node.key)) return
      const key = String(node.key.value)
      if (isScalar(node.value)) note(key, String(node.value.value))
      else if (node.value !== null) note(key, JSON.stringify(node.value))
      if (isMap(node.value)) for (const pair of node.value.items) if (isScalar(pair.key)) note('', String(pair.key.value))
    })
  }
  return { keys: [...values.keys()], values: new Map([...values].map(([key, texts]) => [key, [...texts]])) }
}
export const words = read([...sound, ...refused])

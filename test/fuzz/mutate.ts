/**
 * A network that went wrong: what a hand, an editor, a merge or a broken disk makes of one that was written well. Bytes,
 * tokens and lines give what is no YAML any more; changes of the structure give what is, and gets further.
 */
import { type Document, isCollection, isMap, isPair, isScalar, isSeq, type Node, type Pair, parseDocument, type Scalar, visit, YAMLSeq } from 'yaml'
import { depthLimit } from '#src/intent/yaml.ts'
import { type Network, refused, sound, words } from './corpus.ts'
import { type Dice, dice } from './dice.ts'

type Mutation = (files: Network, roll: Dice) => Network

/** The same seed gives the same network. */
export function spoiled(seed: number): { readonly from: Network; readonly files: Network; readonly by: readonly string[] } {
  const roll = dice(seed)
  const from = roll.of(roll.once(8) ? refused : sound)
  let files = from
  const by: string[] = []
  // One slip or two leave a network that may still be compiled and proven; many show how well an answer is given at all.
  const kinds = roll.of([[rough], [rough, fine, gentle], [fine, gentle], [gentle], [gentle]])
  for (let left = 1 + roll(roll.once(4) ? 12 : 3); left > 0 && files.length > 0; left--) {
    const name = roll.of(roll.of(kinds))
    files = mutations[name](files, roll)
    by.push(name)
  }
  return { from, files, by }
}

const tokens = [
  ['\t', '\n', '\r\n', ': ', '- ', '{', '}', '[', ']', '"', "'", '&a ', '*a', '!!binary ', '!!int ', '<<: ', '| ', '>-\n', '# ', '? ', '%'],
  ['---\n', '...\n', '\0', '\uFEFF', '\u2028', '\uD800', '\u0085', 'null', '~', '__proto__: ', 'constructor: ', '0x10', '-0', '1e400', '.nan'],
  ['.inf', '->', '/', '/0', 'same/', 'label:', 'é', '１', '10.0.0.0/8', '::/0', 'tcp/0', 'udp/65536', '100%', '9'.repeat(400)],
].flat()

const edit = (files: Network, roll: Dice, change: (text: string) => string): Network => {
  const at = roll(files.length)
  return files.map((file, n) => (n === at ? { ...file, text: change(file.text) } : file))
}
const lines = (files: Network, roll: Dice, change: (lines: string[]) => readonly string[]): Network =>
  edit(files, roll, (text) => change(text.split('\n')).join('\n'))

/** A number that no file has in its name: two of one name are no folder. */
const unused = (files: Network): number => {
  let number = files.length
  while (files.some(({ path }) => path.includes(`-${number}.`))) number++
  return number
}

/** On a file that is still YAML; any other stays as it is. */
const structure = (files: Network, roll: Dice, change: (document: Document.Parsed, pick: Picks) => void): Network =>
  edit(files, roll, (text) => {
    try {
      const document = parseDocument(text, { uniqueKeys: false })
      if (document.errors.length > 0) return text
      change(document, picksOf(document))
      return document.toString()
    } catch {
      // An alias before its anchor, a key that is a map: the library won't write every tree.
      return text
    }
  })
interface Picks {
  readonly pairs: readonly Pair<Scalar, Node>[]
  readonly scalars: readonly Scalar[]
  readonly collections: readonly Node[]
}
function picksOf(document: Document.Parsed): Picks {
  const picks = { pairs: [] as Pair<Scalar, Node>[], scalars: [] as Scalar[], collections: [] as Node[] }
  visit(document, (key, node) => {
    if (isPair(node) && isScalar(node.key)) picks.pairs.push(node as Pair<Scalar, Node>)
    if (isScalar(node) && key !== 'key') picks.scalars.push(node)
    if (isCollection(node)) picks.collections.push(node)
  })
  return picks
}
/** Written under this key somewhere, or under any. */
const valueFor = (document: Document.Parsed, key: string, roll: Dice): Node => {
  const texts = (roll.once(4) ? undefined : words.values.get(key)) ?? words.values.get(roll.of(words.keys))!
  const text = roll.of(texts)
  try {
    return document.createNode(parseDocument(text).toJS())
  } catch {
    return document.createNode(text)
  }
}

const mutations = {
  'flip a byte': (files, roll) =>
    edit(files, roll, (text) => {
      const bytes = Buffer.from(text)
      if (bytes.length > 0) bytes[roll(bytes.length)]! ^= 1 << roll(8)
      return bytes.toString('utf8')
    }),
  'insert a token': (files, roll) =>
    edit(files, roll, (text) => {
      const at = roll(text.length + 1)
      return text.slice(0, at) + roll.of(tokens) + text.slice(at)
    }),
  cut: (files, roll) =>
    edit(files, roll, (text) => {
      const at = roll(text.length + 1)
      return text.slice(0, at) + text.slice(at + 1 + roll(40))
    }),
  'end early': (files, roll) => edit(files, roll, (text) => text.slice(0, roll(text.length + 1))),
  repeat: (files, roll) =>
    edit(files, roll, (text) => {
      const at = roll(text.length + 1)
      return text.slice(0, at + roll(80)) + text.slice(at)
    }),
  'join two files': (files, roll) =>
    edit(files, roll, (text) => {
      const other = roll.of(roll.of(sound)).text
      return text.slice(0, roll(text.length + 1)) + other.slice(roll(other.length + 1))
    }),
  'move a line': (files, roll) => {
    const [from] = roll
      .of(files)
      .text.split('\n')
      .toSorted(() => roll(3) - 1)
    return lines(files, roll, (all) => all.toSpliced(roll(all.length + 1), roll(2), from ?? ''))
  },
  'swap two lines': (files, roll) =>
    lines(files, roll, (all) => {
      const [a, b] = [roll(all.length), roll(all.length)]
      return all.with(a, all[b]!).with(b, all[a]!)
    }),
  'indent a line': (files, roll) =>
    lines(files, roll, (all) => {
      const at = roll(all.length)
      return all.with(at, roll.once(2) ? `${' '.repeat(1 + roll(4))}${all[at]}` : all[at]!.replace(/^ {1,2}/, ''))
    }),
  'nest deeply': (files, roll) =>
    edit(files, roll, (text) => {
      const [open, close] = roll.of([
        ['[', ']'],
        ['{a: ', '}'],
        ['- ', ''],
        ['? ', ''],
      ] as const)
      const deep = roll.of([depthLimit - 2, depthLimit + 2, 1_000, 30_000])
      const at = text.indexOf(': ', roll(text.length + 1)) + 2
      return `${text.slice(0, at)}${open.repeat(deep)}${roll.once(2) ? close.repeat(deep) : ''}${text.slice(at)}`
    }),
  'aliases of aliases': (files, roll) =>
    edit(files, roll, (text) => {
      const many = 2 + roll(9)
      const levels = Array.from({ length: many }, (_, n) => `a${n}: &a${n} [${n === 0 ? 'lol' : `*a${n - 1}, `.repeat(many)}]`)
      return roll.once(2) ? `${levels.join('\n')}\n${text}` : `${text}\nallow: [${levels.map((_, n) => `&b${n} [*b${Math.max(0, n - 1)}]`).join()}]\n`
    }),
  'lose a file': (files, roll) => files.toSpliced(roll(files.length), 1),
  'copy a file': (files, roll) => [...files, { ...roll.of(files), path: `copy-${unused(files)}.yaml` }],
  'borrow a file': (files, roll) => {
    const file = roll.of(roll.of(sound))
    return [...files.filter((one) => one.path !== file.path), file]
  },
  'drop a key': (files, roll) =>
    structure(files, roll, (_, { collections }) => {
      const from = roll.of(collections)
      if (isMap(from) || isSeq(from)) from.items.splice(roll(from.items.length), 1)
    }),
  'write a key twice': (files, roll) =>
    structure(files, roll, (_, { collections }) => {
      const from = roll.of(collections)
      if (isMap(from)) from.items.push(roll.of(from.items))
      else if (isSeq(from)) from.items.push(roll.of(from.items))
    }),
  'rename a key': (files, roll) =>
    structure(files, roll, (_, { pairs }) => {
      roll.of(pairs).key.value = roll.of(words.keys)
    }),
  'swap two keys': (files, roll) =>
    structure(files, roll, (_, { pairs }) => {
      const [a, b] = [roll.of(pairs), roll.of(pairs)]
      ;[a.key, b.key] = [b.key, a.key]
    }),
  'swap two values': (files, roll) =>
    structure(files, roll, (_, { pairs }) => {
      const [a, b] = [roll.of(pairs), roll.of(pairs)]
      ;[a.value, b.value] = [b.value, a.value]
    }),
  'another value': (files, roll) =>
    structure(files, roll, (document, { pairs }) => {
      const pair = roll.of(pairs)
      pair.value = valueFor(document, String(pair.key.value), roll)
    }),
  'another key': (files, roll) =>
    structure(files, roll, (document, { collections }) => {
      const into = roll.of(collections)
      const key = roll.of(words.keys)
      if (isMap(into)) into.items.push(document.createPair(key, valueFor(document, key, roll)))
    }),
  'another word': (files, roll) =>
    structure(files, roll, (_, { scalars }) => {
      roll.of(scalars).value = roll.of(words.values.get(roll.of(words.keys))!)
    }),
  'another number': (files, roll) =>
    structure(files, roll, (_, { scalars }) => {
      const numbers = scalars.filter((one) => /\d/.test(String(one.value)))
      if (numbers.length === 0) return
      const one = roll.of(numbers)
      const places = [...String(one.value).matchAll(/\d+/g)]
      const { index, 0: digits } = roll.of(places)
      const number = roll.of([0, 1, 7, 31, 32, 64, 128, 255, 256, 65_535, 65_536, Number(digits) + 1, Math.max(0, Number(digits) - 1), 2 ** 53])
      one.value = `${String(one.value).slice(0, index)}${number}${String(one.value).slice(index + digits.length)}`
    }),
  'a list of one': (files, roll) =>
    structure(files, roll, (_, { pairs }) => {
      const pair = roll.of(pairs)
      const list = new YAMLSeq<Node>()
      list.items.push(pair.value!)
      pair.value = list
    }),
  'an alias': (files, roll) =>
    structure(files, roll, (document, { pairs }) => {
      const [from, to] = [roll.of(pairs), roll.of(pairs)]
      if (from.value) to.value = document.createAlias(from.value as Scalar, `x${roll(9)}`)
    }),
  'a value of another place': (files, roll) => {
    const other = parseDocument(roll.of(files).text, { uniqueKeys: false })
    const { pairs } = other.errors.length > 0 ? { pairs: [] } : picksOf(other)
    if (pairs.length === 0) return files
    const taken = roll.of(pairs)
    return structure(files, roll, (_, mine) => {
      const same = mine.pairs.filter((pair) => pair.key.value === taken.key.value)
      roll.of(same.length > 0 ? same : mine.pairs).value = taken.value
    })
  },
  'another value of this key': (files, roll) =>
    structure(files, roll, (document, { pairs }) => {
      const pair = roll.of(pairs)
      const texts = words.values.get(String(pair.key.value))
      if (texts) pair.value = document.createNode(parseDocument(roll.of(texts)).toJS())
    }),
  'drop an item': (files, roll) =>
    structure(files, roll, (_, { collections }) => {
      const long = collections.filter((one) => isCollection(one) && one.items.length > 1)
      const from = long.length > 0 ? roll.of(long) : undefined
      if (isMap(from) || isSeq(from)) from.items.splice(roll(from.items.length), 1)
    }),
  'another order': (files, roll) =>
    structure(files, roll, (_, { collections }) => {
      const from = roll.of(collections)
      if (isMap(from)) from.items.push(...from.items.splice(0, roll(from.items.length)))
      else if (isSeq(from)) from.items.push(...from.items.splice(0, roll(from.items.length)))
    }),
  'a prefix longer or shorter': (files, roll) =>
    edit(files, roll, (text) => {
      const places = [...text.matchAll(/\/(\d+)/g)]
      if (places.length === 0) return text
      const { index, 0: whole, 1: digits } = roll.of(places)
      return `${text.slice(0, index)}/${Math.max(0, Number(digits) + roll(5) - 2)}${text.slice(index + whole.length)}`
    }),
  'an expectation more': (files, roll) => {
    const named = (of: RegExp) =>
      files.flatMap(({ text }) => [...text.matchAll(of)].flatMap(([, list = '']) => list.split(/[\s,]+/).filter((one) => one !== '')))
    const nodes = [...named(/^(?:site|region|peer): *([\w-]+)/gm), 'edge', 'core']
    const segments = named(/^segments: *\[?([\w, -]+)/gm)
    const answering = [...segments, ...named(/^ {2}([\w-]+): *\{ *(?:at|hosts):/gm)]
    if (segments.length === 0) return files
    const [from, to] = [segments, roll.once(3) ? segments : answering].map((all) =>
      roll.once(2) ? roll.of(all) : `${roll.of(nodes)}/${roll.of(all)}`,
    )
    const ways = ['via: lte', 'via: [fiber, isp-a]', 'not: metered', 'symmetric: true', 'bandwidth: 2M/1M']
    const failures = ['uplink', 'tunnel', 'hub', 'gateway', 'connection', 'shared_risk', 'any two uplinks']
    const survives = roll.once(2) ? [`survives: [${failures.filter(() => roll.once(3)).join(', ')}]`] : []
    const more = {
      isolate: [],
      reach: [...survives, ...(roll.once(3) ? ['within: 1200ms'] : []), ...(roll.once(3) ? [roll.of(ways)] : [])],
      'reach-all': survives,
      path: [...survives, roll.of(ways)],
    }
    const kind = roll.of(['isolate', 'reach', 'reach-all', 'path'] as const)
    const line = `{ ${[`${kind}: ${from} -> ${roll.once(8) && kind !== 'path' ? 'internet' : to}`, ...more[kind]].join(', ')} }`
    return files.map((file) => ({
      ...file,
      text: /^network:/m.test(file.text)
        ? /^expect:$/m.test(file.text)
          ? file.text.replace(/^expect:$/m, `expect:\n  - ${line}`)
          : `${file.text}\nexpect:\n  - ${line}\n`
        : file.text,
    }))
  },
  'a second gateway': (files, roll) => {
    const spokes = files.filter(({ text }) => /^site: /m.test(text) && /^uplinks: *\{?/m.test(text) && !/^role: core/m.test(text))
    if (spokes.length === 0) return files
    const one = roll.of(spokes)
    const second = roll.of(['lte: { interface: wwan0 }', 'fiber: { interface: eth0 }', 'cable: { interface: eth0, rate: 1M, family: both }'])
    // The first takes the uplinks as they stand, one level deeper.
    const text = one.text.replace(
      /^uplinks:(.*(?:\n(?: +.*)?)*)/m,
      (_, own: string) => `gateways:\n  b: { uplinks: { ${second} } }\n  a:\n    uplinks:${own.replaceAll('\n', '\n    ').trimEnd()}\n`,
    )
    return files.map((file) => (file === one ? { ...file, text } : file))
  },
  'a site more': (files, roll) => {
    const edges = files.filter(({ text }) => /^site: /m.test(text) && !/^role: core/m.test(text))
    if (edges.length === 0) return files
    const number = unused(files)
    const name = `more-${number}`
    const text = roll
      .of(edges)
      .text.replace(/^site: .*$/m, `site: ${name}`)
      .replaceAll(/\b10\.1\.\d+\.|\b192\.168\.\d+\./g, (net) => (net.startsWith('10.') ? `10.1.${100 + number}.` : `192.168.${100 + number}.`))
    return [...files, { path: `${name}.yaml`, text }]
  },
  'a name changed everywhere': (files, roll) => {
    const names = files.flatMap(({ text }) => [...text.matchAll(/^(?:site|region|peer|network): *([\w-]+)/gm)].map((found) => found[1]!))
    if (names.length === 0) return files
    const was = roll.of(names)
    const is = roll.of(['a', 'zz-9', 'x'.repeat(40), `${was}-b`, roll.of(names), 'edge-1', 'constructor'])
    return files.map(({ path, text }) => ({ path, text: text.replaceAll(new RegExp(`\\b${was}\\b`, 'g'), is) }))
  },
} satisfies Readonly<Record<string, Mutation>>
const all = Object.keys(mutations) as (keyof typeof mutations)[]
const [second, third] = [all.indexOf('lose a file'), all.indexOf('a value of another place')]
/** Those after which most files are no YAML; no network; a network still, often enough. */
const [rough, fine, gentle] = [all.slice(0, second), all.slice(second, third), all.slice(third)]

import { describe, expect, it } from 'vitest'
import { apiOwner, type Fragment, handedOver, identityOf, isPulled, readPulled, renderPulled, standingOf } from '#src/intent/fragments.ts'
import { parseIntent } from '#src/intent/parse.ts'
import { small } from './files.ts'

const fragment = (owner: string, path: string, declares: readonly string[], text = `site: ${path}\n`): Fragment => ({
  owner,
  path,
  declares,
  text,
  since: 3,
})
const of = (text: string) => identityOf([{ path: 'a.yaml', text }])

describe('whose files these are', () => {
  it.each([
    ['the network says it', 'network: acme\nsegments: inference\n', { owner: 'folder:acme', network: 'acme' }],
    ['in any spelling of YAML', '{ segments: x, "n\\u0065twork": acme }', { owner: 'folder:acme', network: 'acme' }],
    ['the folder says it', 'folder: cloud\nof: acme\n', { owner: 'folder:cloud', network: 'acme' }],
    ['a site alone does not', 'site: berlin\nuplinks: { network: x }\n', null],
    ['nor does what is no name', 'network: Acme!\n', null],
    ['nor does half a folder file', 'folder: cloud\n', null],
    ['nor does what is no YAML', 'network: [', null],
  ])('%s', (_what, text, identity) => expect(of(text)).toEqual(identity))
  it('the folder wins over the network, in whichever order', () => {
    const files = [
      { path: 'network.yaml', text: 'network: acme\n' },
      { path: 'folder.yaml', text: 'folder: core\nof: acme\n' },
    ]
    for (const order of [files, [...files].reverse()]) expect(identityOf(order)).toEqual({ owner: 'folder:core', network: 'acme' })
  })
  it('what was pulled says nothing of oneself', () => {
    expect(identityOf([renderPulled({ owner: 'folder:core', path: 'network.yaml', text: 'network: acme\n', since: 1 })])).toBeNull()
  })
})

describe('what causeway pull writes', () => {
  const of = { owner: 'api:cloud-team', path: 'aws.yaml', text: '\n# ours\nregion: aws\r\n', since: 41 }
  it('is read back as it was, comments and line ends too', () => {
    const { path, text } = renderPulled(of)
    expect(path).toBe('pulled/api-cloud-team/aws.yaml')
    expect(text.split('\n')[0]).toMatch(/^# api:cloud-team owns this since generation 41 \([0-9a-f]{12}\)\. Read-only: `causeway pull` writes it\.$/)
    expect(readPulled(text)).toEqual({ owner: of.owner, since: 41, text: of.text })
  })
  it('is known to be edited wherever it was', () => {
    const { text } = renderPulled(of)
    for (const edited of [`${text} `, text.replace('# ours', '# mine'), text.replace('cloud-team', 'core-team'), text.replace('41', '42'), of.text])
      expect(readPulled(edited)).toBeNull()
  })
  it.each([
    ['../../etc/passwd', 'pulled/api-cloud-team/..%2F..%2Fetc%2Fpasswd.yaml'],
    ['eu/aws.yaml', 'pulled/api-cloud-team/eu%2Faws.yaml.yaml'],
    ['..', 'pulled/api-cloud-team/...yaml'],
    ['.hidden.yaml', 'pulled/api-cloud-team/.hidden.yaml.yaml'],
    ['a\nb.yaml', 'pulled/api-cloud-team/a%0Ab.yaml.yaml'],
  ])('stays in its place when its owner calls it %j', (path, place) => {
    const pulled = renderPulled({ ...of, path })
    expect(pulled.path).toBe(place)
    expect(isPulled(pulled.path)).toBe(true)
  })
  it('names owners without spaces or line ends', () => {
    expect(apiOwner('cloud team\nof: x')).toBe('api:cloud%20team%0Aof%3A%20x')
    expect(readPulled(renderPulled({ ...of, owner: apiOwner('cloud team') }).text)).toMatchObject({ owner: 'api:cloud%20team' })
  })
  it('compiles to the same as if it were one folder', () => {
    const alone = parseIntent(small())
    const theirs = small().map(({ path, text }) => renderPulled({ owner: 'folder:acme', path, text, since: 1 }))
    const parted = parseIntent([{ path: 'folder.yaml', text: 'folder: cloud\nof: acme\n' }, ...theirs])
    expect(parted.findings).toEqual([])
    expect(parted.intent).toEqual(alone.intent)
  })
})

describe('one plan of several owners', () => {
  const all = [
    fragment('folder:acme', 'network.yaml', ['network/acme', 'region/aws']),
    fragment('folder:acme', 'berlin.yaml', ['site/berlin']),
    fragment('folder:cloud', 'oslo.yaml', ['site/oslo']),
  ]
  it('leaves the others what they said', () => {
    expect(standingOf(all, 'folder:cloud', [])).toEqual({ others: all.slice(0, 2), torn: [] })
  })
  it('takes a file whole or not at all', () => {
    expect(standingOf(all, 'folder:cloud', ['site/berlin'])).toEqual({ others: [all[0]], torn: [] })
    expect(standingOf(all, 'folder:cloud', ['region/aws']).torn).toEqual([{ fragment: all[0], missing: ['network/acme'] }])
    expect(standingOf(all, 'folder:cloud', ['region/aws', 'network/acme'])).toEqual({ others: [all[1]], torn: [] })
  })
  it('says what goes from whom to whom, and not what comes and goes', () => {
    const after = [fragment('folder:cloud', 'a.yaml', ['site/oslo', 'site/berlin']), fragment('folder:acme', 'b.yaml', ['site/new'])]
    expect(handedOver(all, after)).toEqual([{ thing: 'site/berlin', from: 'folder:acme', to: 'folder:cloud' }])
  })
})

describe('a folder without the network', () => {
  it('says what it lacks until it has pulled', () => {
    const { findings } = parseIntent([{ path: 'folder.yaml', text: 'folder: cloud\nof: acme\n' }])
    expect(findings).toMatchObject([
      { code: 'I003', says: 'nothing is known here of network "acme"', instead: 'its own folder is applied first; then, here: causeway pull' },
    ])
  })
  it('is named once', () => {
    const folder = (path: string) => ({ path, text: 'folder: cloud\nof: acme\n' })
    expect(parseIntent(small(folder('a.yaml'), folder('b.yaml'))).findings).toMatchObject([{ code: 'I009', says: 'a second file names the folder' }])
  })
})

import { describe, expect, it } from 'vitest'
import type { Finding, Origin } from '#src/fabric/fabric.ts'
import { renderFindings, sortFindings } from '#src/intent/render.ts'
import { check, demo, network, small } from './files.ts'

const finding = (more: Partial<Finding>): Finding => ({
  code: 'I031',
  severity: 'error',
  at: ['here'],
  says: 'it is wrong',
  instead: '',
  witness: [],
  ...more,
})
const at = (file: string, line: number, column: number): Origin => ({ file, line, column, length: 1 })
const render = (findings: readonly Finding[], origins: Record<string, Origin>, text: string, options: { colour?: boolean; outcome?: string } = {}) =>
  renderFindings(findings, new Map(Object.entries(origins)), [{ path: 'a.yaml', text }], { colour: false, ...options })

describe('what causeway check prints', () => {
  it('is the form of the manual', () => {
    const files = demo.map(({ path, text }) => ({
      path,
      text:
        path === 'berlin.yaml'
          ? text.replace('10.1.10.0/24 } # the', '10.1.10.4/24 } # the')
          : path === 'network.yaml'
            ? text.replace('hubs: [frankfurt, dublin]', 'hubs: [frankfurt, dubln]')
            : text,
    }))
    expect(check(files)).toBe(
      [
        'error[I031] berlin.yaml:7:43  prefix 10.1.10.4/24 has host bits set',
        '  7 │   inference: { interface: eth1, prefixes: 10.1.10.4/24 } # the gateway is the first host, 10.1.10.1, unless `address:` says otherwise',
        '    │                                           ^ write 10.1.10.0/24, and address: 10.1.10.4 if the gateway has that one',
        'error[I012] network.yaml:11:19  hub "dubln" is not a site; did you mean "dublin"?',
        '2 errors, nothing verified',
        '',
      ].join('\n'),
    )
  })
  it('is nothing when all is well', () => {
    expect(check(demo)).toBe('')
  })
  it('has the line of the file once more for every place that a finding names', () => {
    const files = small({ path: 'twin.yaml', text: 'site: berlin\nuplinks: { fiber: { interface: eth0 } }\n' })
    expect(check(files)).toBe(
      [
        'error[I009] twin.yaml:1:7  site "berlin" is declared twice',
        '  1 │ site: berlin',
        '    │       ^ keep one, or give one of them another name',
        '    │ see berlin.yaml:1:7',
        '1 error, nothing verified',
        '',
      ].join('\n'),
    )
  })
  it('shows witnesses below the line', () => {
    const text = 'one\nexpect: something\n'
    expect(
      render(
        [finding({ code: 'V001', witness: ['if frankfurt fails: berlin → dublin is over lte', 'which class bulk never uses'] })],
        { here: at('a.yaml', 2, 9) },
        text,
      ),
    ).toBe(
      [
        'error[V001] a.yaml:2:9  it is wrong',
        '  2 │ expect: something',
        '    │         ^',
        '      if frankfurt fails: berlin → dublin is over lte',
        '      which class bulk never uses',
        '1 error',
        '',
      ].join('\n'),
    )
  })
  it('needs no place', () => {
    expect(render([finding({ at: [], instead: 'write one' })], {}, '')).toBe('error[I031] it is wrong\n    │ write one\n1 error, nothing verified\n')
    // A key without an origin, as of a default, is no place either.
    expect(render([finding({ at: ['nowhere'] })], {}, '')).toBe('error[I031] it is wrong\n1 error, nothing verified\n')
  })
  it('counts, and says what follows', () => {
    const all = [
      finding({}),
      finding({ severity: 'warning', code: 'I072' }),
      finding({ severity: 'note', code: 'V010' }),
      finding({ severity: 'warning', code: 'I019' }),
    ]
    expect(render(all, {}, '').split('\n').at(-2)).toBe('1 error, 2 warnings, 1 note, nothing verified')
    expect(render(all.slice(1), {}, '').split('\n').at(-2)).toBe('2 warnings, 1 note')
    expect(render(all, {}, '', { outcome: 'nothing touched' }).split('\n').at(-2)).toBe('1 error, 2 warnings, 1 note, nothing touched')
  })
  it('keeps the caret true under tabs, wide lines and three-digit numbers', () => {
    const text = `${'\n'.repeat(99)}\tkey:\tvalue # ünïcode\n`
    expect(render([finding({ instead: 'this' })], { here: at('a.yaml', 100, 7) }, text)).toContain(
      ['  100 │  key: value # ünïcode', '      │       ^ this'].join('\n'),
    )
    const long = `${'x'.repeat(200)}HERE${'y'.repeat(200)}`
    const [, line, caret] = render([finding({ instead: 'this' })], { here: at('a.yaml', 1, 201) }, long).split('\n')
    expect(line!.length).toBeLessThan(160)
    expect(line!.slice(caret!.indexOf('^')).startsWith('HERE')).toBe(true)
  })
  it('never lets a file speak to the terminal', () => {
    const text = 'place: "\u001B[2J\u202Eevil\u0007"\r\n'
    const out = render([finding({ says: 'bad \u001B[31m name', instead: 'fix' })], { here: at('a.yaml', 1, 8) }, text)
    // eslint-disable-next-line no-control-regex
    expect(out).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u202E]/)
    expect(out).toContain('place: "\uFFFD[2J\uFFFDevil\uFFFD"')
  })
  it('is coloured only when asked', () => {
    const files = small(network('mtu: 1\n'))
    expect(check(files)).not.toContain('\u001B')
    expect(render([finding({ instead: 'this' })], { here: at('a.yaml', 1, 1) }, 'x', { colour: true })).toContain('\u001B[31merror[I031]\u001B[0m')
  })
})

it('sorts by file, line and column; what has no place comes last', () => {
  const origins = new Map(Object.entries({ a: at('a.yaml', 10, 1), b: at('a.yaml', 9, 7), c: at('a.yaml', 9, 30), d: at('b.yaml', 1, 1) }))
  const shuffled = ['nowhere', 'd', 'c', 'a', 'b'].map((key) => finding({ at: [key] }))
  expect(sortFindings(shuffled, origins).map((each) => each.at[0])).toEqual(['b', 'c', 'a', 'd', 'nowhere'])
})

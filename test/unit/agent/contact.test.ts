import { expect, test } from 'vitest'
import { createContact } from '#src/agent/contact.ts'
import type { Answer } from '#src/agent/controller.ts'
import { AgentError } from '#src/agent/trouble.ts'
import { configOf } from './networks.ts'

const start = Date.parse('2026-11-23T10:00:00Z')
const triple = { term: 1, generation: 2, revision: 0 }
const answered = (more: object = {}): Answer => ({
  status: 200,
  body: { assigned: null, trustVersion: 3, serverTime: '2026-11-23T09:00:00.000Z', reportEverySeconds: 5, ...more },
  problem: null,
})
const refused = (status: number, code: string): Answer => ({ status, body: {}, problem: { code, detail: 'No', instead: 'Ask' } })

/** A box whose controller gives these answers; an Error: it is away. */
function box(...answers: (Answer | Error)[]) {
  let now = start
  const [sent, log, did]: [object[], string[], string[]] = [[], [], []]
  const asked = (name: string) => ({
    order: async () => void did.push(`${name} ordered`),
    report: () => ({ of: name }) as never,
    told: (what: unknown) => did.push(`${name} told ${JSON.stringify(what)}`),
  })
  const contact = createContact({
    controller: {
      async call({ body }) {
        sent.push(body as object)
        const next = answers.shift()!
        if (next instanceof Error) throw next
        return next
      },
    },
    session: { identity: () => ({ site: 'berlin' }) as never, renewTrust: async (version) => void did.push(`trust ${version}`) },
    reporter: { compose: async ({ headlessSince }) => ({ report: { headlessSince } as never, delivered: () => did.push('delivered') }) },
    driller: asked('drill'),
    measurer: asked('test'),
    drain: { report: () => null },
    clock: { now: () => now, atLeast: (ms) => (now = Math.max(now, ms)) },
    log: (event, text) => log.push(`${event} ${text}`),
    now: () => ({ config: configOf('berlin'), interfaces: [], findings: [] }),
    signal: new AbortController().signal,
  })
  /** As the agent does; what the report threw. */
  const report = async () => {
    try {
      await contact.report()
      return undefined
    } catch (error) {
      contact.lost(error)
      return error
    }
  }
  return { contact, report, sent, log, did, pass: (ms: number) => (now += ms), now: () => now }
}

test('what was asked goes with a report, and its answer says what is assigned and when to come again', async () => {
  const { contact, report, sent, did } = box(
    answered({ assigned: { triple, hash: 'a' }, reportEverySeconds: 20 }),
    answered({ reportEverySeconds: 0.1 }),
  )
  await report()
  expect(sent).toEqual([{ headlessSince: null, drill: { of: 'drill' }, measured: { of: 'test' } }])
  expect(did).toEqual(['delivered', 'trust 3', 'drill told {"of":"drill"}', 'test told {"of":"test"}'])
  expect([contact.assigned(), contact.reportEveryMs(), contact.leaving()]).toEqual([triple, 20_000, ''])
  await report()
  expect([contact.assigned(), contact.reportEveryMs()]).toEqual([null, 500])
})
test('an order is taken, and what was told before it is not forgotten', async () => {
  const signed = { payload: '', signatures: [] }
  const { report, did } = box(answered({ drill: signed, measure: signed }))
  await report()
  expect(did.slice(2)).toEqual(['drill ordered', 'test ordered'])
})
test.each([
  [{ wipe: true }, 'site berlin is decommissioned'],
  [{ wipe: true, replaced: true }, 'another box is the one of berlin now'],
  [{ replaced: true }, ''],
])('%j: leaving is %j', async (more, why) => {
  const { contact, report } = box(answered(more))
  await report()
  expect(contact.leaving()).toBe(why)
})
test('without its controller since the first report that failed; says so once for each reason, and when it is back', async () => {
  const away = new AgentError('A05', 'controller can not be reached', 'Check the router', true)
  const { contact, report, sent, log, pass } = box(away, away, new AgentError('A06', 'Something stands between', ''), answered(), away)
  await report()
  pass(7_000)
  await report()
  expect(contact.headlessSince()).toBe('2026-11-23T10:00:00.000Z')
  await report()
  await report()
  expect(contact.headlessSince()).toBeNull()
  await report()
  expect(sent.map((one) => (one as { headlessSince: string | null }).headlessSince)).toEqual([
    null,
    ...Array<string>(3).fill('2026-11-23T10:00:00.000Z'),
    null,
  ])
  expect(log).toEqual([
    'controller [A05] controller can not be reached. Check the router; traffic goes on',
    'controller [A06] Something stands between.; traffic goes on',
    'controller back after 7 s',
    'controller [A05] controller can not be reached. Check the router; traffic goes on',
  ])
})
test.each([
  ['A17', 'that does not know the box', refused(401, '')],
  ['A17', 'that does not serve it', refused(403, '')],
  ['A16', 'in trouble', refused(500, '')],
  ['C051', 'with a reason', refused(403, 'C051')],
  ['A16', 'nobody understands', { status: 200, body: { assigned: 1 }, problem: null }],
])('%s: an answer %s', async (code, _, answer) => {
  const { report, did } = box(answer)
  expect(await report()).toMatchObject({ trouble: { code } })
  expect(did).toEqual([])
})
test('that it reports too fast is no loss of the controller, and nothing counts as told', async () => {
  const { contact, report, did } = box(refused(429, 'C008'))
  expect(await report()).toBeUndefined()
  expect([contact.headlessSince(), did]).toEqual([null, []])
})
test('a clock that stands behind follows the controller', async () => {
  const { report, now } = box(answered({ serverTime: '2026-11-23T11:00:00.000Z' }))
  await report()
  expect(now()).toBe(start + 3_600_000)
})

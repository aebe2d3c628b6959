/**
 * Agents' reports into one controller: real HTTP on loopback, a real PostgreSQL with fsync, fleets of 100, 1,000 and 5,000.
 * As many connections report as fast as they are answered; TLS is left out, for it costs a connection, not a report.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, createServer, request, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostgres } from '#src/controller/postgres.ts'
import { createReports, type Reports } from '#src/controller/reports.ts'
import { migrate, openStore, sites, type Store } from '#src/controller/store/index.ts'
import { Report } from '#src/wire/messages.ts'
import type { Figures } from './measure.ts'

const fleets = [100, 1_000, 5_000] as const
/** Each measurement takes this many reports, so that the largest fleet reports once and the others often. */
const reportsEach = 5_000
/** At once, at the most: what one controller's listener has open in the middle of a report. */
const inFlight = 500

/** What a running edge says: four paths up, nothing new. */
const said = (site: string, n: number): Report => ({
  running: { term: 1, generation: 1, revision: 0 },
  commit: { state: 'idle' },
  keys: [],
  endpoints: [],
  findings: [],
  headlessSince: null,
  paths: [0, 1, 2, 3].map((path) => ({
    tunnel: `${site}.${path}`,
    state: 'UP' as const,
    since: '2026-01-01T00:00:00.000Z',
    rttMs: 30 + (n % 7),
    jitterMs: 1,
    loss: 0,
    classes: path === 0 ? ['realtime'] : [],
  })),
})

async function declared(store: Store, count: number): Promise<void> {
  const rows = Array.from({ length: count }, (_, n) => ({ id: `s${n}`, role: 'edge' as const, state: 'ACTIVE' as const, device: `d${n}` }))
  const fabric = { network: { id: 'bench' }, tunnels: [], sites: rows.map(({ id }) => ({ id, interfaces: [] })) }
  for (let from = 0; from < count; from += 1_000)
    await store.db
      .insertInto('sites')
      .values(rows.slice(from, from + 1_000))
      .execute()
  await store.db.insertInto('network').values({ id: 'bench', head: 1 }).execute()
  await store.db
    .insertInto('generations')
    .values({
      number: 1,
      base: 0,
      intent: '{}',
      fabric: JSON.stringify(fabric),
      fabric_hash: '',
      compiler: '1',
      site_hashes: '{}',
      verdict: 'passed',
      proof: '{}',
      operation_id: 'op',
      created_by: 'bench',
    })
    .execute()
}

/** As the agents' listener does it after TLS: parsed, checked, accepted, answered from the site's row. */
function listener(store: Store, reports: Reports): Server {
  return createServer((incoming, answer) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const site = incoming.url!.slice(1)
      const work = async () => {
        await reports.accept(site, site.replace('s', 'd'), Report.parse(JSON.parse(Buffer.concat(chunks).toString())))
        const row = await sites.get(store.db, site)
        answer.end(JSON.stringify({ reportEverySeconds: row?.report_every }))
      }
      work().catch((error: unknown) => answer.writeHead(500).end(String(error)))
    })
  })
}

async function measure(url: string, count: number): Promise<{ readonly perSecond: number; readonly p95Ms: number }> {
  const { port } = new URL(url)
  const connections = Math.min(count, inFlight)
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  const post = (n: number) =>
    new Promise<void>((resolve, reject) => {
      const site = `s${n % count}`
      const sent = request({ host: '127.0.0.1', port, path: `/${site}`, method: 'POST', agent }, (response) => {
        response.resume().on('end', () => (response.statusCode === 200 ? resolve() : reject(new Error(`the answer is ${response.statusCode}`))))
      })
      sent.on('error', reject)
      sent.end(JSON.stringify(said(site, n)))
    })
  const took: number[] = []
  let next = 0
  const begun = performance.now()
  await Promise.all(
    Array.from({ length: connections }, async () => {
      for (let n = next++; n < reportsEach; n = next++) {
        const at = performance.now()
        await post(n)
        took.push(performance.now() - at)
      }
    }),
  )
  const seconds = (performance.now() - begun) / 1_000
  agent.destroy()
  took.sort((a, b) => a - b)
  return { perSecond: reportsEach / seconds, p95Ms: took[Math.floor(took.length * 0.95)]! }
}

async function fleet(url: string, count: number): Promise<{ readonly perSecond: number; readonly p95Ms: number }> {
  const store = openStore(url, { max: 20 })
  await store.db.deleteFrom('paths').execute()
  await store.db.deleteFrom('sites').execute()
  await store.db.deleteFrom('generations').execute()
  await store.db.deleteFrom('network').execute()
  await declared(store, count)
  const reports = createReports({
    store,
    signals: { facts: async () => {}, reported: async () => {}, region: async () => {} },
    now: () => new Date(),
    log: () => {},
  })
  const server = listener(store, reports)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    return await measure(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, count)
  } finally {
    server.closeAllConnections()
    server.close()
    await reports.close()
    await store.close()
  }
}

export async function run(): Promise<Figures> {
  const folder = mkdtempSync(join(tmpdir(), 'cw-bench-'))
  const postgres = await startPostgres({ folder })
  try {
    const schema = openStore(postgres.url)
    await migrate(schema)
    await schema.close()
    const figures: Record<string, number> = {}
    for (const count of fleets) {
      const { perSecond, p95Ms } = await fleet(postgres.url, count)
      figures[`reports_per_second_at_${count}`] = perSecond
      figures[`p95_ms_at_${count}`] = p95Ms
      // What such a fleet sends: above 1 the controller keeps up.
      figures[`headroom_at_${count}`] = perSecond / (count / sites.reportEvery(count))
    }
    figures['growth_p95_100_to_5000'] = figures['p95_ms_at_5000']! / figures['p95_ms_at_100']!
    figures['growth_cost_per_report_100_to_5000'] = figures['reports_per_second_at_100']! / figures['reports_per_second_at_5000']!
    return figures
  } finally {
    await postgres.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { counted } from '#src/fabric/plural.ts'
import { request } from '../connection.ts'
import { followOperation } from '../operation.ts'
import { exit, type ExitCode, type Output, Stop } from '../output.ts'
import { command } from '../program.ts'
import type { SiteDetailView, SiteView } from '../shapes.ts'
import { ago, clock, columns, when } from '../table.ts'
import { siteLog } from './event.ts'

const readSite = (name: string) => request<SiteDetailView>(`/v1/sites/${encodeURIComponent(name)}`)
const triple = (of: SiteView['running']) => (of ? `${of.generation}.${of.revision}` : '-')

function stateOf(site: SiteView, output: Output): string {
  const colour = site.state === 'ACTIVE' ? 'green' : ['QUARANTINED', 'EXPIRED'].includes(site.state) ? 'red' : 'yellow'
  return output.style(colour, site.state)
}

/** Of a box that is gone nobody knows. */
const pairing = ({ carries, online }: SiteView): string => (carries === null || !online ? '' : carries ? 'carries the LANs' : 'stands by')

export function site(program: Command): void {
  const group = program.command('site').description('onboarding to retirement of a site')

  command(group, 'list', 'every site: state, tunnels, last seen').action(async ({ output }) => {
    const { sites } = await request<{ sites: SiteView[] }>('/v1/sites')
    if (output.json) return output.document('Sites', sites)
    if (sites.length === 0) return output.line('no site yet. Next: causeway apply')
    output.line(
      columns(
        sites.map((one) => [
          one.id,
          one.role,
          stateOf(one, output),
          `${one.tunnels.up}/${counted(one.tunnels.total, 'tunnel')}`,
          `runs ${triple(one.running)}`,
          one.online ? 'online' : `seen ${ago(one.lastSeen)}${one.lastSeen ? ' ago' : ''}`,
          one.finding?.says ?? pairing(one),
        ]),
      ),
    )
  })

  command(group, 'status <site>', 'one site: its box, what it reports, what it waits for').action(async ({ output, args: [name = ''] }) => {
    const one = await readSite(name)
    if (output.json) output.document('Site', one)
    else printSite(one, output)
    return one.state === 'ACTIVE' && one.online && !one.finding ? exit.done : exit.notGreen
  })

  command(group, 'token <site>', 'a bootstrap token: one use, this site only; give it to the installer')
    .option('--hours <n>', 'how long it lives (24; at most 72)')
    .option('-o, --out <file>', 'write the token alone into a file (for a USB stick), mode 0600')
    .action(async ({ output, args: [name = ''], options }) => {
      await handOut(`/v1/sites/${encodeURIComponent(name)}/tokens`, output, options)
      if (!output.json) output.progress(`Follow: causeway site wait ${name}`)
    })

  command(group, 'replace <site>', 'a token for another box; the one that runs goes on until the new one carries its traffic')
    .option('--hours <n>', 'how long it lives (24; at most 72)')
    .option('-o, --out <file>', 'write the token alone into a file (for a USB stick), mode 0600')
    .action(async ({ output, args: [name = ''], options }) => {
      const { operation } = await handOut(`/v1/sites/${encodeURIComponent(name)}/replace`, output, options)
      if (!output.json)
        output.progress(`The new box waits for an approval: causeway site status ${name}. Follow: causeway rollout watch ${operation}`)
    })

  siteLog(group)

  command(group, 'approve <site> <fingerprint>', "yes, this very box: compare the fingerprint with the installer's").action(
    async ({ output, args: [name = '', fingerprint = ''] }) => {
      const accepted = await request<{ operation: string }>(`/v1/sites/${encodeURIComponent(name)}/approve`, {
        method: 'POST',
        body: { fingerprint },
      })
      if (output.json) output.document('Accepted', accepted)
      else output.line(`${name} is approved; its box gets its certificate when it asks again. Follow: causeway site wait ${name}`)
    },
  )

  command(group, 'wait <site>', 'until the site is ACTIVE and its paths are up')
    .option('--timeout <seconds>', 'give up waiting, not the work (600)')
    .action(async ({ output, args: [name = ''], options }): Promise<ExitCode> => {
      const limit = Number(options['timeout'] ?? 600)
      if (!(limit > 0)) throw new Stop(exit.usage, `"${String(options['timeout'])}" is not a number of seconds`, 'write --timeout 600')
      const until = Date.now() + limit * 1000
      let told = ''
      for (;;) {
        const one = await readSite(name)
        const now = `${one.state}${one.tunnels.total > 0 ? `, ${one.tunnels.up} of ${counted(one.tunnels.total, 'tunnel')} up` : ''}${one.finding ? `: ${one.finding.says}` : ''}`
        if (now !== told) {
          told = now
          if (output.json) output.event({ type: 'site', site: name, state: one.state, tunnels: one.tunnels, finding: one.finding })
          else output.progress(`${clock()}  ${name}  ${now}${hint(one)}`)
        }
        if (one.state === 'ACTIVE') {
          if (output.json) output.event({ type: 'result', exit: exit.done })
          else
            output.line(
              `${name} is ACTIVE${one.claims[0] ? `, confirmation code ${one.claims[0].confirmationCode} (the installer sees the same)` : ''}`,
            )
          return exit.done
        }
        if (Date.now() > until)
          throw new Stop(
            exit.timedOut,
            `${name} is still ${one.state} after ${limit} s; the work goes on`,
            `look again: causeway site status ${name}`,
          )
        await sleep(500)
      }
    })

  command(group, 'drain <site>', "take it out of the others' ways for a while: peers send through it last; ends when nothing passes it")
    .option('--for <time>', 'when it is put back by itself: 30m, 2h, 1d (1h)')
    .option('--force', 'also if something is lost that no other hub can carry')
    .action(async ({ output, args: [name = ''], options }) => {
      const accepted = await request<{ operation: string }>(`/v1/sites/${encodeURIComponent(name)}/drain`, {
        method: 'POST',
        body: { seconds: secondsOf((options['for'] as string | undefined) ?? '1h'), force: options['force'] === true },
      })
      return followOperation(accepted.operation, output)
    })

  command(group, 'undrain <site>', 'put it back before its time').action(async ({ output, args: [name = ''] }) => {
    const accepted = await request<{ operation: string }>(`/v1/sites/${encodeURIComponent(name)}/undrain`, { method: 'POST' })
    return followOperation(accepted.operation, output)
  })

  command(group, 'decommission <site>', 'take it out: peers first, last the box wipes its keys')
    .option('--yes', 'do not ask')
    .action(async ({ output, args: [name = ''], options }) => {
      if (!options['yes'] && !output.interactive)
        throw new Stop(exit.usage, 'this ends the site for good, and nobody is there to ask', `say so: causeway site decommission ${name} --yes`)
      if (!options['yes']) {
        const { confirm } = await import('@clack/prompts')
        if ((await confirm({ message: `End site ${name} for good? Its box will wipe its keys.` })) !== true)
          throw new Stop(exit.done, 'nothing was changed')
      }
      const accepted = await request<{ operation: string }>(`/v1/sites/${encodeURIComponent(name)}/decommission`, { method: 'POST' })
      return followOperation(accepted.operation, output)
    })
}

const units: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 }
function secondsOf(text: string): number {
  const [, number, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  if (number === undefined) throw new Stop(exit.usage, `"${text}" is not a length of time`, 'write --for 30m, 2h or 1d')
  return Number(number) * units[unit]!
}

/** Asks for a token and prints what the installer is to do with it; it is not shown again. */
async function handOut(path: string, output: Output, options: Readonly<Record<string, unknown>>): Promise<{ readonly operation: string }> {
  const hours = options['hours'] === undefined ? undefined : Number(options['hours'])
  if (hours !== undefined && !(hours > 0 && hours <= 72))
    throw new Stop(exit.usage, `a token lives up to 72 hours, not "${String(options['hours'])}"`, 'write --hours 24')
  const made = await request<{ token: string; site: string; expiresAt: string; operation: string }>(path, {
    method: 'POST',
    body: hours === undefined ? {} : { hours },
  })
  const out = options['out'] as string | undefined
  if (out !== undefined) writeFileSync(out, `${made.token}\n`, { mode: 0o600 })
  if (output.json) {
    output.document('Token', out === undefined ? made : { ...made, token: undefined, file: out })
    return made
  }
  const end = new Date(made.expiresAt)
  output.progress(
    `One use, this site only, ends ${when(made.expiresAt)} (${Math.round((end.getTime() - Date.now()) / 3_600_000)} h). On the box, as root:`,
  )
  if (out === undefined) output.line(`echo ${made.token} | causeway-agent up`)
  else output.line(`causeway-agent up --token-file ${out}`)
  return made
}

function hint(one: SiteDetailView): string {
  const waiting = one.claims.find((claim) => claim.state === 'claimed')
  if ((one.state === 'CLAIMED' || one.state === 'REPLACING') && waiting)
    return `\n          its ${one.state === 'REPLACING' ? 'new ' : ''}box has fingerprint ${waiting.fingerprint.slice(0, 16)}, code ${waiting.confirmationCode}. If the installer sees the same: causeway site approve ${one.id} ${waiting.fingerprint.slice(0, 16)}`
  if (one.state === 'DECLARED') return `\n          no token yet: causeway site token ${one.id}`
  return ''
}

function printSite(one: SiteDetailView, output: Output): void {
  output.line(
    `${one.id}  ${one.role}  ${stateOf(one, output)} for ${ago(one.stateSince)}  ${one.online ? 'online' : `last seen ${ago(one.lastSeen)}`}${one.headlessSince ? output.style('yellow', `  without controller since ${one.headlessSince}`) : ''}`,
  )
  output.line(`  tunnels   ${one.tunnels.up} of ${one.tunnels.total} up`)
  output.line(
    `  runs      generation ${triple(one.running)}${triple(one.assigned) === triple(one.running) ? '' : `, assigned ${triple(one.assigned)}`}`,
  )
  if (pairing(one) !== '') output.line(`  pair      ${pairing(one)}`)
  if (one.drain)
    output.line(
      `  window    until ${new Date(one.drain.until).toLocaleString()}, ${one.drain.drained ? 'drained' : 'not drained yet'}: ${counted(one.drain.packets, 'packet')} (${counted(one.drain.bytes, 'byte')}) passed since it began`,
    )
  if (one.replacement)
    output.line(
      `  new box   ${one.replacement.device === null ? 'none is approved yet' : one.replacement.takingOver ? 'takes over' : one.replacement.failed === '' ? 'gets ready' : output.style('red', `did not take over: ${one.replacement.failed}`)}`,
    )
  for (const claim of one.claims)
    output.line(
      `  box       ${claim.hostname} (${claim.serial}, ${claim.os}), ${claim.state} ${ago(claim.since)} ago, fingerprint ${claim.fingerprint.slice(0, 16)}, code ${claim.confirmationCode}`,
    )
  if (one.token && !one.token.usedAt && !one.token.replaced) output.line(`  token     good until ${when(one.token.expiresAt)}`)
  for (const finding of [...(one.finding ? [{ ...one.finding, severity: 'error' }] : []), ...one.reported])
    output.line(
      output.style(
        finding.severity === 'error' ? 'red' : 'yellow',
        `  ${finding.code.padEnd(8)}  ${finding.says}${finding.instead ? `: ${finding.instead}` : ''}`,
      ),
    )
  if (one.commit?.why) output.line(`  commit    ${one.commit.state}: ${one.commit.why}`)
  const next = hint(one).trim()
  if (next) output.line(`  next      ${next}`)
}

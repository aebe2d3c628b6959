import type { DeviceDriver } from '#providers/device.ts'
import type { SiteConfig } from '#src/fabric/fabric.ts'
import { openBundle, tripleText } from '#src/wire/bundle.ts'
import { ReportAnswer, Signed } from '#src/wire/messages.ts'
import { checkInterfaces, waysOf } from './box.ts'
import { createController } from './controller.ts'
import { openDisk } from './disk.ts'
import { type Identity, trustOf } from './enrol.ts'
import type { Files } from './files.ts'
import { storedBundle, targetOf } from './session.ts'
import { deviceKey, keyed, openBoxKeys, openWireguardKeys } from './keys.ts'
import { line, troubleOf } from './trouble.ts'
import { bundleSchema } from './version.ts'

export interface DryRunOptions {
  readonly files: Files
  readonly identity: Identity
  /** Prints its commands and runs none. */
  readonly driver: DeviceDriver
  readonly out: (text: string) => void
}

/** `run --dry-run`: what the assigned bundle, or without a controller the confirmed one, would change on this box. */
export async function dryRun(of: DryRunOptions): Promise<number> {
  const { files, identity, driver, out } = of
  const disk = await openDisk(files)
  let config: SiteConfig | null = null
  try {
    config = await assignedConfig(of)
  } catch (error) {
    out(`${line(troubleOf(error))}\n`)
  }
  config ??= (await storedBundle(disk, identity, disk.state().confirmed))?.config ?? null
  if (config === null) {
    out('There is no bundle yet, so there is nothing to do.\n')
    return 0
  }
  const findings = [...checkInterfaces(config, await driver.inventory()), ...(await driver.check(config))]
  for (const one of findings) out(`${line(one)}\n`)
  if (findings.some((one) => one.severity === 'error')) return 1
  const keys = await openBoxKeys(withoutWrites(files), identity)
  await keys.ensure(keyed(config))
  await driver.set(config, { prune: true, choices: [], keys })
  await driver.close()
  out('Nothing was changed.\n')
  return 0
}

async function assignedConfig({ files, identity, driver, out }: DryRunOptions): Promise<SiteConfig | null> {
  const trust = trustOf(identity)
  const pem = (await deviceKey(files)).privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  const controller = createController(targetOf(identity, trust, pem))
  controller.setWays(waysOf(await driver.inventory(), null))
  try {
    const disk = await openDisk(files)
    const report = {
      running: disk.state().confirmed,
      commit: disk.state().commit,
      keys: (await openWireguardKeys(files)).publicKeys(),
      endpoints: [],
      paths: [],
      findings: [],
      headlessSince: null,
    }
    const answer = ReportAnswer.safeParse((await controller.call({ method: 'POST', path: '/v1/report', body: report })).body)
    const triple = answer.success ? answer.data.assigned?.triple : undefined
    if (!triple) return null
    const signed = Signed.safeParse(
      (await controller.call({ method: 'GET', path: `/v1/bundle?term=${triple.term}&generation=${triple.generation}&revision=${triple.revision}` }))
        .body,
    )
    if (!signed.success) return null
    const opened = openBundle(signed.data, trust, {
      network: identity.network,
      site: identity.site,
      device: identity.device,
      running: null,
      now: null,
      schema: bundleSchema,
    })
    if (!opened.ok) {
      out(`${line(opened)}\n`)
      return null
    }
    out(`Bundle ${tripleText(triple)}:\n`)
    return opened.bundle.config as SiteConfig
  } finally {
    controller.close()
  }
}

/** Missing keys are made, as staging would, but not kept. */
const withoutWrites = (files: Files): Files => ({ ...files, write: async () => {}, claim: async () => true, remove: async () => {} })

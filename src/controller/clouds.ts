/** The clouds that this controller can speak to. Credentials are the SDK's business: its own chains read the environment. */
import type { CloudProvider, Clouds } from '#providers/cloud.ts'
import { type CloudTiming, defaultCloudTiming } from '#workflows/contract.ts'

export const cloudProviders = ['aws'] as const

/** In a lab the states of a cloud take seconds, not minutes. */
const labTiming: CloudTiming = { heartbeat: 3_000, settle: 4_000, hold: 3_000, paths: 20_000, drift: 30_000, ask: 2_000 }
const isLab = (env: NodeJS.ProcessEnv): boolean => env['CAUSEWAY_CLOUD_PACE'] === 'lab'

export const cloudTimingOf = (env: NodeJS.ProcessEnv = process.env): CloudTiming => (isLab(env) ? labTiming : defaultCloudTiming)

/** Loaded and made at first use: a controller without regions does without the SDK's 65 MB and half a second of CPU. */
export function openClouds(env: NodeJS.ProcessEnv = process.env): Clouds {
  let aws: Promise<CloudProvider> | undefined
  const load = async (): Promise<CloudProvider> => {
    const { createAwsProvider } = await import('#providers/aws/index.ts')
    return createAwsProvider(isLab(env) ? { timing: { poll: 250, gather: 20, settle: 3_000 } } : {})
  }
  return async (provider) => {
    if (provider !== 'aws') return undefined
    return await (aws ??= load())
  }
}

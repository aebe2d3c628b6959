/** The worker: workflow code bundled once per content, activities from `createActivities`. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { bundleWorkflowCode, DefaultLogger, makeTelemetryFilterString, NativeConnection, Runtime, Worker } from '@temporalio/worker'
import type { ActivityInterceptorsFactory, LogLevel } from '@temporalio/worker'
import { taskQueue } from './contract.ts'
import { createActivities } from './activities/index.ts'
import type { Deps } from './activities/index.ts'

export interface WorkerOptions {
  /** host:port of the Temporal server. */
  readonly address: string
  readonly namespace: string
  readonly deps: Deps
  /** Where the bundle is kept; default `.causeway/cache` of the project. */
  readonly cache?: string
  readonly interceptors?: readonly ActivityInterceptorsFactory[]
  readonly log?: (level: LogLevel, message: string, meta: unknown) => void
}
export interface RunningWorker {
  /** Ends when the worker was shut down, or failed. */
  readonly done: Promise<void>
  /** Lets running activities finish for a few seconds, then returns. */
  close(): Promise<void>
}

export async function startWorker({ address, namespace, deps, cache, interceptors = [], log = () => {} }: WorkerOptions): Promise<RunningWorker> {
  install(log)
  const [codePath, connection] = await Promise.all([workflowBundle(cache), NativeConnection.connect({ address })])
  const worker = await create().catch(async (error: unknown) => {
    await connection.close()
    throw error
  })
  const run = async () => {
    try {
      await worker.run()
    } finally {
      await connection.close()
    }
  }
  const done = run()
  return {
    done,
    close: async () => {
      if (worker.getState() === 'RUNNING') worker.shutdown()
      await done
    },
  }

  function create(): Promise<Worker> {
    return Worker.create({
      connection,
      namespace,
      taskQueue: taskQueue.workflows,
      workflowBundle: { codePath },
      activities: createActivities(deps),
      maxCachedWorkflows: 500,
      // After a SIGKILL the server offers tasks to the dead worker's own queue for this long first.
      stickyQueueScheduleToStartTimeout: '1s',
      shutdownGraceTime: '5s',
      interceptors: { activity: [...interceptors] },
    })
  }
}

let installed = false
/** The SDK has one logger a process. Its native core would write to stderr by itself, and stderr belongs to people. */
function install(log: NonNullable<WorkerOptions['log']>): void {
  if (installed) return
  installed = true
  Runtime.install({
    logger: new DefaultLogger('WARN', ({ level, message, meta }) => log(level, message, meta)),
    telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: 'WARN', other: 'ERROR' }), forward: {} } },
    shutdownSignals: [],
  })
}

/** The project's own folder, also when this file was bundled into another one. */
function projectRoot(): string {
  let at = import.meta.dirname
  while (!existsSync(join(at, 'workflows', 'index.ts'))) {
    const up = dirname(at)
    if (up === at) throw new Error(`the workflows' code is not above ${import.meta.dirname}; reinstall Causeway`)
    at = up
  }
  return at
}

/** Path of the bundled workflow code: webpack takes 1–2 s, so it runs once per content of `workflows/` and SDK version. */
export async function workflowBundle(cache = join(projectRoot(), '.causeway', 'cache')): Promise<string> {
  const workflows = join(projectRoot(), 'workflows')
  const hash = createHash('sha256')
  hash.update(createRequire(join(workflows, 'index.ts'))('@temporalio/worker/package.json').version as string)
  for (const name of (await readdir(workflows)).filter((file) => file.endsWith('.ts')).sort())
    hash.update(name).update(await readFile(join(workflows, name)))
  const path = join(cache, `workflows-${hash.digest('hex').slice(0, 16)}.js`)
  if (existsSync(path)) return path
  const { code } = await bundleWorkflowCode({ workflowsPath: join(workflows, 'index.ts'), logger: new DefaultLogger('ERROR') })
  await mkdir(cache, { recursive: true })
  const unfinished = `${path}.${process.pid}`
  await writeFile(unfinished, code)
  await rename(unfinished, path)
  return path
}

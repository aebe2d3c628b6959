#!/usr/bin/env node
/**
 * Starts the agent on Node 24 from its cached bundle, with a heap as small as a gateway's agent needs. Becomes the agent
 * where this Node can replace itself, so that no second process stays in memory.
 *
 * Of V8's compilers it has Maglev: a hub of the demo takes 6 % of a core with 73 MB resident. In lite mode, which compiles
 * nothing, it took 10 % with as much, and so long for a packet that probes came late; with Turbofan 5 %, and 87 MB.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { bundle, node24 } from './launch.js'

const flags = [
  '--max-semi-space-size=1',
  '--max-old-space-size=48',
  '--optimize-for-size',
  '--no-turbofan',
  '--no-sparkplug',
  // What one compilation takes, 14 MB with inlining and 1.5 without, is resident ever after.
  '--no-maglev-inlining',
  '--v8-pool-size=1',
  '--no-warnings',
]
const environment = { ...process.env, UV_THREADPOOL_SIZE: '2' }
const file = await bundle({
  name: 'causeway-agent',
  entry: 'src/agent/main.ts',
  folders: ['src/agent', 'src/net', 'src/fabric', 'src/path', 'src/wire', 'providers'],
  external: [],
})
const node = existsSync(node24) ? node24 : process.execPath
const args = [...flags, file, ...process.argv.slice(2)]
if (typeof process.execve === 'function') process.execve(node, [node, ...args], environment)
const child = spawn(node, args, { stdio: 'inherit', env: environment })
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
child.on('exit', (code, signal) => {
  if (signal) process.kill(process.pid, signal)
  process.exit(code ?? 1)
})

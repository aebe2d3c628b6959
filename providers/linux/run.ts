/** The one place from which commands are started and kernel files written. Whatever changes the box is printed first. */
import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { readFile, readdir, writeFile } from 'node:fs/promises'
import { DeviceError, finding } from './errors.ts'

export interface Output {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}
export interface RunOptions {
  readonly input?: string
  /** Printed line by line instead of the bare command (a batch); a private key never stands in it. */
  readonly show?: readonly string[]
  readonly timeoutMs?: number
}
export interface Runner {
  /** Runs also under `--dry-run` and prints nothing. A command that cannot be started answers code 127. */
  read(command: readonly string[], options?: RunOptions): Promise<Output>
  /** Prints, and under `--dry-run` does nothing else. Any exit code is an answer; a time-out throws D031. */
  change(command: readonly string[], options?: RunOptions): Promise<Output>
  /** Starts a process that outlives this one, in its own session, with its output in a file; returns its pid. */
  daemon(command: readonly string[], options: { readonly env: Readonly<Record<string, string>>; readonly log: string }): Promise<number>
  /** SIGTERM, to exactly this process: the start time guards against a pid that was given away again. */
  end(process: Started): Promise<void>
  startTime(pid: number): Promise<string | undefined>
  /** A process that is spoken to by lines; null under `--dry-run`. */
  talk(command: readonly string[], heard: (line: string, from: 'stdout' | 'stderr') => void, ended: () => void): Conversation | null
  /** undefined when there is none. */
  readFile(path: string): Promise<string | undefined>
  writeFile(path: string, text: string): Promise<void>
  list(folder: string): Promise<readonly string[]>
  readonly dryRun: boolean
}
export interface Started {
  readonly pid: number
  /** Field 22 of /proc/PID/stat: ticks since boot. */
  readonly startTime: string
}
export interface Conversation {
  say(text: string): void
  close(): void
}

/** Of /proc/PID/stat, from field 3 (state) on: the name before it, in parentheses, may hold spaces. */
export const statFields = (stat: string): readonly string[] => stat.slice(stat.lastIndexOf(')') + 2).split(' ')

const defaultTimeoutMs = 20_000

export interface RunnerOptions {
  readonly dryRun?: boolean
  /** Receives `[#] …` lines; default standard error. */
  readonly echo?: (line: string) => void
}

export function createRunner({ dryRun = false, echo = (line) => void process.stderr.write(`${line}\n`) }: RunnerOptions = {}): Runner {
  const print = (lines: readonly string[]): void => {
    for (const line of lines) echo(`[#] ${line}`)
  }

  function run(command: readonly string[], { input = '', timeoutMs = defaultTimeoutMs }: RunOptions): Promise<Output> {
    return new Promise((resolve, reject) => {
      const child = spawn(command[0]!, command.slice(1), { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C' } })
      let stdout = ''
      let stderr = ''
      let late = false
      const timer = setTimeout(() => {
        late = true
        child.kill('SIGKILL')
      }, timeoutMs)
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text
      })
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        stderr += text
      })
      // A command that ends before it has read its input closes the pipe; its exit code says why.
      child.stdin.on('error', () => {})
      child.stdin.end(input)
      child.on('error', (error) => {
        clearTimeout(timer)
        resolve({ code: 127, stdout, stderr: error.message })
      })
      child.on('close', (code) => {
        clearTimeout(timer)
        if (late)
          reject(
            new DeviceError(
              finding(
                'D031',
                [],
                `"${command.join(' ')}" did not end within ${timeoutMs / 1000} s and was killed`,
                'look whether the box is overloaded or the kernel hangs (dmesg), then apply again',
              ),
            ),
          )
        else resolve({ code: code ?? 1, stdout, stderr })
      })
    })
  }

  const readOrNothing = (path: string): Promise<string | undefined> => readFile(path, 'utf8').catch(() => undefined)
  async function startTime(pid: number): Promise<string | undefined> {
    const fields = statFields((await readOrNothing(`/proc/${pid}/stat`)) ?? '')
    // A zombie has ended; whoever inherited it hasn't looked yet.
    return fields[0] === 'Z' ? undefined : fields[19]
  }

  return {
    dryRun,
    startTime,
    readFile: readOrNothing,
    list: (folder) => readdir(folder).catch(() => []),
    read: (command, options = {}) => run(command, options),
    async change(command, options = {}) {
      print(options.show ?? [command.join(' ')])
      return dryRun ? { code: 0, stdout: '', stderr: '' } : run(command, options)
    },
    async writeFile(path, text) {
      print([`echo ${text} > ${path}`])
      if (dryRun) return
      try {
        await writeFile(path, `${text}\n`)
      } catch (error) {
        throw new DeviceError(
          finding(
            'D030',
            [path],
            `${path} can't be set to ${text}: ${(error as Error).message}`,
            'run the agent as root with CAP_NET_ADMIN in the network namespace that it serves',
          ),
        )
      }
    },
    daemon(command, { env, log }) {
      print([
        `${Object.entries(env)
          .map(([name, value]) => `${name}=${value} `)
          .join('')}${command.join(' ')} &`,
      ])
      if (dryRun) return Promise.resolve(0)
      return new Promise((resolve, reject) => {
        const file = openSync(log, 'a', 0o600)
        const child = spawn(command[0]!, command.slice(1), { detached: true, stdio: ['ignore', file, file], env: { ...process.env, ...env } })
        closeSync(file)
        child.on('error', (error) =>
          reject(
            new DeviceError(finding('D032', [command[0]!], `"${command.join(' ')}" can't be started: ${error.message}`, `install ${command[0]}`)),
          ),
        )
        child.on('spawn', () => {
          child.unref()
          resolve(child.pid!)
        })
      })
    },
    async end({ pid, startTime: started }) {
      print([`kill ${pid}`])
      if (!dryRun && (await startTime(pid)) === started) process.kill(pid, 'SIGTERM')
    },
    talk(command, heard, ended) {
      if (dryRun) return null
      const child = spawn(command[0]!, command.slice(1), { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, LC_ALL: 'C' } })
      for (const from of ['stdout', 'stderr'] as const) {
        let rest = ''
        child[from].setEncoding('utf8').on('data', (text: string) => {
          const lines = (rest + text).split('\n')
          rest = lines.pop()!
          for (const line of lines) heard(line, from)
        })
      }
      child.stdin.on('error', () => {})
      child.on('error', ended)
      child.on('close', ended)
      return {
        say: (text) => void child.stdin.write(text),
        close: () => {
          child.stdin.end()
          child.kill('SIGTERM')
        },
      }
    },
  }
}

/** The first line that tells something, for a sentence. */
export const firstLine = (of: Output): string => (of.stderr.trim() || of.stdout.trim()).split('\n')[0] || `exit code ${of.code}`

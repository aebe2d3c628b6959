import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { attach, type Lab, startLab } from '#src/lab/client.ts'

const sites = resolve('test/networks/branches')
const pings = async (lab: Lab, box: string, to: string) => (await lab.exec(box, ['ping', '-c', '2', '-i', '0.2', '-W', '1', to])).code === 0

/** Processes whose command line or environment names this lab's state folder. */
function processesOf(state: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return pid !== process.pid && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(state)
      } catch {
        return false
      }
    })
}

describe('the lab', () => {
  const state = mkdtempSync(join(tmpdir(), 'cw-lab-test-'))
  let running: Awaited<ReturnType<typeof startLab>>
  beforeAll(async () => {
    running = await startLab({ sites, controllerSocket: '', state, detached: false })
  })
  afterAll(async () => {
    await running.stop()
    rmSync(state, { recursive: true, force: true })
  })

  it('joins every uplink to the internet, and a cut line carries nothing until it is healed', async () => {
    const { lab } = running
    expect(await pings(lab, 'berlin', '192.0.2.10')).toBe(true)
    await lab.line('berlin.fiber', { cut: 'all' })
    expect(await pings(lab, 'berlin', '192.0.2.10')).toBe(false)
    await lab.heal('berlin.fiber')
    expect(await pings(lab, 'berlin', '192.0.2.10')).toBe(true)
  })

  it('drops UDP alone, as some carriers do', async () => {
    const { lab } = running
    await lab.line('madrid.fiber', { cut: 'udp' })
    expect(await pings(lab, 'madrid', '192.0.2.10')).toBe(true)
    const receiver = 'exec timeout 3 socat -u UDP-RECV:5555 STDOUT'
    const heard = lab.exec('frankfurt', ['sh', '-c', receiver])
    await sleep(500)
    await lab.exec('madrid', ['sh', '-c', 'echo lost | socat -u STDIN UDP-SENDTO:192.0.2.10:5555'])
    expect((await heard).stdout).toBe('')
    await lab.heal('all')
    const again = lab.exec('frankfurt', ['sh', '-c', receiver])
    await sleep(500)
    await lab.exec('madrid', ['sh', '-c', 'echo found | socat -u STDIN UDP-SENDTO:192.0.2.10:5555'])
    expect((await again).stdout).toBe('found\n')
  })

  it('hides LTE behind a NAT', async () => {
    const { lab } = running
    const lte = (await lab.status()).links.find((link) => link.id === 'oslo.lte')
    const seen = lab.exec('frankfurt', ['sh', '-c', 'timeout 3 socat UDP-RECVFROM:5556 SYSTEM:"echo \\$SOCAT_PEERADDR >&2"'])
    await sleep(500)
    await lab.exec('oslo', [
      'sh',
      '-c',
      `echo who | socat -u STDIN UDP-SENDTO:192.0.2.10:5556,bind=${lte?.address.split('/')[0]},interface=${lte?.interface}`,
    ])
    expect((await seen).stderr.trim()).toBe(lte?.nat)
  })

  it('refuses what does not exist, with what does', async () => {
    await expect(running.lab.line('berlin.fibre', { cut: 'all' })).rejects.toMatchObject({
      code: 'L003',
      message: 'there is no link "berlin.fibre" in the lab',
      instead: expect.stringContaining('berlin.fiber'),
    })
    await expect(running.lab.exec('paris', ['true'])).rejects.toMatchObject({ code: 'L002', instead: expect.stringContaining('berlin') })
    await expect(running.lab.stop('nothing')).rejects.toMatchObject({ code: 'L005' })
    await expect(attach('/nonexistent').status()).rejects.toMatchObject({ code: 'L000', instead: 'start one: causeway lab up' })
  })
})

describe('a lab whose parent is killed', () => {
  it('leaves no process behind', async () => {
    const state = mkdtempSync(join(tmpdir(), 'cw-lab-kill-'))
    const program = `
      import { startLab } from ${JSON.stringify(resolve('src/lab/client.ts'))}
      await startLab({ sites: ${JSON.stringify(sites)}, controllerSocket: '', state: ${JSON.stringify(state)}, detached: false })
      process.stdout.write('up')
      setInterval(() => {}, 1000)`
    const parent: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
    await new Promise((up) => parent.stdout!.once('data', up))
    expect(processesOf(state).length).toBeGreaterThan(1)
    parent.kill('SIGKILL')
    for (let tries = 0; tries < 50 && processesOf(state).length > 0; tries++) await sleep(100)
    expect(processesOf(state)).toEqual([])
    rmSync(state, { recursive: true, force: true })
  })
})

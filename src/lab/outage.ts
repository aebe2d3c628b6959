/**
 * `outage.ts URL SECONDS`: asks all the time and prints {"longestMs", "answers", "last"}: the longest time without an
 * answer, in ms between the starts of the answered requests around it, and whether the end was answered.
 */
import { get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

const [url = '', seconds = '10'] = process.argv.slice(2)
const started = performance.now()
const until = started + Number(seconds) * 1000

const ask = (): Promise<boolean> =>
  new Promise((resolve) => {
    const request = get(url, { agent: false, timeout: 700 }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode === 200))
      response.on('error', () => resolve(false))
    })
    request.on('timeout', () => request.destroy())
    request.on('error', () => resolve(false))
  })

let longest = 0
let answers = 0
let before = started
let last = false
while (performance.now() < until) {
  const at = performance.now()
  last = await ask()
  if (last) {
    answers++
    longest = Math.max(longest, at - before)
    before = at
  }
  await sleep(Math.max(0, 150 - (performance.now() - at)))
}
if (!last) longest = Math.max(longest, performance.now() - before)
process.stdout.write(`${JSON.stringify({ longestMs: Math.round(longest), answers, last })}\n`)
process.exit(0)

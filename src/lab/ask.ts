/** `ask.ts URL`: one HTTP request from inside a box; prints {"status", "ms", "body"}. Exit 1 when nothing answered in 5 s. */
import { get } from 'node:http'

const url = process.argv[2] ?? ''
const started = performance.now()
const request = get(url, { timeout: 5000 }, (response) => {
  let body = ''
  response.setEncoding('utf8')
  response.on('data', (text: string) => {
    body += text
  })
  response.on('end', () =>
    process.stdout.write(`${JSON.stringify({ status: response.statusCode, ms: Math.round(performance.now() - started), body })}\n`),
  )
})
request.on('timeout', () => request.destroy(new Error('no answer in 5 s')))
request.on('error', (error) => {
  process.stderr.write(`${url}: ${error.message}\n`)
  process.exitCode = 1
})

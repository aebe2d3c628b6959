/** The demo network as the CLI sends it. */
import { readdirSync, readFileSync } from 'node:fs'

const folder = new URL('../networks/branches/', import.meta.url)
export const demoFiles = (change: (path: string, text: string) => string = (_path, text) => text) =>
  readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .map((path) => ({ path, text: change(path, readFileSync(new URL(path, folder), 'utf8')) }))

/** What every row of the story works with. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Lab } from '../client.ts'
import type { Controller } from './controller.ts'
import type { Claim, Screen } from './screen.ts'

export interface Story {
  readonly screen: Screen
  readonly lab: Lab
  readonly controller: Controller
  readonly sites: string
  readonly state: string
}
/** By the names of the last line of `--json`. */
export type Figures = Record<string, number>

const root = fileURLToPath(new URL('../../../', import.meta.url))
export const program = (path: string): string => join(root, path)
export const claim = (id: string, text: string, measured: number, limit: number, unit: string, ok = measured <= limit): Claim => ({
  id,
  text,
  measured,
  limit,
  unit,
  ok,
})

export interface PathView {
  readonly tunnel: string
  readonly ends: readonly { readonly site: string; readonly uplink: string; readonly state: string; readonly classes: readonly string[] }[]
}
export interface SiteView {
  readonly id: string
  readonly role: string
  readonly state: string
  readonly tunnels: { readonly total: number; readonly up: number }
}
export interface RegionView {
  readonly id: string
  readonly state: string
  readonly tunnels: { readonly total: number; readonly up: number }
  readonly resources: { readonly total: number; readonly ready: number }
  readonly finding: { readonly says: string } | null
}

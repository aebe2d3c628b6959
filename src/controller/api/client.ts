/** For the CLI and the page: the API's types without its code, `hc<App>(url)` of hono/client. */
export type { App } from './app.ts'
export type { LocatedFinding, Proposed } from '../generations.ts'
export type { ProblemDocument } from '../problem.ts'

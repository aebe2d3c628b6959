#!/usr/bin/env node
import { launch } from './launch.js'

await launch({
  name: 'causeway',
  entry: 'src/cli/main.ts',
  folders: ['src', 'providers', 'workflows'],
  // The controller and the lab run from source: their native and worker modules can't be bundled, and `check` needs none.
  external: ['#src/controller/*', '#src/lab/*', 'esbuild'],
  // Commands that import from there while they run, which a script with kept code can't.
  importing: ['serve', 'lab'],
})

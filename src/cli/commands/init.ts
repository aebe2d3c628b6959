import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import type { Command } from 'commander'
import { jsonSchema } from '#src/intent/json-schema.ts'
import { parseName } from '#src/intent/values.ts'
import { exit, Stop } from '../output.ts'
import { command } from '../program.ts'

const networkFile = (name: string) => `# yaml-language-server: $schema=./causeway.schema.json
network: ${name}
hubs: [] # core sites that end tunnels, e.g. [frankfurt, dublin]; each has its own file in this folder
segments: [office] # kept apart unless \`allow\` says otherwise

services: {}
#  model-api: { at: core/office, ports: tcp/8443, class: business }

allow: [] # who may open a connection; replies pass by themselves
#  - edge/office -> model-api

expect: [] # proven before every push
#  - reach: edge/office -> model-api
#    survives: [uplink, hub, tunnel]
`
const exampleSite = `# yaml-language-server: $schema=./causeway.schema.json
# One file a site. Copy this to <name>.yaml and write what is true there; \`causeway check\` says what is missing.
# site: berlin
# uplinks:
#   fiber: { interface: eth0, rate: 500M/100M }
#   lte: { interface: wwan0, rate: 50M/10M }
# segments:
#   office: { interface: eth1, prefixes: 10.1.10.0/24 }
`

const folderFile = (name: string, of: string) => `# yaml-language-server: $schema=./causeway.schema.json
folder: ${name} # others see what stands here as folder:${name}
of: ${of}
`

export function init(program: Command): void {
  command(program, 'init [dir]', 'start a network: network.yaml, the JSON schema for editors, .gitignore')
    .option('--of <network>', 'a folder with a part of a network that others have begun: folder.yaml instead of network.yaml')
    .action(({ output, args: [dir = '.'], options }) => {
      const of = options['of'] as string | undefined
      if (of !== undefined && !parseName(of).ok)
        throw new Stop(exit.usage, `"${of}" is not the name of a network`, 'write it as its network.yaml does')
      const file = join(dir, of === undefined ? 'network.yaml' : 'folder.yaml')
      if (existsSync(file)) throw new Stop(exit.conflict, `${file} exists already`, 'edit it, or name another folder; nothing was written')
      const name =
        basename(resolve(dir))
          .toLowerCase()
          .replaceAll(/[^a-z0-9]+/g, '-')
          .replace(/^[^a-z]+/, '')
          .slice(0, 30)
          .replace(/-$/, '') || 'network'
      mkdirSync(dir, { recursive: true })
      const written = [file, join(dir, 'site.yaml.example'), join(dir, 'causeway.schema.json')]
      writeFileSync(file, of === undefined ? networkFile(name) : folderFile(name, of))
      writeFileSync(written[1]!, exampleSite)
      writeFileSync(written[2]!, `${JSON.stringify(jsonSchema(), null, 2)}\n`)
      const ignore = join(dir, '.gitignore')
      if (!existsSync(ignore)) {
        writeFileSync(ignore, '.causeway/\n')
        written.push(ignore)
      }
      if (output.json) output.document('Init', { network: of ?? name, ...(of === undefined ? {} : { folder: name }), written })
      else if (of !== undefined)
        output.line(
          `folder ${name} of network ${of}: wrote ${written.join(', ')}\nNext: causeway pull has what others say of it; describe your part, then causeway plan`,
        )
      else output.line(`network ${name}: wrote ${written.join(', ')}\nNext: describe your sites, then causeway check${dir === '.' ? '' : ` ${dir}`}`)
    })
}

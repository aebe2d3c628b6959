/** Pages of findings about folders and owners: who says what. */
import type { CodePage } from '#src/fabric/codes.ts'
import { renderPulled } from './fragments.ts'

/** As `causeway pull` leaves it beside one's own files. */
const pulled = renderPulled({
  owner: 'folder:cloud',
  path: 'oslo.yaml',
  since: 4,
  text: 'site: oslo\nuplinks: { fiber: { interface: eth0 } }\nsegments: { inference: { interface: eth1, prefixes: 10.1.30.0/24 } }\n',
})

export const folderCodes = [
  {
    code: 'I150',
    title: "Somebody else's",
    text: 'Each network, site, region and peer has one owner: the folder, or the program at the API, that declared it first. Who owns what stands in the first line of the files in `pulled/`. To change it, ask its owner; to drop your own version, delete it. To take it over, move the file out of `pulled/` and plan with `--take`: the former owner then no longer may declare it.',
    wrong: `# ${pulled.path}\n${pulled.text}# oslo.yaml\nsite: oslo\nuplinks: { fiber: { interface: eth0 } }\nsegments: { inference: { interface: eth1, prefixes: 10.1.30.0/24 } }`,
    right: `# ${pulled.path}\n${pulled.text}`,
  },
  {
    code: 'I151',
    title: 'A folder of another network',
    text: 'The file that names the folder says of which network it is a part, so that it is never applied to another one by mistake. The network that stands beside it has another name.',
    wrong: '# folder.yaml\nfolder: cloud\nof: acne',
    right: '# folder.yaml\nfolder: cloud\nof: acme',
  },
  {
    code: 'I152',
    title: 'A pulled file that was edited',
    text: 'What stands in `pulled/` is what others own, as `causeway pull` wrote it: to read, and for `causeway check`. A plan never sends it, so an edit would be proven here and nowhere else. Ask its owner for the change, or take it over (I150). A file of your own belongs one folder up.',
    wrong: `# ${pulled.path}\n${pulled.text.replace('10.1.30.0', '10.1.31.0')}`,
    right: `# ${pulled.path}\n${pulled.text}`,
  },
] as const satisfies readonly CodePage[]

/** Pages of what the controller says about operations: what workflows meet on their way. */
import type { CodePage } from '#src/fabric/codes.ts'

export const operationCodes = [
  {
    code: 'C080',
    title: 'a command without its ids',
    text: 'Every command names its row and its operation. The API makes both; somebody else spoke to Temporal.',
    wrong: '',
    right: 'commands go through the API',
  },
  {
    code: 'C081',
    title: 'too many changes wait',
    text: 'Changes are carried out one after another, and 50 wait already.',
    wrong: 'a script that applies in a loop',
    right: 'causeway rollout watch, then apply',
  },
  {
    code: 'C082',
    title: 'nobody gave this command',
    text: 'A workflow asked for a change that no row in the database authorises, or one that was carried out before. Nothing was changed.',
    wrong: 'a signal sent to Temporal by hand',
    right: 'commands go through the API',
  },
  {
    code: 'C083',
    title: 'a failed change could not be undone',
    text: 'The first generation failed, the one before it no longer compiles, or a site that it does not have was enrolled meanwhile. Sites that confirmed the failed generation keep it, the others run what they ran before; nothing waits for it.',
    wrong: '',
    right: 'mend the intent and apply it',
  },
  {
    code: 'C084',
    title: 'the change was rolled back',
    text: 'A gateway could not confirm its new bundle, so it restored the one before. The rollout was halted and the network got its former intent back, as a newer generation.',
    wrong: 'a rule that cuts a site off from its controller',
    right: 'causeway rollout watch, mend the intent, plan again',
  },
  {
    code: 'C085',
    title: 'an enrolled site is left out',
    text: 'The plan no longer names a site whose gateway is enrolled. Taking it out of the files does not wipe its keys.',
    wrong: 'rm sites/acme/berlin.yaml',
    right: 'causeway site decommission berlin, then remove the file',
  },
  {
    code: 'C086',
    title: 'a second box used the token',
    text: 'A bootstrap token is for one box. Two used this one, and only you know which of them is yours; the site waits in quarantine.',
    wrong: 'one token pasted into two boxes',
    right: 'causeway site token berlin',
  },
  {
    code: 'C087',
    title: 'the gateway did not say that it is wiped',
    text: 'It was away while its site was decommissioned. Its certificate is revoked and no peer knows its keys, but they may still be on its disk.',
    wrong: 'a box that was unplugged first',
    right: 'wipe the box by hand if you can reach it',
  },
  {
    code: 'C088',
    title: 'a peer still knows a site that is gone',
    text: 'The peer was away. It takes the newer bundle, without the site, when it comes back.',
    wrong: '',
    right: 'causeway site list',
  },
  {
    code: 'C089',
    title: 'the gateway kept what it had',
    text: 'It rolled the newest bundle back or refused it, and runs the one before. The finding has its reason.',
    wrong: '',
    right: 'mend what the reason names, then plan again',
  },
  {
    code: 'C090',
    title: 'the site could not be brought up',
    text: 'Its gateway is enrolled, but did not confirm its bundle or has no path that is UP. It is tried again by itself.',
    wrong: 'udp/51820 blocked on every uplink',
    right: 'causeway site log berlin',
  },
  {
    code: 'C091',
    title: 'not every path came up',
    text: 'The site carries traffic, but some of its paths are not UP, so a standby is missing.',
    wrong: 'a carrier that drops UDP on one uplink',
    right: 'causeway path list',
  },
] as const satisfies readonly CodePage[]

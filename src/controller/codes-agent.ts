/** Pages of what the controller says about what agents ask. */
import type { CodePage } from '#src/fabric/codes.ts'

export const agentCodes = [
  {
    code: 'C050',
    title: "the agent's message is not understood",
    text: 'It is not what this version expects: agent and controller are more than two versions apart, or something else speaks.',
    wrong: '',
    right: "an agent of the controller's version",
  },
  {
    code: 'C051',
    title: 'the device does not speak for the site',
    text: 'The certificate is one of ours, but was revoked, or another box was enrolled since.',
    wrong: 'a box that was replaced',
    right: 'a new token: causeway site replace berlin',
  },
  {
    code: 'C052',
    title: 'there is no such bundle',
    text: 'Bundles are made for a site, a term, a generation and a revision; old ones are removed.',
    wrong: '',
    right: 'the agent asks for what is assigned now',
  },
  {
    code: 'C053',
    title: 'it is not assigned any more',
    text: 'While the box tried the change, the controller assigned something else. The box goes back and takes the new one.',
    wrong: '',
    right: '',
  },
  {
    code: 'C054',
    title: 'the certificate has a fork',
    text: 'The certificate that this renewal names was renewed before, by somebody who has the same key: one of the two is a copy. The site is quarantined.',
    wrong: 'a cloned disk',
    right: 'causeway site decommission berlin, then a new token',
  },
  {
    code: 'C055',
    title: 'the certificate has expired',
    text: 'An expired certificate is only good for renewing it, and that for 90 days.',
    wrong: 'a box that was switched off for a year',
    right: 'a new token: causeway site replace berlin',
  },
  {
    code: 'C056',
    title: 'the bootstrap token is not known',
    text: "Its hash is not stored here: it is another controller's, or of a data folder that was set up again.",
    wrong: 'a token of the test network',
    right: 'causeway site token berlin',
  },
  {
    code: 'C057',
    title: 'a newer bootstrap token replaced this one',
    text: 'Only the newest token of a site works.',
    wrong: "yesterday's line after a new token was made",
    right: 'the newest line',
  },
  {
    code: 'C058',
    title: 'the site takes no box now',
    text: 'It was decommissioned, quarantined or taken out of the intent since the token was made.',
    wrong: '',
    right: 'causeway site status berlin',
  },
] as const satisfies readonly CodePage[]

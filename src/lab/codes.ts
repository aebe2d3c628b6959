import type { CodePage } from '#src/fabric/codes.ts'

/** What the lab may refuse. */
export const labCodes: readonly CodePage[] = [
  {
    code: 'L000',
    title: 'no lab runs here',
    text: 'The lab is found by a pointer in .causeway; none is there, or what it points to has ended.',
    wrong: 'causeway lab break berlin.fiber',
    right: 'causeway lab up, or npm run demo in another terminal',
  },
  {
    code: 'L001',
    title: 'the lab does not know the request',
    text: 'The lab that runs was started by another version.',
    wrong: '',
    right: 'causeway lab down, then causeway lab up',
  },
  {
    code: 'L002',
    title: 'no such box',
    text: 'Boxes are the gateways, named as their sites, and the hosts on their LANs, named site-segment.',
    wrong: 'causeway lab shell berlin/cameras',
    right: 'causeway lab shell berlin-cameras',
  },
  {
    code: 'L003',
    title: 'no such link',
    text: 'A link is a site and its uplink, joined by a dot.',
    wrong: 'causeway lab break berlin',
    right: 'causeway lab break berlin.fiber',
  },
  {
    code: 'L004',
    title: 'it runs already',
    text: 'A process of this name was started in the lab and has not ended.',
    wrong: '',
    right: 'stop it first, or choose another name',
  },
  {
    code: 'L005',
    title: 'nothing of this name runs',
    text: 'Only what was started through the lab can be stopped through it.',
    wrong: '',
    right: 'causeway lab status',
  },
  { code: 'L006', title: 'the lab could not do it', text: 'A command inside the lab failed; the message has its words.', wrong: '', right: '' },
  {
    code: 'L007',
    title: 'the lab did not start',
    text: 'Namespaces, links or addresses could not be made; the log folder has the details.',
    wrong: '',
    right: 'causeway doctor',
  },
  {
    code: 'L008',
    title: 'no such peer',
    text: "Peers of the network stand in the lab as boxes of their own: the third party's gateway, and a host for each segment behind it, named peer-segment.",
    wrong: 'causeway lab peer partner-inference',
    right: 'causeway lab peer partner',
  },
  {
    code: 'L009',
    title: 'not what the owner of a peer is told',
    text: 'The gateway of a third party comes to life by the text that its owner gets, on stdin: a swanctl.conf with the tunnels of this peer, the addresses inside and the routes in its comments.',
    wrong: 'causeway lab peer partner < berlin.yaml',
    right: 'causeway peer config partner --secret | causeway lab peer partner',
  },
]

/** Pages of what the controller says about drills and path tests. */
import type { CodePage } from '#src/fabric/codes.ts'

export const drillCodes = [
  // ── drills ──
  {
    code: 'C110',
    title: 'there is nothing to drill',
    text: 'A drill names a site and one of its uplinks.',
    wrong: 'causeway drill run berlin --break fibre',
    right: 'causeway drill run berlin --break fiber',
  },
  {
    code: 'C111',
    title: 'nothing can be signed here',
    text: 'Orders and evidence are signed with keys from the vault.',
    wrong: '',
    right: "causeway serve with the vault's key",
  },
  {
    code: 'C112',
    title: 'the drill would be an outage',
    text: 'Before anything is cut it is proved that the site is at rest, that every class that would move has another way that is UP, and that the line it goes to is wide enough. The message names what is short.',
    wrong: 'a drill while the other uplink is DOWN',
    right: 'causeway path list berlin, then the drill',
  },
  {
    code: 'C113',
    title: 'the drill has no result',
    text: 'The box refused, or did not tell what it saw. The uplink heals by itself: the kernel of the box keeps the time.',
    wrong: '',
    right: 'causeway drill run berlin --break fiber, again',
  },
  {
    code: 'C114',
    title: 'a class did not move',
    text: 'It stayed on the uplink that was cut, for all of the drill. The evidence says so and is signed nevertheless.',
    wrong: '',
    right: 'causeway path list berlin',
  },
  {
    code: 'C115',
    title: 'the loss of a standby moved traffic',
    text: 'No class used the uplink that was cut, and one went another way while it was cut. Either something else happened at the same time, or more hangs on the standby than the choice of ways says.',
    wrong: '',
    right: 'causeway event list, then the drill again',
  },
  {
    code: 'C116',
    title: 'traffic does not keep still',
    text: 'An order to cut names what uses the uplink. Each time, a class went another way before the box could begin; a cut would have proved something else than was judged, so the box refused.',
    wrong: 'a drill right after a line came back',
    right: 'causeway path watch berlin, and the drill when nothing moves',
  },
  {
    code: 'C117',
    title: 'no drill can be scheduled so',
    text: 'A drill may come once an hour at most and once in 366 days at least. A time of the day is in UTC and needs an interval of whole days.',
    wrong: 'causeway drill schedule berlin --break fiber --every 36h --at 02:10',
    right: 'causeway drill schedule berlin --break fiber --every 7d --at 02:10',
  },
  {
    code: 'C118',
    title: 'silent for longer than promised',
    text: 'An expectation says how soon after the loss of an uplink a place is reached again, `within`. In this drill a class that it is about moved, and was silent for longer. The evidence says so, and that the drill did not hold. Where the proof found the limit possible, something on the box or the line took its time: a loaded machine, a lossy standby, a jitter above that of the class.',
    wrong: 'expect:\n  - { reach: edge/inference -> model-api, survives: uplink, within: 300ms } # on a box that is busy with other things',
    right: 'expect:\n  - { reach: edge/inference -> model-api, survives: uplink, within: 1s }',
  },
  // ── path tests ──
  {
    code: 'C150',
    title: 'there is no path to test',
    text: 'A test names a site, and one of its uplinks if not all. Of each path one end sends the probes: the edge, of two edges the first by name, and the gateway towards a cloud. The other end only answers.',
    wrong: 'causeway path test frankfurt, a hub whose paths its edges decide',
    right: 'causeway path test berlin.fiber',
  },
  {
    code: 'C151',
    title: 'the box does not report',
    text: 'The box itself sends the probes and tells what came back. One that is away can do neither; its last known state is in the list of paths.',
    wrong: 'causeway path test berlin, while berlin is offline',
    right: 'causeway site status berlin, causeway path list berlin',
  },
  {
    code: 'C152',
    title: 'a test runs there already',
    text: 'One at a time at a site, or they would measure one another.',
    wrong: 'causeway path test berlin in two windows',
    right: 'causeway path test berlin, again in some seconds',
  },
  {
    code: 'C153',
    title: 'the test has no result',
    text: 'The box took the order and did not answer in time, or could not begin. Nothing is left to undo: a test changes nothing.',
    wrong: '',
    right: 'causeway site status berlin, then the test again',
  },
  {
    code: 'C154',
    title: 'not so many probes',
    text: 'A test sends 1 to 500 probes over each path, 50 a second, so that it ends within ten seconds and costs a metered line little.',
    wrong: 'causeway path test berlin --count 100000',
    right: 'causeway path test berlin --count 500',
  },
] as const satisfies readonly CodePage[]

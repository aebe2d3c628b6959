/** Pages of what the controller says about sites, their service windows and new boxes. */
import type { CodePage } from '#src/fabric/codes.ts'

export const siteCodes = [
  // ── sites ──
  {
    code: 'C030',
    title: 'the site takes no token now',
    text: 'A token is for a site that a generation names and that has no box yet. To exchange a box, replace it.',
    wrong: 'causeway site token berlin while berlin is ACTIVE',
    right: 'causeway site replace berlin',
  },
  {
    code: 'C031',
    title: 'no box waits with this fingerprint',
    text: 'Approving is saying: this very box. Compare the fingerprint with the one that the installer sees; 16 characters will do.',
    wrong: 'causeway site approve frankfurt 00:00',
    right: 'causeway site status frankfurt, then approve with its fingerprint',
  },
  {
    code: 'C032',
    title: "the site can't be decommissioned now",
    text: 'It is being decommissioned, or already is.',
    wrong: 'causeway site decommission berlin, twice',
    right: 'causeway site status berlin',
  },
  {
    code: 'C033',
    title: "a token's life is out of range",
    text: 'Tokens live one minute to 72 hours: a line in a chat should not open a network for ever.',
    wrong: '--ttl 90d',
    right: '--ttl 24h',
  },
  {
    code: 'C034',
    title: "the question can't be traced",
    text: 'A trace needs two ends that exist, such as site/segment, a service, or an address.',
    wrong: 'trace berlin/cameros training',
    right: 'trace berlin/cameras training',
  },
  // ── service windows ──
  {
    code: 'C130',
    title: 'draining it would cut something off',
    text: 'Before a site is drained it is proved what would be lost with it out of service, and with the hubs that are away or drained already. The message names each site that has no other hub and each expectation that held before. What ends at the site itself does not count.',
    wrong: 'causeway site drain frankfurt, while dublin is down',
    right: 'causeway site undrain dublin first, or causeway site drain frankfurt --force',
  },
  {
    code: 'C131',
    title: 'the site can not be drained now',
    text: 'A window begins at rest: the site is ACTIVE, its gateway reports, and runs what is assigned to it.',
    wrong: 'causeway site drain frankfurt, in the middle of a rollout',
    right: 'causeway site wait frankfurt, then the drain',
  },
  {
    code: 'C132',
    title: 'the site is not drained',
    text: 'Only a site with an open service window can be put back. One whose window has ended comes back by itself.',
    wrong: 'causeway site undrain berlin, which is ACTIVE',
    right: 'causeway site status berlin',
  },
  {
    code: 'C133',
    title: 'the window ended before the site was drained',
    text: 'Packets still passed through the site from tunnel to tunnel when its time was over, or its gateway did not keep the revision that tells its peers. It is in service again.',
    wrong: 'causeway site drain frankfurt --for 10s',
    right: 'causeway path list frankfurt shows what still goes there; then drain it for longer',
  },
  {
    code: 'C134',
    title: 'not a length of time for a window',
    text: 'A window lasts 10 seconds to 7 days. Its end is absolute: the gateway keeps it also without its controller.',
    wrong: 'causeway site drain frankfurt --for 90d',
    right: 'causeway site drain frankfurt --for 2h',
  },
  // ── another box ──
  {
    code: 'C135',
    title: 'the box can not be replaced now',
    text: 'A replacement begins at a site that is ACTIVE with a box; a newer token starts it over until the new box takes over. A site without a box takes a first token instead.',
    wrong: 'causeway site replace berlin, in the middle of a rollout',
    right: 'causeway site wait berlin, then the replacement',
  },
  {
    code: 'C136',
    title: 'the replacement came to nothing',
    text: 'No box was approved before the token ended, or a newer token was made. The site keeps its box, which was not touched.',
    wrong: 'a token that nobody pasted for a day',
    right: 'causeway site replace berlin',
  },
] as const satisfies readonly CodePage[]

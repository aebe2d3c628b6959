/** Pages of what the controller says about cloud regions and peers. */
import type { CodePage } from '#src/fabric/codes.ts'

export const regionCodes = [
  // ── cloud regions ──
  {
    code: 'C100',
    title: 'no such region',
    text: 'No generation names a region of this name.',
    wrong: 'causeway region status aws-eu-west-2',
    right: 'causeway region list',
  },
  {
    code: 'C101',
    title: 'there is nothing to repair',
    text: "Repairing makes a region's resources as they should be. One that is being taken down, or was never made, has none.",
    wrong: 'causeway region repair, after region decommission',
    right: 'causeway region status aws-eu-west-1',
  },
  {
    code: 'C102',
    title: 'the region is being taken down',
    text: 'It is being decommissioned, or already is; what was under way there was cancelled, and what that had made is deleted as well.',
    wrong: 'causeway region decommission aws-eu-west-1, twice',
    right: 'causeway region wait aws-eu-west-1',
  },
  {
    code: 'C103',
    title: 'this controller has no way to the cloud',
    text: "Credentials are taken from the environment of `causeway serve`, as the cloud's own tools take them.",
    wrong: 'causeway serve without AWS_REGION and credentials',
    right: 'see docs/aws.md, then start the controller again',
  },
  {
    code: 'C104',
    title: 'the tunnel has no key',
    text: "Pre-shared keys are made in the vault before the cloud is asked for a tunnel; this one's is not there.",
    wrong: '',
    right: 'causeway region repair aws-eu-west-1',
  },
  {
    code: 'C105',
    title: 'the cloud still differs',
    text: 'Everything was made or changed as planned, and the cloud still reports something else. Somebody else may be changing it at the same time.',
    wrong: 'another tool that manages the same gateway',
    right: 'causeway region status aws-eu-west-1 names what differs',
  },
  {
    code: 'C106',
    title: 'not every tunnel of the region is UP',
    text: 'The region carries traffic, but a standby is missing.',
    wrong: 'udp/4500 blocked on one uplink of the hub',
    right: 'causeway path list',
  },
  {
    code: 'C107',
    title: 'the work on the region ended early',
    text: 'The message has the reason. What was made stays and is found again by its tag, so that trying again makes nothing twice.',
    wrong: '',
    right: 'causeway region repair aws-eu-west-1, or region decommission',
  },
  {
    code: 'C108',
    title: 'a region that stands is left out',
    text: 'The plan no longer names a region whose resources are in the cloud. Taking it out of the files does not delete them, and they cost money.',
    wrong: 'rm regions/aws-eu-west-1.yaml',
    right: 'causeway region decommission aws-eu-west-1, then remove the file',
  },
  // ── peers ──
  {
    code: 'C140',
    title: 'not a pre-shared key for a peer',
    text: 'It has 20 to 128 characters of printable ASCII without spaces, quotes and backslashes: long enough that nobody who listens to IKE can guess it (RFC 7296 section 2.15), and the same in every box’s configuration. It is not repeated in the message.',
    wrong: 'causeway peer secret partner < a file with "secret123"',
    right: 'causeway peer secret partner --new',
  },
  {
    code: 'C141',
    title: 'the pre-shared key was shown already',
    text: 'A key that was made here is shown once, to whoever sets up the other end; the message says to whom and when. If that was not you, or it got lost, make a new one: the tunnels are down until both ends have it.',
    wrong: 'causeway peer config partner --secret, twice',
    right: 'causeway peer secret partner --new, then causeway peer config partner --secret',
  },
  {
    code: 'C142',
    title: 'the pre-shared key is its owner’s',
    text: 'It was given by the owner of the peer, who knows it. What is given here is never shown again.',
    wrong: 'causeway peer config partner --secret, after causeway peer secret partner',
    right: 'causeway peer config partner',
  },
  {
    code: 'C143',
    title: 'the peer has no pre-shared key yet',
    text: 'One is made when a generation that names the peer is applied. This generation is from a controller that did not make them yet.',
    wrong: '',
    right: 'causeway peer secret partner --new',
  },
] as const satisfies readonly CodePage[]

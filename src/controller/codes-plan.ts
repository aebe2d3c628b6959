/** Pages of what the controller says about plans, their rollouts, and whose what is in them. */
import type { CodePage } from '#src/fabric/codes.ts'

export const planCodes = [
  // ── plans ──
  {
    code: 'C020',
    title: 'the plan is stale',
    text: 'A plan is proven against one generation. Another change came in between, so its proof says nothing about the network as it is now.',
    wrong: 'two people apply plans on generation 41',
    right: 'causeway plan, then apply the new one',
  },
  {
    code: 'C021',
    title: 'the plan was refused',
    text: 'Its intent is wrong or breaks an expectation; the findings say where. It is kept only to be read.',
    wrong: 'causeway apply of a plan with errors',
    right: 'mend what the findings name, then plan again',
  },
  {
    code: 'C022',
    title: 'the plan was applied before',
    text: 'A plan is applied once. The operation that did it has the outcome.',
    wrong: 'causeway apply p-7c2, twice',
    right: 'causeway rollout watch',
  },
  {
    code: 'C023',
    title: 'another network',
    text: 'A controller and its database serve one network; the first applied plan names it.',
    wrong: "network: test at acme's controller",
    right: 'another controller: causeway serve --data DIR',
  },
  {
    code: 'C024',
    title: 'the network has moved on',
    text: 'If-Match named a generation that is not the newest one any more.',
    wrong: 'If-Match: "41" at generation 42',
    right: 'read again, then repeat with "42"',
  },
  {
    code: 'C025',
    title: 'the network is frozen',
    text: 'After a restore nothing is changed until an operator has looked at the difference and unfreezes it.',
    wrong: 'causeway apply right after a restore',
    right: 'causeway restore --unfreeze',
  },
  // ── rollouts ──
  {
    code: 'C120',
    title: 'not a rollout',
    text: 'Only what applies a plan moves sites wave by wave, and only that can be paused, resumed or aborted.',
    wrong: 'causeway rollout pause with the operation of a drill',
    right: 'causeway rollout pause, which takes the one that runs',
  },
  {
    code: 'C121',
    title: 'the rollout has ended',
    text: 'What has ended can be neither held nor aborted. The generation before it is one rollback away.',
    wrong: 'causeway rollout abort, after the last wave',
    right: 'causeway generation rollback 41',
  },
  {
    code: 'C122',
    title: 'the rollout goes back already',
    text: 'Somebody aborted it, or a wave failed. The way back is a newer generation with the former intent, and it goes to its end.',
    wrong: 'causeway rollout resume, after an abort',
    right: 'causeway rollout watch, then plan again',
  },
  {
    code: 'C123',
    title: 'the rollout is paused already',
    text: 'It holds before its next wave until somebody lets it go on or aborts it. The message says who paused it, and since when.',
    wrong: 'causeway rollout pause, twice',
    right: 'causeway rollout resume, or causeway rollout abort',
  },
  {
    code: 'C124',
    title: 'the rollout is not paused',
    text: 'It runs by itself; there is nothing to let go on.',
    wrong: 'causeway rollout resume, of one that runs',
    right: 'causeway rollout watch',
  },
  {
    code: 'C125',
    title: 'somebody aborted the rollout',
    text: 'The wave that moved was let finish; then the network got its former intent back as a newer generation, as when a wave fails. One that had not begun ends without a generation.',
    wrong: '',
    right: 'plan again: causeway plan',
  },
  // ── owners ──
  {
    code: 'C160',
    title: 'it belongs to somebody else',
    text: 'Each network, site, region and peer has one owner: the folder, or the access token at the API, that declared it first. A plan changes what its owner declares and leaves the rest alone. The findings name each thing, its owner and both places. Ask the owner, take your own version out, or take the thing over: whoever declares it then says so with --take, and the former owner has to drop it.',
    wrong: 'causeway plan, with a site in the folder that folder:acme owns',
    right: 'causeway plan --take site/berlin',
  },
  {
    code: 'C161',
    title: 'it stands in one file with other things',
    text: 'A file goes from one owner to another whole. This one declares more than what is to be taken, such as a network.yaml with `regions:` in it. Its owner moves the thing to a file of its own and applies that, which changes nothing in the network; or all of the file is taken.',
    wrong: 'causeway plan --take region/aws-eu-west-1, while it stands in network.yaml of folder:acme',
    right: '# aws-eu-west-1.yaml of folder:acme\nregion: aws-eu-west-1\nprovider: aws\n…',
  },
  {
    code: 'C162',
    title: 'what is taken over is not declared',
    text: 'To own a thing is to declare it: without that, taking it over would take it away. `causeway pull` has its file in pulled/; move it into your folder, then plan.',
    wrong: 'causeway plan --take site/berlin, without berlin.yaml',
    right: 'mv pulled/folder-acme/berlin.yaml . && causeway plan --take site/berlin',
  },
] as const satisfies readonly CodePage[]

import type { CodePage } from '#src/fabric/codes.ts'

/** `causeway explain C001` …: what the controller may say to people, programs and agents. */
export const controllerCodes = [
  // ── any request ──
  { code: 'C001', title: 'no access token', text: 'Every request but the documentation needs an access token. On the controller\'s own machine the CLI finds the first administrator\'s in the data folder.', wrong: 'curl http://127.0.0.1:7700/v1/sites', right: 'curl -H "Authorization: Bearer cwa_…" http://127.0.0.1:7700/v1/sites' },
  { code: 'C002', title: 'the access token is not known', text: 'It was revoked, mistyped, or belongs to another controller or an older data folder.', wrong: 'a token of a network that was set up again', right: 'causeway login' },
  { code: 'C003', title: 'the role does not allow it', text: 'viewer reads; installer makes bootstrap tokens; cloud makes plans; operator applies, approves and decommissions; admin gives access.', wrong: 'a viewer\'s token for POST /v1/plans', right: 'a token with the role that the message names' },
  { code: 'C004', title: 'the request is too large', text: 'Intent may have 4 MB, other requests 64 kB, agents\' reports 256 kB.', wrong: 'a backup among the intent files', right: 'only the network\'s YAML files' },
  { code: 'C005', title: 'the request is not understood', text: 'The body is not JSON, or a field is missing or of the wrong kind. Each finding names one.', wrong: '{"files": "network.yaml"}', right: '{"files": [{"path": "network.yaml", "text": "…"}]}' },
  { code: 'C006', title: 'no such page', text: 'The API is described at /v1/docs and /v1/openapi.json.', wrong: 'GET /v1/site', right: 'GET /v1/sites' },
  { code: 'C007', title: 'no such thing', text: 'The site, plan, operation or generation of this name or number does not exist here.', wrong: 'causeway site status dubln', right: 'causeway site status dublin' },
  { code: 'C009', title: 'something unforeseen', text: 'A mistake in Causeway itself. Nothing was done by halves: what changes together is written in one transaction.', wrong: '', right: '' },
  { code: 'C010', title: 'the database does not answer', text: 'PostgreSQL is starting, full, or was stopped. Sites go on without it; nothing can be changed until it is back.', wrong: 'a full disk under the data folder', right: 'free some space; the controller recovers by itself' },
  { code: 'C011', title: 'workflows do not answer', text: 'The command is stored and will be carried out as soon as Temporal and a worker are back; it need not be given again.', wrong: '', right: 'causeway rollout watch' },
  { code: 'C012', title: 'the Idempotency-Key was used for something else', text: 'A key stands for one command. Repeating the same command with it answers as the first time; another command needs another key.', wrong: 'one key for two plans', right: 'a fresh key, such as a UUID, for each command' },
  { code: 'C013', title: 'a header is malformed', text: 'Idempotency-Key has 1 to 200 printable characters. If-Match is a generation\'s number in quotes.', wrong: 'If-Match: 41', right: 'If-Match: "41"' },
  { code: 'C014', title: 'too many requests', text: 'Each device and each address may ask so often and no more; Retry-After says when again.', wrong: 'a script without a pause', right: 'wait as Retry-After says' },
  { code: 'C015', title: 'the token was given already', text: 'A bootstrap token is shown once and only its hash is kept, so that a repeated request can\'t show it again.', wrong: 'the same Idempotency-Key for a second token', right: 'causeway site token berlin' },
  // ── plans ──
  { code: 'C020', title: 'the plan is stale', text: 'A plan is proven against one generation. Another change came in between, so its proof says nothing about the network as it is now.', wrong: 'two people apply plans on generation 41', right: 'causeway plan, then apply the new one' },
  { code: 'C021', title: 'the plan was refused', text: 'Its intent is wrong or breaks an expectation; the findings say where. It is kept only to be read.', wrong: 'causeway apply of a plan with errors', right: 'mend what the findings name, then plan again' },
  { code: 'C022', title: 'the plan was applied before', text: 'A plan is applied once. The operation that did it has the outcome.', wrong: 'causeway apply p-7c2, twice', right: 'causeway rollout watch' },
  { code: 'C023', title: 'another network', text: 'A controller and its database serve one network; the first applied plan names it.', wrong: 'network: test at acme\'s controller', right: 'another controller: causeway serve --data DIR' },
  { code: 'C024', title: 'the network has moved on', text: 'If-Match named a generation that is not the newest one any more.', wrong: 'If-Match: "41" at generation 42', right: 'read again, then repeat with "42"' },
  { code: 'C025', title: 'the network is frozen', text: 'After a restore nothing is changed until an operator has looked at the difference and unfreezes it.', wrong: 'causeway apply right after a restore', right: 'causeway restore --unfreeze' },
  // ── sites ──
  { code: 'C030', title: 'the site takes no token now', text: 'A token is for a site that a generation names and that has no box yet. To exchange a box, decommission the site first.', wrong: 'causeway site token berlin while berlin is ACTIVE', right: 'causeway site decommission berlin, then a new token' },
  { code: 'C031', title: 'no box waits with this fingerprint', text: 'Approving is saying: this very box. Compare the fingerprint with the one that the installer sees; 16 characters will do.', wrong: 'causeway site approve frankfurt 00:00', right: 'causeway site status frankfurt, then approve with its fingerprint' },
  { code: 'C032', title: 'the site can\'t be decommissioned now', text: 'It is being decommissioned, or already is.', wrong: 'causeway site decommission berlin, twice', right: 'causeway site status berlin' },
  { code: 'C033', title: 'a token\'s life is out of range', text: 'Tokens live one minute to 72 hours: a line in a chat should not open a network for ever.', wrong: '--ttl 90d', right: '--ttl 24h' },
  { code: 'C034', title: 'the question can\'t be traced', text: 'A trace needs two ends that exist, such as site/segment, a service, or an address.', wrong: 'trace berlin/cameros training', right: 'trace berlin/cameras training' },
  // ── serve ──
  { code: 'C040', title: 'the data folder can\'t be used', text: 'The controller keeps its database, sockets\' pointers and logs there; it must be writable and on a disk with space.', wrong: '--data on a read-only disk', right: 'causeway serve --data DIR' },
  { code: 'C041', title: 'another controller runs on this data folder', text: 'Two would fight over one database. The message has its process id.', wrong: 'causeway serve, twice', right: 'stop the first, or use another --data folder' },
  { code: 'C042', title: 'a server did not start', text: 'PostgreSQL or Temporal ended or stayed silent; its last words stand in the message, all of them in its log file.', wrong: '', right: '' },
  { code: 'C043', title: 'the database can\'t be reached', text: 'DATABASE_URL names a server that does not answer or refuses this user.', wrong: 'DATABASE_URL=postgresql://db:5433/causeway', right: 'a URL that psql accepts' },
  { code: 'C044', title: 'the database is another version\'s', text: 'Migrations only go forward, and a file that was run may not change.', wrong: 'an older Causeway on a newer database', right: 'the version that made it, or a newer one' },
  { code: 'C045', title: 'the Temporal server is missing', text: 'It is taken from TEMPORAL_ADDRESS, from `temporal` on PATH, or from the project\'s cache, in this order.', wrong: 'causeway serve before the set-up', right: 'npm run dev, or TEMPORAL_ADDRESS=host:7233' },
  { code: 'C046', title: 'no port is free', text: 'When the port is taken the next free one is used and printed; here a hundred in a row are taken.', wrong: '', right: 'causeway serve --port 8800' },
  { code: 'C047', title: 'an option is wrong', text: 'Ports are 1 to 65535; --role is all, api or worker; --agents-public is host:port.', wrong: '--agents-public ctl.acme.net', right: '--agents-public ctl.acme.net:7701' },
  // ── agents ──
  { code: 'C050', title: 'the agent\'s message is not understood', text: 'It is not what this version expects: agent and controller are more than two versions apart, or something else speaks.', wrong: '', right: 'an agent of the controller\'s version' },
  { code: 'C051', title: 'the device does not speak for the site', text: 'The certificate is one of ours, but was revoked, or another box was enrolled since.', wrong: 'a box that was replaced', right: 'a new token: causeway site replace berlin' },
  { code: 'C052', title: 'there is no such bundle', text: 'Bundles are made for a site, a term, a generation and a revision; old ones are removed.', wrong: '', right: 'the agent asks for what is assigned now' },
  { code: 'C053', title: 'it is not assigned any more', text: 'While the box tried the change, the controller assigned something else. The box goes back and takes the new one.', wrong: '', right: '' },
  { code: 'C054', title: 'the certificate has a fork', text: 'The certificate that this renewal names was renewed before, by somebody who has the same key: one of the two is a copy. The site is quarantined.', wrong: 'a cloned disk', right: 'causeway site decommission berlin, then a new token' },
  { code: 'C055', title: 'the certificate has expired', text: 'An expired certificate is only good for renewing it, and that for 90 days.', wrong: 'a box that was switched off for a year', right: 'a new token: causeway site replace berlin' },
  { code: 'C056', title: 'the bootstrap token is not known', text: 'Its hash is not stored here: it is another controller\'s, or of a data folder that was set up again.', wrong: 'a token of the test network', right: 'causeway site token berlin' },
  { code: 'C057', title: 'a newer bootstrap token replaced this one', text: 'Only the newest token of a site works.', wrong: 'yesterday\'s line after a new token was made', right: 'the newest line' },
  { code: 'C058', title: 'the site takes no box now', text: 'It was decommissioned, quarantined or taken out of the intent since the token was made.', wrong: '', right: 'causeway site status berlin' },
  // ── pki ──
  { code: 'C060', title: 'the vault key is another vault\'s', text: 'Secrets in the database are encrypted under a key file that is kept elsewhere; this file does not open them.', wrong: '', right: 'the key file that was made together with the database' },
  { code: 'C061', title: 'the vault has lost its canary', text: 'Rows of the vault\'s table are gone.', wrong: '', right: 'restore the database from a backup' },
  { code: 'C062', title: 'a secret can\'t be decrypted', text: 'Its row was changed, or belongs to another vault.', wrong: '', right: 'database and vault key from the same backup' },
  { code: 'C063', title: 'a secret is not there', text: 'A configuration refers to a version of a secret that the vault does not hold.', wrong: '', right: 'causeway key rotate' },
  { code: 'C064', title: 'the vault key is inside the data folder', text: 'Whoever copies the data folder would have the secrets too.', wrong: '--data /var/lib/causeway with the key in it', right: 'CAUSEWAY_VAULT_KEY=/etc/causeway/vault.key' },
  { code: 'C065', title: 'the vault key is open to others', text: 'It must be a plain file of mode 0400 or 0600.', wrong: 'chmod 644 vault.key', right: 'chmod 400 vault.key' },
  { code: 'C066', title: 'the vault key is damaged', text: 'The file must hold 64 hex digits.', wrong: '', right: 'the file from the backup' },
  { code: 'C067', title: 'the vault key can\'t be read or made', text: 'Its folder must exist and belong to the user who runs the controller.', wrong: '', right: '' },
  { code: 'C070', title: 'not a certificate request', text: 'Enrolment and renewal carry PKCS#10 in PEM.', wrong: '', right: 'what the agent makes' },
  { code: 'C071', title: 'the certificate request is not signed by its key', text: 'The sender does not hold the private key, or the request was changed.', wrong: '', right: 'a request made on the box' },
  { code: 'C072', title: 'a key of another kind', text: 'Devices have Ed25519 or P-256 keys.', wrong: 'RSA', right: 'Ed25519' },
  { code: 'C073', title: 'no client certificate', text: 'Everything but enrolment needs the certificate that enrolment gave.', wrong: '', right: 'enrol the box with a token' },
  { code: 'C074', title: 'a client certificate of another network', text: 'It was not issued by this network\'s authority.', wrong: '', right: 'enrol the box with a token of this network' },
  { code: 'C075', title: 'a client certificate that begins later', text: 'The controller\'s own clock is behind the time at which it issued the certificate.', wrong: '', right: 'check the controller\'s clock' },
  // ── workflows ──
  { code: 'C080', title: 'a command without its ids', text: 'Every command names its row and its operation. The API makes both; somebody else spoke to Temporal.', wrong: '', right: 'commands go through the API' },
  { code: 'C081', title: 'too many changes wait', text: 'Changes are carried out one after another, and 50 wait already.', wrong: 'a script that applies in a loop', right: 'causeway rollout watch, then apply' },
  { code: 'C082', title: 'nobody gave this command', text: 'A workflow asked for a change that no row in the database authorises, or one that was carried out before. Nothing was changed.', wrong: 'a signal sent to Temporal by hand', right: 'commands go through the API' },
  { code: 'C083', title: 'there is nothing to go back to', text: 'The first generation failed, or the generation before it no longer compiles.', wrong: '', right: 'mend the intent and apply it' },
  { code: 'C084', title: 'the change was rolled back', text: 'A gateway could not confirm its new bundle, so it restored the one before. The rollout was halted and the network got its former intent back, as a newer generation.', wrong: 'a rule that cuts a site off from its controller', right: 'causeway rollout watch, mend the intent, plan again' },
  { code: 'C085', title: 'an enrolled site is left out', text: 'The plan no longer names a site whose gateway is enrolled. Taking it out of the files does not wipe its keys.', wrong: 'rm sites/acme/berlin.yaml', right: 'causeway site decommission berlin, then remove the file' },
  { code: 'C086', title: 'a second box used the token', text: 'A bootstrap token is for one box. Two used this one, and only you know which of them is yours; the site waits in quarantine.', wrong: 'one token pasted into two boxes', right: 'causeway site token berlin' },
  { code: 'C087', title: 'the gateway did not say that it is wiped', text: 'It was away while its site was decommissioned. Its certificate is revoked and no peer knows its keys, but they may still be on its disk.', wrong: 'a box that was unplugged first', right: 'wipe the box by hand if you can reach it' },
  { code: 'C088', title: 'a peer still knows a site that is gone', text: 'The peer was away. It takes the newer bundle, without the site, when it comes back.', wrong: '', right: 'causeway site list' },
  { code: 'C089', title: 'the gateway kept what it had', text: 'It rolled the newest bundle back or refused it, and runs the one before. The finding has its reason.', wrong: '', right: 'mend what the reason names, then plan again' },
  { code: 'C090', title: 'the site could not be brought up', text: 'Its gateway is enrolled, but did not confirm its bundle or has no path that is UP. It is tried again by itself.', wrong: 'udp/51820 blocked on every uplink', right: 'causeway site log berlin' },
  { code: 'C091', title: 'not every path came up', text: 'The site carries traffic, but some of its paths are not UP, so a standby is missing.', wrong: 'a carrier that drops UDP on one uplink', right: 'causeway path list' },
] as const satisfies readonly CodePage[]

export type ControllerCode = (typeof controllerCodes)[number]['code']
const titles: ReadonlyMap<string, string> = new Map(controllerCodes.map(({ code, title }) => [code, title]))
const elsewhere: Readonly<Record<string, string>> = { A02: 'the token has expired', A03: 'the token was used by another box' }
export const titleOf = (code: string): string => titles.get(code) ?? elsewhere[code] ?? 'refused'

-- One network per database. Durable truth; Temporal is disposable. Times are timestamptz, ids text.
create extension if not exists btree_gist;

create table network (
  id text primary key, created_at timestamptz not null default now(),
  head int not null default 0,                 -- newest generation; moved by compare-and-swap
  term int not null default 1, frozen boolean not null default false
);
create unique index network_one on network ((true));

create table allocations (                     -- append-only; see fabric.Allocation
  kind text not null, owner text not null, value jsonb not null, scope text not null,   -- scope: value is unique within it
  released_at timestamptz, primary key (kind, owner)
);
create unique index allocations_value on allocations (kind, scope, value);

create table plans (
  id text primary key, base int not null, intent jsonb, intent_hash text not null,
  plan jsonb, verdict text not null check (verdict in ('passed','refused')), findings jsonb not null,
  fabric jsonb, fabric_hash text, claims jsonb not null default '[]', proof jsonb, compiler text not null,   -- apply runs exactly what was proven
  created_by text not null, created_at timestamptz not null default now(), applied_by_operation text,
  check (verdict = 'refused' or (intent is not null and plan is not null and fabric is not null and fabric_hash is not null and proof is not null))
);
create table generations (
  number int primary key, base int not null, plan_id text references plans(id),
  intent jsonb not null, fabric jsonb not null, fabric_hash text not null, compiler text not null,
  site_hashes jsonb not null, verdict text not null check (verdict in ('passed','refused')), proof jsonb not null,
  operation_id text not null unique, created_by text not null, created_at timestamptz not null default now()
);

create table commands (                        -- one row per mutation; mutating activities re-read it
  id text primary key, kind text not null, subject text not null, args jsonb not null, operation_id text not null,
  actor text not null, created_at timestamptz not null default now(), consumed_at timestamptz,
  idempotency_key text, unique (actor, idempotency_key)
);
create table audit (                           -- hash-chained, in the command's transaction
  seq bigint primary key generated always as identity, at timestamptz not null default now(), actor text not null, action text not null,
  subject text not null, detail jsonb not null, previous text not null, hash text not null
);
create table operations (
  id text primary key, kind text not null, subject text not null,
  state text not null check (state in ('running','succeeded','failed','rolled-back','cancelled')),
  started_at timestamptz not null default now(), ended_at timestamptz, result jsonb, findings jsonb not null default '[]'
);
create index operations_open on operations (started_at) where state = 'running';
create table operation_steps (                 -- idempotency: result stored in the step's own transaction
  operation_id text not null references operations(id), step text not null, result jsonb not null,
  at timestamptz not null default now(), primary key (operation_id, step)
);
create table events (
  seq bigint primary key generated always as identity, at timestamptz not null default now(),
  operation_id text, subject text not null, kind text not null, text text not null, data jsonb not null default '{}'
);
create index events_operation on events (operation_id, seq);

create table sites (
  id text primary key,
  state text not null check (state in ('DECLARED','INVITED','EXPIRED','CLAIMED','ENROLLED','QUARANTINED','PROVISIONING','ACTIVE','CHANGING','DRAINING','MAINTENANCE','REPLACING','REVOKED','DECOMMISSIONING','RETIRED')),
  role text not null, device text,             -- thumbprint of the enrolled key
  assigned jsonb, running jsonb, pending jsonb, confirmed jsonb,   -- Triple | null; pending {triple, nonce, deadline}
  commit jsonb, findings jsonb not null default '[]', inventory jsonb,   -- as last reported by the agent
  finding jsonb, last_seen timestamptz, headless_since timestamptz, state_since timestamptz not null default now()
);
create table tokens (
  id text primary key, site text not null, purpose text not null check (purpose in ('enrol','replace')),
  hash text not null unique, expires_at timestamptz not null, created_by text not null, created_at timestamptz not null default now(),
  redeemed_at timestamptz, claim_id text, revoked_at timestamptz
);
create index tokens_site on tokens (site);
create table claims (                          -- {token, key} → the same answer again
  id text primary key, token_id text not null references tokens(id), site text not null, thumbprint text not null,
  sealing_key text not null, serial text not null, inventory jsonb not null, certificate text,
  state text not null check (state in ('claimed','enrolled','quarantined','superseded')), created_at timestamptz not null default now(),
  unique (token_id, thumbprint)
);
create table certificates (
  serial text primary key, site text not null, thumbprint text not null, previous text, pem text not null,
  not_after timestamptz not null, issued_at timestamptz not null default now(), revoked_at timestamptz,
  seen_at timestamptz                          -- first used: a renewal whose answer was lost has a successor that never was
);

create index certificates_thumbprint on certificates (thumbprint);

create table facts (
  kind text not null, owner text not null,     -- key: site/interface/epoch; endpoint: tunnel/site
  site text not null, fact jsonb not null, at timestamptz not null default now(), primary key (kind, owner)
);
create index facts_site on facts (site);
create table bundles (
  site text not null, term int not null, generation int not null, revision int not null,
  hash text not null, config jsonb not null, signed jsonb, operation_id text, created_at timestamptz not null default now(),
  primary key (site, term, generation, revision)
);
create table permits (
  site text not null, nonce text not null, triple jsonb not null, granted_at timestamptz not null default now(), primary key (site, nonce)
);
create table paths (                           -- last report, one row an end
  tunnel text not null, site text not null, state text not null, since timestamptz not null, rtt_ms double precision, loss double precision, jitter_ms double precision,
  active_classes jsonb not null default '[]', at timestamptz not null default now(), primary key (tunnel, site)
);
create table secrets (                         -- vault: ciphertext only
  id text not null, version int not null, wrapped_key bytea not null, ciphertext bytea not null, fingerprint text not null,
  created_at timestamptz not null default now(), primary key (id, version)
);
create table access_tokens (
  id text primary key, hash text not null unique, name text not null, role text not null, created_at timestamptz not null default now(), revoked_at timestamptz
);

-- Cloud regions, what was made in them, drills and their evidence. No secret is in any of these.
create table regions (
  id text primary key, provider text not null, location text not null,
  state text not null check (state in ('DECLARED','CREATING','ACTIVE','CHANGING','FAILED','DELETING','RETIRED')),
  config jsonb, generation int,                -- the fabric's Region as last begun, and where it stands
  reached text, tried text,                    -- hashes of the Region that the cloud holds, and of the one last begun
  routes jsonb not null default '[]',          -- return routes as last ordered: [prefix, connection]
  down jsonb not null default '[]',            -- connections that carry no return traffic
  finding jsonb, findings jsonb not null default '[]',   -- of the state; of the last comparison with the cloud
  checked_at timestamptz, state_since timestamptz not null default now()
);
-- One row a resource, committed before each create: who may make it, since when, and how far that came.
-- It is the compensation's record too: what is 'making' may exist, and owns what can't be tagged.
create table cloud_resources (
  region text not null references regions(id), id text not null, type text not null, cloud_id text,
  state text not null check (state in ('making','ready','gone')),
  fence bigint not null, holder text not null, lease_until timestamptz not null, begun_at timestamptz not null,
  resume text, operation_id text not null, primary key (region, id)
);
create table drills (
  id text primary key, site text not null, uplink text not null, seconds int not null, operation_id text not null unique,
  state text not null check (state in ('GATED','REFUSED','ORDERED','BROKEN','HEALED','FAILED')),
  gate jsonb, ordered jsonb, measured jsonb, evidence text,
  created_by text not null, created_at timestamptz not null default now(), broken_at timestamptz, healed_at timestamptz
);
create index drills_site on drills (site, created_at);
create table evidence (
  id text primary key, subject text not null, signed jsonb not null, at timestamptz not null default now()
);

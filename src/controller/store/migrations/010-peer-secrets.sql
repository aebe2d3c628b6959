-- Which version of its pre-shared key each peer has; the key itself is in the vault only.
create table peer_secrets (
  peer text not null, version int not null, fingerprint text not null,
  origin text not null check (origin in ('made','given')),   -- by us, or by the peer's owner
  created_by text not null, created_at timestamptz not null default now(),
  shown_by text, shown_at timestamptz, primary key (peer, version)
);

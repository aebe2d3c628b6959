-- When the keys of a path's tunnel last shook hands, as its site's kernel says.
alter table paths add column handshake_at timestamptz;
-- Bursts of probes that people asked for. The order is signed when the box asks; what nobody answers by `until` is nothing.
create table path_tests (
  id text primary key, site text not null, tunnels jsonb not null, count int not null,
  until timestamptz not null, result jsonb, created_at timestamptz not null default now()
);
create index path_tests_open on path_tests (site, until) where result is null;

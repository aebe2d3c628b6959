-- A box that is to take another's place at its site, which runs on until then. One a site.
create table replacements (
  site text primary key references sites(id), operation_id text not null references operations(id),
  device text, claim_id text references claims(id),   -- once an operator approved it
  assigned jsonb, running jsonb, commit jsonb, pending jsonb, findings jsonb not null default '[]', inventory jsonb, last_seen timestamptz,   -- as in sites, of this box
  up jsonb not null default '[]',              -- tunnels that it says are up
  keys jsonb not null default '[]',            -- facts: its own public keys, not the site's yet
  former jsonb,                                -- facts: the keys of the box before, from the takeover until that is over
  failed text                                  -- why the last takeover was taken back
);
alter table claims drop constraint claims_state_check;
alter table claims add constraint claims_state_check check (state in ('claimed','enrolled','quarantined','superseded','replaced'));

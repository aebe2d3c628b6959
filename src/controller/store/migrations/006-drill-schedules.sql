-- Drills that the system commands by itself; Temporal's schedules are made from these rows, and go without one.
create table drill_schedules (
  site text not null, uplink text not null, seconds int not null, every_seconds int not null, first_at timestamptz not null,
  created_by text not null, created_at timestamptz not null default now(), primary key (site, uplink)
);
-- Commanded by the schedule of its site and uplink.
alter table drills add column scheduled boolean not null default false;

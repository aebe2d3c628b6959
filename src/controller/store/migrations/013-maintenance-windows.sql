-- A rollout also waits for a maintenance window, until it opens by itself, or somebody lets it go on outside of it.
alter table operations
  drop constraint operations_phase_check,
  add constraint operations_phase_check check (phase in ('paused','waiting','released','aborting','rolling-back')),
  add column phase_until timestamptz;          -- of one that waits

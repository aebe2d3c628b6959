-- A rollout that does not simply go forward: what people said, and since when. Null again once it goes on or has ended.
alter table operations
  add column phase text check (phase in ('paused','aborting','rolling-back')),
  add column phase_by text,                    -- name of the person or program; null of a way back that nobody asked for
  add column phase_since timestamptz;

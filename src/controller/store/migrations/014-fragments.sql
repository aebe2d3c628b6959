-- Who said what: the files of a generation, each with its owner. Rows from before name nobody.
alter table plans
  add column owner text,                         -- who planned; null: nobody in particular, as when going back
  add column fragments jsonb not null default '[]',
  add column handed jsonb not null default '[]'; -- what goes from one owner to another
alter table generations
  add column owner text,
  add column fragments jsonb not null default '[]';

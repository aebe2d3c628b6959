-- A site's service window, and what its box last said of it.
alter table sites add column drain jsonb, add column drain_report jsonb;

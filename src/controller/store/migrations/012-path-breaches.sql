-- Which classes' SLAs a path breaches; null where an agent does not tell.
alter table paths add column breaches jsonb;

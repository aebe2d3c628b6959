-- Of the path's end, as last said: which classes go to which remotes over it, and bit/s away from the site and towards
-- it. Null: not told, or not known yet.
alter table paths add column uses jsonb, add column load_up double precision, add column load_down double precision;
-- How many orders the box was given: one that is out of date is refused, and given again.
alter table drills add column attempt int not null default 0;

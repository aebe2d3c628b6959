-- Seconds between a site's reports, as it was last told: it grows with the fleet, and with it how long silence may last.
alter table sites add column report_every int not null default 5;

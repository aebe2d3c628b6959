-- Nothing ever led there: a box that is doubted is quarantined.
alter table sites
  drop constraint sites_state_check,
  add constraint sites_state_check check (state in ('DECLARED','INVITED','EXPIRED','CLAIMED','ENROLLED','QUARANTINED','PROVISIONING','ACTIVE','CHANGING','DRAINING','MAINTENANCE','REPLACING','DECOMMISSIONING','RETIRED'));

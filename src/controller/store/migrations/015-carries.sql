-- Of two gateways at a site: whether this one has its LANs; null where it is alone, or has not said so.
alter table sites add column carries boolean;

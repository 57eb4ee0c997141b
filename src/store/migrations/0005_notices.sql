-- What is to be told about deployments. A row is written together with the entry it is about, so a crash loses none.
create table outbox (
  id         integer primary key autoincrement,
  app        text not null,
  deployment integer not null references deployments (id),
  -- 'accepted', 'fetched', or the word of the verdict
  moment     text not null,
  at         integer not null,
  open       integer not null default 1,
  -- who is told and how far that is; empty until somebody has looked into the settings
  deliveries text not null default '[]'
) strict;

create index open_outbox on outbox (open, id);
create index outbox_of on outbox (deployment);

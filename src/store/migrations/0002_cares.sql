-- What is done about backups outside of deployments. The record is everything; the rest is derived from it.
create table cares (
  id     integer primary key autoincrement,
  app    text not null,
  asked  integer not null,
  -- 'running', 'done' or 'failed'
  state  text not null,
  record text not null
) strict;

-- One at a time for each application, whoever asks.
create unique index one_care on cares (app) where state = 'running';

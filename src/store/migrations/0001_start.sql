-- Deployments are numbered for good; a number is never used twice.
create table deployments (
  id       integer primary key autoincrement,
  app      text not null,
  kind     text not null,
  wanted   text not null,
  by       text not null,
  accepted integer not null,
  -- 'running', or the word of the verdict
  state    text not null,
  ended    integer,
  revision text,
  subject  text,
  release  integer not null
) strict;

-- One at a time for each application, whoever asks.
create unique index one_running on deployments (app) where state = 'running';
create index by_app on deployments (app, id);

-- The state of a deployment is its journal; everything else here is derived from it.
create table journal (
  deployment integer not null references deployments (id),
  seq        integer not null,
  at         integer not null,
  boot       text not null,
  fact       text not null,
  primary key (deployment, seq)
) strict, without rowid;

-- The release that was last verified.
create table good (
  app        text primary key,
  release    integer not null,
  deployment integer not null
) strict;

-- What was built here, and from what.
create table releases (
  id       integer primary key,
  app      text not null,
  revision text not null,
  subject  text not null
) strict;

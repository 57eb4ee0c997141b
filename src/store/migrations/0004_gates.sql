-- What stands in the way of deployments until somebody takes it away, or until a moment.
create table holds (
  app    text not null,
  -- 'lock', 'freeze' or 'pause'
  kind   text not null,
  until  integer,
  reason text not null,
  by     text not null,
  at     integer not null,
  primary key (app, kind)
) strict, without rowid;

-- Revisions that failed here, which no trigger tries again.
create table quarantined (
  app        text not null,
  revision   text not null,
  deployment integer not null,
  reason     text not null,
  at         integer not null,
  -- a person lets triggers try it again
  forgiven   integer not null default 0,
  primary key (app, revision)
) strict, without rowid;

-- A deployment that waits for its gates is still the only one of its application.
drop index one_running;
create unique index one_open on deployments (app) where state in ('running', 'waiting');

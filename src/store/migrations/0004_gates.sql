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

-- What somebody said about a deployment that waits for approval; the last word counts.
create table decisions (
  deployment integer primary key references deployments (id),
  content    text not null,
  approved   integer not null,
  by         text not null,
  reason     text not null,
  at         integer not null
) strict;

-- Who did what: written once, each entry's hash covering the one before it.
create table audit (
  seq    integer primary key,
  app    text not null,
  record text not null,
  hash   text not null
) strict;
create trigger audit_is_not_changed before update on audit begin select raise(abort, 'the audit is append-only'); end;
create trigger audit_is_not_removed before delete on audit begin select raise(abort, 'the audit is append-only'); end;

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

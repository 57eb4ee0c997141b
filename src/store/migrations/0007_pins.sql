-- Releases that are kept until somebody takes the pin away.
create table pins (
  app     text not null,
  release integer not null,
  reason  text not null,
  by      text not null,
  at      integer not null,
  primary key (app, release)
) strict, without rowid;

-- Hints that there may be something new, so that none is lost. What comes of one is decided when it is its turn.
create table pushes (
  id         integer primary key autoincrement,
  app        text not null,
  at         integer not null,
  trigger    text not null,
  by         text not null,
  -- what the forge calls the delivery
  delivery   text,
  -- the commit that the sender names
  revision   text,
  -- 1: that commit itself is wanted, and not what the remote says when it is asked
  pinned     integer not null,
  -- 'waiting', 'taken', 'nothing-new', 'superseded' or 'refused'
  state      text not null,
  note       text not null,
  deployment integer references deployments (id)
) strict;

create index waiting_pushes on pushes (app, id) where state = 'waiting';
-- The same one twice is one. A delivery's id is not signed, so the commit counts as well.
create unique index one_delivery on pushes (app, delivery) where delivery is not null;
create unique index one_push on pushes (app, revision) where revision is not null and pinned = 0;

-- Keys of programs: only what proves that one is known, never the key.
create table keys (
  name    text primary key,
  hash    text not null unique,
  app     text not null,
  -- what it may do, separated by commas
  verbs   text not null,
  created integer not null,
  used    integer
) strict;

-- Which commit was proven to live on which schema: by the rehearsal of this deployment. Revisions are sorted, with commas.
create table proven (
  app        text not null,
  schema     text not null,
  revision   text not null,
  deployment integer not null,
  primary key (app, schema, revision)
) strict, without rowid;

-- Which release migrated to which schema: it may be the only one that knows it.
create table migrated (
  app     text not null,
  schema  text not null,
  release integer not null,
  primary key (app, schema)
) strict, without rowid;

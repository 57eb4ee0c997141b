//! What changes the fingerprint, and what does not.

use super::*;

/// Something of everything.
const SCHEMA: &str = "
    create schema side;
    create type mood as enum ('good', 'bad');
    create domain price as numeric(10, 2) default 0 check (value >= 0);
    create sequence counter;
    create table customer (id serial primary key, name text not null default 'nobody', mood mood, since timestamptz default '2020-01-01 00:00+02');
    create table side.bill (id int generated always as identity, customer int references customer, total price, check (total < 100000)) with (fillfactor = 70);
    create index bill_customer on side.bill (customer) where total > 0;
    create view rich as select c.name, sum(b.total) as total from customer c join side.bill b on b.customer = c.id group by c.name;
    create materialized view poor as select * from rich where total < 1;
    create function touch() returns trigger language plpgsql as $$ begin return new; end $$;
    create trigger touched before update on customer for each row execute function touch();
    create table part (day date, what text) partition by range (day);
    create table part_2020 partition of part for values from ('2020-01-01') to ('2021-01-01');
    create table alembic_version (version_num varchar(32)); insert into alembic_version values ('a1');
    comment on table customer is 'who buys';
    alter table customer drop column since; alter table customer add column since date;
";

#[tokio::test]
async fn every_kind_of_change_is_seen() {
    let scratch = Scratch::new("seen").await;
    scratch.app(SCHEMA).await;
    let print = async || scratch.cluster.fingerprint("seen", Some("alembic_version")).await.unwrap();
    let mut last = print().await;
    assert_eq!(last, print().await);
    assert_eq!(last.len(), 64);
    for change in [
        "alter table customer add column email text",
        "alter table customer alter email type varchar(99)",
        "alter table customer alter email set default ''",
        "alter table customer alter name drop not null",
        "alter table customer rename email to mail",
        "alter table customer drop column mail",
        "alter table side.bill add constraint big check (total > 1) not valid",
        "alter table side.bill validate constraint big",
        "create index mooded on customer (mood)",
        "drop index mooded",
        "create unique index mooded on customer (mood) nulls not distinct",
        "alter type mood add value 'odd' after 'good'",
        "alter type mood rename value 'odd' to 'strange'",
        "alter domain price set default 1",
        "alter sequence counter increment 5",
        "create or replace view rich as select c.name, sum(b.total) + 1 as total from customer c join side.bill b on b.customer = c.id group by c.name",
        "drop materialized view poor",
        "create or replace function touch() returns trigger language plpgsql as $$ begin return null; end $$",
        "alter table customer disable trigger touched",
        "drop trigger touched on customer",
        "create rule quiet as on delete to customer do instead nothing",
        "alter table customer enable row level security",
        "create policy own on customer using (name = current_user)",
        "create table part_2021 partition of part for values from ('2021-01-01') to ('2022-01-01')",
        "alter table part detach partition part_2021",
        "create statistics together on name, mood from customer",
        "create aggregate total (int) (sfunc = int4pl, stype = int)",
        "create cast (mood as int) with inout",
        "create schema more",
        "grant select on customer to public",
        "revoke execute on function touch() from public",
        "comment on column customer.name is 'first and last'",
        "comment on table customer is null",
        "alter table customer set (fillfactor = 50)",
        "alter table item set unlogged",
        "create collation german (locale = 'C')",
        "update alembic_version set version_num = 'b2'",
        "create extension hstore",
    ] {
        let role = if change.starts_with("create extension") || change.starts_with("create cast") {
            "postgres"
        } else {
            "seen_app"
        };
        scratch.server.rows(role, "seen", change).await;
        let now = print().await;
        assert_ne!(now, last, "{change}");
        last = now;
    }
}

#[tokio::test]
async fn rows_statistics_and_rewrites_do_not_count() {
    let scratch = Scratch::new("rows").await;
    scratch.app(SCHEMA).await;
    let print = async || scratch.cluster.fingerprint("rows", Some("alembic_version")).await.unwrap();
    let before = print().await;
    for change in [
        "insert into customer (name) values ('a')",
        "select nextval('counter')::text",
        "analyze",
        "reindex table customer",
        "vacuum full customer",
        "begin; alter table customer add column gone int; rollback",
        "create temporary table passing (id int)",
        "alter database rows set search_path = side",
        "alter database rows set datestyle = 'SQL, DMY'",
    ] {
        scratch.app(change).await;
        assert_eq!(print().await, before, "{change}");
    }
}

#[tokio::test]
async fn copies_have_the_same_fingerprint() {
    let scratch = Scratch::new("same").await;
    scratch.app(SCHEMA).await;
    let before = scratch.cluster.fingerprint("same", Some("alembic_version")).await.unwrap();
    let (twin, _) = aside(&scratch);
    scratch.cluster.fence("same").await.unwrap();
    scratch.cluster.twin("same", &twin, false).await.unwrap();
    scratch.cluster.swap(&back(&scratch), None).await.unwrap();
    assert_eq!(scratch.cluster.fingerprint("same", Some("alembic_version")).await.unwrap(), before);

    scratch.root("create database same_restored owner same_app template template0").await;
    let bin = testing::programs();
    let at = format!("-h{}", scratch.server.socket_dir().display());
    let script = format!(
        "'{0}/pg_dump' '{at}' -U postgres same | '{0}/psql' '{at}' -U postgres -qX -v ON_ERROR_STOP=1 same_restored",
        bin.display()
    );
    let output = std::process::Command::new("bash").args(["-o", "pipefail", "-c", &script]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(scratch.cluster.fingerprint("same_restored", Some("alembic_version")).await.unwrap(), before);
}

/// What Alembic's `autocommit_block()` does: it commits what went before, and a later failure leaves that behind
/// while the version says that nothing happened.
#[tokio::test]
async fn a_half_applied_migration_is_seen_although_the_version_is_the_old_one() {
    let scratch = Scratch::new("half").await;
    scratch.app(SCHEMA).await;
    let before = scratch.cluster.fingerprint("half", Some("alembic_version")).await.unwrap();
    scratch.migrator("begin; alter table customer add column extra text; commit").await;
    scratch.migrator("insert into customer (name, mood) values ('a', 'good'), ('b', 'good')").await;
    let mut link = scratch.server.connect(MIGRATOR, "half").await.unwrap();
    let failed = sqlx::raw_sql("create unique index concurrently only_one on customer (mood)").execute(&mut link).await;
    assert!(failed.is_err());
    let with_invalid = scratch.cluster.fingerprint("half", Some("alembic_version")).await.unwrap();
    assert_ne!(with_invalid, before);
    scratch.migrator("drop index only_one").await;
    assert_ne!(scratch.cluster.fingerprint("half", Some("alembic_version")).await.unwrap(), before);
    scratch.migrator("alter table customer drop column extra").await;
    assert_eq!(scratch.cluster.fingerprint("half", Some("alembic_version")).await.unwrap(), before);
}

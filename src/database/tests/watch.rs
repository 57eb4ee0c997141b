//! What is seen of a migration.

use std::time::Duration;

use crate::database::MAINTENANCE;
use crate::database::testing::Scratch;
use crate::model::rehearsal::Watched;

/// Runs SQL as the application while somebody watches.
async fn watched(scratch: &Scratch, sql: &str) -> Watched {
    let mut watch =
        scratch.server.cluster("postgres").watch(&scratch.name, Some("public.alembic_version")).await.unwrap();
    tokio::select! {
        looked = watch.look_on() => panic!("{looked:?}"),
        _ = scratch.app(sql) => {}
    }
    watch.conclude().await.unwrap()
}

/// Of all tests together there is one server, so others may write transactions meanwhile.
#[tokio::test]
async fn locks_are_told_by_how_long_they_were_held() {
    let scratch = Scratch::new("watchlock").await;
    scratch.app("create table other (id int); create table alembic_version (v text)").await;
    let seen = watched(
        &scratch,
        "begin; alter table item add column price int; update alembic_version set v = 'x'; select pg_sleep(0.4); \
         create table fresh (id int); select pg_sleep(0.3); commit; begin; alter table other add column n int; commit",
    )
    .await;
    let long: Vec<_> = seen.locks.iter().filter(|lock| lock.ms > 100).collect();
    assert_eq!(long.len(), 1, "{seen:?}");
    assert_eq!((long[0].table.as_str(), long[0].mode_words().as_str()), ("public.item", "ACCESS EXCLUSIVE"));
    assert!((500..5000).contains(&long[0].ms), "{seen:?}");
    assert!(seen.rewritten.is_empty() && seen.transactions >= 2, "{seen:?}");
    assert!(seen.slowest.unwrap().text.contains("pg_sleep"));
}

#[tokio::test]
async fn a_table_that_is_written_anew_is_named() {
    let scratch = Scratch::new("watchrewrite").await;
    scratch.app("insert into item (name) select repeat('x', 1000) from generate_series(1, 5000) i").await;
    let seen = watched(&scratch, "alter table item alter column id type bigint").await;
    assert_eq!(seen.rewritten, ["public.item"]);
    assert!(seen.log_bytes > 5_000_000 && seen.peak > 5_000_000, "{seen:?}");
    assert!(seen.growth < 1_000_000, "{seen:?}");
}

#[tokio::test]
async fn what_a_failed_creation_leaves_is_named() {
    let scratch = Scratch::new("watchinvalid").await;
    scratch.app("insert into item (name) values ('a'), ('a'); alter table item add check (name > '') not valid").await;
    let cluster = scratch.server.cluster("postgres");
    assert!(cluster.invalid_indexes("watchinvalid").await.unwrap().is_empty());
    let mut app = scratch.server.connect(&scratch.owner, "watchinvalid").await.unwrap();
    let mut watch = cluster.watch("watchinvalid", None).await.unwrap();
    let failed = sqlx::query("create unique index concurrently item_name on item (name)").execute(&mut app).await;
    assert!(failed.is_err());
    sqlx::query("alter table item add constraint long check (name <> 'b') not valid").execute(&mut app).await.unwrap();
    let _ = tokio::time::timeout(Duration::from_millis(50), watch.look_on()).await;
    let seen = watch.conclude().await.unwrap();
    assert_eq!(seen.invalid, ["public.item_name"]);
    assert_eq!(seen.unvalidated, ["item.long"]);
    assert_eq!(cluster.invalid_indexes("watchinvalid").await.unwrap().len(), 1);
    assert!(cluster.invalid_indexes(MAINTENANCE).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_migration_does_not_begin_behind_somebody_who_stays() {
    use sqlx::Connection;
    let scratch = Scratch::new("strangers").await;
    let cluster = scratch.server.cluster(crate::database::MIGRATOR);
    let wait = async |patience| cluster.wait_for_strangers("strangers", Duration::from_millis(patience)).await.unwrap();
    assert_eq!(wait(100).await, Vec::<String>::new(), "nobody is there");
    let mut dump = scratch.server.connect("postgres", "strangers").await.unwrap();
    let mut open = dump.begin().await.unwrap();
    sqlx::query("select count(*) from item").execute(&mut *open).await.unwrap();
    let found = wait(4000).await;
    assert_eq!(found.len(), 1);
    assert!(found[0].contains(" of postgres"), "{found:?}");
    let (found, ()) = tokio::join!(wait(20_000), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        open.rollback().await.unwrap();
    });
    assert_eq!(found, Vec::<String>::new(), "it ended in time");
}

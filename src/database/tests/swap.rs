//! The twin, the way back, and a crash at every statement of it.

use super::*;
use crate::database::swap::{open, plan};

/// A database with something in every place that a copy loses.
async fn furnished(name: &str) -> (Scratch, Option<String>) {
    let scratch = Scratch::new(name).await;
    scratch
        .root(&format!(
            "revoke connect on database {name} from public; \
             alter database {name} connection limit 50; comment on database {name} is 'it''s the shop'; \
             alter database {name} set lock_timeout = '7s'; alter database {name} set search_path = own, \"$user\", public; \
             alter database {name} set datestyle = 'ISO, DMY'; grant set on parameter app.tenant to \"tsh-agent\"; alter database {name} set app.tenant = 'a\\b''c'; \
             alter role {name}_app in database {name} set search_path = \"My Schema\", public; \
             alter role {name}_app in database {name} set statement_timeout = '1min'"
        ))
        .await;
    scratch.app("set search_path = public; insert into item (name) values ('kept')").await;
    let access = scratch.cluster.access(name).await.unwrap();
    (scratch, access)
}

/// Fenced, copied, and then changed by a migration and a release that failed.
async fn failed(name: &str) -> (Scratch, Option<String>, Vec<Option<String>>) {
    let (scratch, access) = furnished(name).await;
    let before = bound(&scratch, name).await;
    scratch.cluster.fence(name).await.unwrap();
    scratch.cluster.twin(name, &aside(&scratch).0, false).await.unwrap();
    scratch
        .migrator("alter table public.item add column extra text; insert into public.item (name) values ('new')")
        .await;
    scratch.cluster.admit(name, &scratch.owner).await.unwrap();
    (scratch, access, before)
}

/// That the twin is live, complete, furnished like the database before and still fenced.
async fn went_back(scratch: &Scratch, access: Option<&str>, before: &[Option<String>]) {
    let (name, aside) = (&scratch.name, aside(scratch));
    assert_eq!(names(scratch).await, [name.clone(), aside.1.name().to_owned()]);
    assert_eq!(bound(scratch, name).await, before);
    assert!(!scratch.lets_in(&scratch.owner).await && scratch.lets_in(MIGRATOR).await);
    scratch.cluster.unfence(name, access).await.unwrap();
    assert_eq!(scratch.cluster.access(name).await.unwrap().as_deref(), access);
    assert_eq!(scratch.app("select name from public.item").await, [Some("kept".into())]);
    // The failed one had given out number 2, which may stand on somebody's invoice.
    let next = scratch.app("insert into public.item (name) values ('next') returning id::text").await;
    assert_eq!(next, [Some("3".into())]);
    assert!(scratch.server.connect(&scratch.owner, aside.1.name()).await.is_err(), "the quarantine lets nobody in");
    let kept = scratch.server.rows("postgres", aside.1.name(), "select name from public.item order by id").await;
    assert_eq!(kept, [Some("kept".into()), Some("new".into())]);
    let comment = format!("{:?}", bound(scratch, aside.1.name()).await);
    assert!(comment.contains(" / 4 / ") && comment.contains("failed deployment 7"), "{comment}");
}

#[tokio::test]
async fn the_twin_becomes_live_with_everything_that_was_bound() {
    let (scratch, access, before) = failed("swap").await;
    let worker = scratch.server.connect("swap_app", "swap").await.unwrap();
    let back = async || scratch.cluster.swap(&super::back(&scratch), access.as_deref()).await.unwrap();
    assert_eq!(back().await, Swapped::Now);
    assert_eq!(back().await, Swapped::Already);
    drop(worker);
    went_back(&scratch, access.as_deref(), &before).await;
    assert_eq!(back().await, Swapped::Already);
}

/// A pooler, or a program whose pool is full of dead sessions: gone, it comes again at once.
#[tokio::test]
async fn whoever_comes_again_and_again_does_not_keep_the_swap_away() {
    let (scratch, access, before) = failed("haunt").await;
    let (server, owner) = (scratch.server, scratch.owner.clone());
    let ghost = tokio::spawn(async move {
        loop {
            if let Ok(mut session) = server.connect(&owner, "haunt").await {
                sqlx::query("select pg_sleep(60)").execute(&mut session).await.unwrap_err();
            }
            tokio::task::yield_now().await;
        }
    });
    while scratch.root("select 1::text from pg_stat_activity where usename = 'haunt_app'").await.is_empty() {}
    let swapped = scratch.cluster.swap(&back(&scratch), access.as_deref()).await;
    ghost.abort();
    assert_eq!(swapped.unwrap(), Swapped::Now);
    assert!(ghost.await.unwrap_err().is_cancelled());
    went_back(&scratch, access.as_deref(), &before).await;
}

#[tokio::test]
async fn the_swap_survives_a_crash_after_every_statement() {
    let (scratch, access, before) = failed("crash").await;
    let swap = back(&scratch);
    let mut link = scratch.cluster.link(MAINTENANCE).await.unwrap();
    let todo = open(&mut link, &swap).await.unwrap().unwrap();
    scratch.cluster.settle_migration("crash").await.unwrap();
    let statements = plan(&mut link, &swap, access.as_deref(), todo).await.unwrap();
    close(link).await;
    assert!(statements.len() > 15, "{statements:#?}");
    let (names_before, bound_before) = (names(&scratch).await, bound(&scratch, "crash").await);
    for count in 0..=statements.len() {
        let mut link = scratch.cluster.link(MAINTENANCE).await.unwrap();
        run(&mut link, "begin", "begin").await.unwrap();
        for statement in &statements[..count] {
            run(&mut link, "swap", statement).await.unwrap();
        }
        drop(link); // the process is gone: nobody says rollback
        let gone = "select count(*)::text from pg_stat_activity where usename = 'tsh-agent' and state like 'idle in%' and query like '%crash%'";
        while scratch.root(gone).await != [Some("0".into())] {}
        assert_eq!(names(&scratch).await, names_before, "after {count} statements");
        assert_eq!(bound(&scratch, "crash").await, bound_before, "after {count} statements");
    }
    let done = scratch.cluster.swap(&swap, access.as_deref()).await.unwrap();
    assert_eq!(done, Swapped::Now);
    went_back(&scratch, access.as_deref(), &before).await;
}

#[tokio::test]
async fn a_swap_that_somebody_began_by_hand_is_finished() {
    let (scratch, access, before) = failed("hand").await;
    let (_, quarantine) = aside(&scratch);
    scratch.root(&format!("alter database hand rename to {}", quote(quarantine.name()))).await;
    let back = async || scratch.cluster.swap(&super::back(&scratch), access.as_deref()).await;
    assert_eq!(back().await.unwrap(), Swapped::Now);
    went_back(&scratch, access.as_deref(), &before).await;

    scratch.root("create database hand_pre_7").await;
    assert!(back().await.unwrap_err().to_string().contains("all exist"));
    scratch.root("alter database hand rename to hand_elsewhere").await;
    scratch.root("drop database hand_pre_7").await;
    assert!(back().await.unwrap_err().to_string().contains("hand is missing"));
}

#[tokio::test]
async fn without_a_twin_there_is_no_way_back() {
    let scratch = Scratch::new("alone").await;
    let error = scratch.cluster.swap(&back(&scratch), None).await.unwrap_err();
    assert!(error.to_string().contains("no alone_pre_7"), "{error}");
}

#[tokio::test]
async fn a_twin_is_made_once_and_nobody_gets_in() {
    let (scratch, _) = furnished("twice").await;
    let (twin, _) = aside(&scratch);
    scratch.cluster.fence("twice").await.unwrap();
    scratch.cluster.twin("twice", &twin, false).await.unwrap();
    scratch.cluster.twin("twice", &twin, true).await.unwrap();
    assert!(scratch.server.connect("postgres", twin.name()).await.is_err());
    let taken = scratch.cluster.twin("twice", &twin, false).await.unwrap_err();
    assert!(taken.to_string().contains("exists already"), "{taken}");

    scratch.root(&format!("alter database {} allow_connections true", twin.name())).await;
    assert!(scratch.cluster.twin("twice", &twin, true).await.is_err(), "somebody may have written to it");
    scratch.root(&format!("update pg_database set datconnlimit = -2 where datname = '{}'", twin.name())).await;
    scratch.cluster.twin("twice", &twin, true).await.unwrap();
    assert!(scratch.server.connect("postgres", twin.name()).await.is_err());
}

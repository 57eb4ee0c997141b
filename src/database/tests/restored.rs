//! What a restore needs: an empty database beside, what leaves, and numbers that are given out once.

use std::time::Duration;

use super::*;
use crate::model::backup::Locale;
use crate::model::leaving::Leaving;

async fn locale(scratch: &Scratch) -> Locale {
    let mut moment = scratch.cluster.snapshot(&scratch.name).await.unwrap();
    let locale = moment.locale().await.unwrap();
    moment.close().await;
    locale
}

async fn leaving(scratch: &Scratch, db: &str, moment: Option<&str>) -> Vec<(String, u64, Option<u64>)> {
    let all = scratch.cluster.written_since(db, moment, Duration::from_secs(60)).await.unwrap();
    assert!(all.iter().all(|table| table.counted));
    all.into_iter().map(|Leaving { name, rows, since, .. }| (name, rows, since)).collect()
}

#[tokio::test]
async fn the_room_for_a_restore_is_like_the_live_one_and_nobody_gets_in() {
    let scratch = Scratch::new("room").await;
    let room = Aside::restored("room", DeploymentId(7));
    for _ in 0..2 {
        scratch.cluster.make_room("room", &room, &locale(&scratch).await, "room_app").await.unwrap();
        assert!(scratch.server.connect("room_app", room.name()).await.is_err(), "the owner gets in");
        let mut filling = scratch.server.connect(MIGRATOR, room.name()).await.unwrap();
        // What an attempt left, and its backend that goes on, are in nobody's way.
        sqlx::raw_sql("set role room_app; create table half (id int); begin; lock half")
            .execute(&mut filling)
            .await
            .unwrap();
    }
    let same = "select count(distinct (encoding, datcollate, datctype, datdba))::text from pg_database where datname like 'room%'";
    assert_eq!(scratch.root(same).await, [Some("1".into())]);

    scratch.root("create database room_restored_8 owner room_app").await;
    let taken = Aside::restored("room", DeploymentId(8));
    let error = scratch.cluster.make_room("room", &taken, &locale(&scratch).await, "room_app").await.unwrap_err();
    assert!(error.to_string().contains("is not dropped"), "{error}");
}

#[tokio::test]
async fn what_was_written_since_is_told_by_the_snapshot() {
    let scratch = Scratch::new("since").await;
    scratch.app("insert into item (name) select 'old' from generate_series(1, 10)").await;
    scratch.app("create table empty (); create table other (id int); insert into other values (1)").await;
    // A writer that is not done yet belongs to those that leave.
    let mut open = scratch.server.connect("since_app", "since").await.unwrap();
    sqlx::raw_sql("begin; insert into item (name) values ('open')").execute(&mut open).await.unwrap();
    let moment = scratch.cluster.moment().await.unwrap();
    sqlx::raw_sql("commit").execute(&mut open).await.unwrap();
    scratch.app("insert into item (name) values ('new'), ('new')").await;
    scratch.app("update item set name = 'changed' where id = 1; delete from item where id = 2").await;
    assert_eq!(
        leaving(&scratch, "since", Some(&moment)).await,
        [("empty".into(), 0, Some(0)), ("item".into(), 12, Some(4)), ("other".into(), 1, Some(0))]
    );
    assert_eq!(leaving(&scratch, "since", None).await[1], ("item".into(), 12, None));
    // A freeze changes no row.
    scratch.app("vacuum freeze item").await;
    assert_eq!(leaving(&scratch, "since", Some(&moment)).await[1], ("item".into(), 12, Some(4)));
    scratch.app("alter table item alter column name type varchar(200) using name || ''").await;
    assert_eq!(leaving(&scratch, "since", Some(&moment)).await[1], ("item".into(), 12, Some(12)));
    let hurried = scratch.cluster.written_since("since", Some(&moment), Duration::ZERO).await;
    assert!(hurried.is_err() || hurried.unwrap().iter().all(|table| !table.counted));
    assert!(scratch.cluster.system().await.unwrap().parse::<u64>().unwrap() > 0);
}

#[tokio::test]
async fn no_number_is_given_out_twice() {
    let scratch = Scratch::new("numbers").await;
    scratch
        .app(
            "create sequence ahead; create sequence down increment -1; create sequence round maxvalue 5 cycle; \
        create sequence small maxvalue 100; create sequence gone; create sequence never; \
        create schema \"Odd\"; create sequence \"Odd\".\"s\"\"1\"",
        )
        .await;
    let room = Aside::restored("numbers", DeploymentId(7));
    scratch.cluster.make_room("numbers", &room, &locale(&scratch).await, "numbers_app").await.unwrap();
    let beside = async |sql: &str| scratch.server.rows("postgres", room.name(), sql).await;
    beside(
        "set role numbers_app; create sequence ahead; select nextval('ahead') from generate_series(1, 90); \
        create sequence down increment -1; create sequence round maxvalue 5 cycle; create sequence small maxvalue 20; \
        create sequence gone increment -1; create sequence never; \
        create schema \"Odd\"; create sequence \"Odd\".\"s\"\"1\"",
    )
    .await;
    scratch
        .app(
            "select nextval('ahead'), nextval('gone'); select nextval('down') from generate_series(1, 7); \
        select nextval('round'); select nextval('small') from generate_series(1, 50); \
        select nextval('\"Odd\".\"s\"\"1\"') from generate_series(1, 3)",
        )
        .await;
    scratch.cluster.fence("numbers").await.unwrap();
    let swap = Swap {
        db: "numbers".into(),
        incoming: room.clone(),
        outgoing: Aside::quarantine("numbers", DeploymentId(7)),
        note: String::new(),
    };
    assert_eq!(scratch.cluster.swap(&swap, None).await.unwrap(), Swapped::Now);
    scratch.cluster.unfence("numbers", None).await.unwrap();
    let last = scratch.app("select concat_ws(' ', sequencename, last_value) from pg_sequences order by 1").await;
    let last: Vec<String> = last.into_iter().flatten().collect();
    assert_eq!(last, ["ahead 90", "down -7", "gone", "never", "round", "s\"1 3", "small 20"]);
    // Back again: what the restored one gave out is not given again either.
    scratch.app("select nextval('ahead')").await;
    scratch.cluster.fence("numbers").await.unwrap();
    let back = Swap { incoming: swap.outgoing.clone(), outgoing: room.clone(), ..swap.clone() };
    assert_eq!(scratch.cluster.swap(&back, None).await.unwrap(), Swapped::Now);
    assert_eq!(scratch.cluster.swap(&back, None).await.unwrap(), Swapped::Already);
    scratch.cluster.unfence("numbers", None).await.unwrap();
    assert_eq!(scratch.app("select nextval('ahead')::text").await, [Some("92".into())]);
}

#[tokio::test]
async fn a_swap_sends_everybody_away_and_goes_on() {
    let scratch = Scratch::new("crowd").await;
    let room = Aside::restored("crowd", DeploymentId(7));
    scratch.cluster.make_room("crowd", &room, &locale(&scratch).await, "crowd_app").await.unwrap();
    scratch.cluster.fence("crowd").await.unwrap();
    // Behind the fence the migration's role still gets in, and may sit in either of them in the middle of something.
    let mut sitting = Vec::new();
    for db in ["crowd", room.name()] {
        let mut link = scratch.server.connect(MIGRATOR, db).await.unwrap();
        sqlx::raw_sql("begin; select 1").execute(&mut link).await.unwrap();
        sitting.push(link);
    }
    let swap = Swap {
        db: "crowd".into(),
        incoming: room.clone(),
        outgoing: Aside::quarantine("crowd", DeploymentId(7)),
        note: "tsh-agent: it's aside".into(),
    };
    assert_eq!(scratch.cluster.swap(&swap, None).await.unwrap(), Swapped::Now);
    assert_eq!(names(&scratch).await, ["crowd", "crowd_quarantine_7"]);
    for mut link in sitting {
        assert!(sqlx::raw_sql("select 1").execute(&mut link).await.is_err(), "a session survived the swap");
    }
}

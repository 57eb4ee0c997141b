//! Who gets in, and who is sent away.

use super::*;

#[tokio::test]
async fn the_fence_lets_in_the_migration_alone() {
    let scratch = Scratch::new("fence").await;
    scratch.root("create role fence_reader login; create role fence_group; grant fence_group to fence_reader; grant connect, temporary on database fence to fence_group with grant option").await;
    let before = scratch.cluster.access("fence").await.unwrap();
    let application = scratch.server.connect("fence_app", "fence").await.unwrap();
    let reader = scratch.server.connect("fence_reader", "fence").await.unwrap();

    let mut ended = scratch.cluster.fence("fence").await.unwrap();
    ended.sort();
    assert_eq!(ended, ["fence_app at the local socket (test)", "fence_reader at the local socket (test)"]);
    drop((application, reader));
    for role in ["fence_app", "fence_reader"] {
        assert!(!scratch.lets_in(role).await, "{role}");
    }
    assert!(scratch.lets_in(MIGRATOR).await && scratch.lets_in(AGENT).await);
    assert!(scratch.cluster.fingerprint("fence", None).await.is_ok());
    assert_eq!(scratch.cluster.fence("fence").await.unwrap(), Vec::<String>::new());

    scratch.cluster.admit("fence", "fence_app").await.unwrap();
    scratch.cluster.admit("fence", "fence_app").await.unwrap();
    assert!(scratch.lets_in("fence_app").await && !scratch.lets_in("fence_reader").await);

    for _ in 0..2 {
        scratch.cluster.unfence("fence", before.as_deref()).await.unwrap();
        assert_eq!(scratch.cluster.access("fence").await.unwrap(), before);
    }
    assert!(scratch.lets_in("fence_reader").await);
}

#[tokio::test]
async fn the_default_access_comes_back_as_what_it_means() {
    let scratch = Scratch::new("plain").await;
    assert_eq!(scratch.cluster.access("plain").await.unwrap(), None);
    scratch.cluster.fence("plain").await.unwrap();
    scratch.cluster.unfence("plain", None).await.unwrap();
    let access = scratch.cluster.access("plain").await.unwrap();
    assert_eq!(access.as_deref(), Some("{=Tc/plain_app,plain_app=CTc/plain_app}"));
}

#[tokio::test]
async fn names_that_need_quotes_survive_the_fence() {
    let scratch = Scratch::new("odd \"one\" it's").await;
    let role = quote(r#"r,e "p" o'rt"#);
    scratch.root(&format!("create role {role} login; revoke connect on database {0} from public; grant connect on database {0} to {role}", quote(&scratch.name))).await;
    let before = scratch.cluster.access(&scratch.name).await.unwrap();
    scratch.cluster.fence(&scratch.name).await.unwrap();
    assert!(!scratch.lets_in(r#"r,e "p" o'rt"#).await);
    scratch.cluster.unfence(&scratch.name, before.as_deref()).await.unwrap();
    assert_eq!(scratch.cluster.access(&scratch.name).await.unwrap(), before);
    assert!(scratch.lets_in(r#"r,e "p" o'rt"#).await);
}

#[tokio::test]
async fn a_session_that_cannot_be_ended_is_named() {
    let scratch = Scratch::new("busy").await;
    let cluster = Cluster { patience: Duration::from_millis(300), ..scratch.cluster.clone() };
    let session = scratch.server.connect("postgres", "busy").await.unwrap();
    let error = cluster.fence("busy").await.unwrap_err();
    let DatabaseError::Busy { pid: Some(pid), .. } = error else { panic!("{error:?}") };
    let text = error.to_string();
    assert_eq!(
        text,
        format!("database busy is in use by postgres at the local socket (test), pid {pid}, which could not be ended")
    );
    assert!(error.hint().contains(&format!("pg_terminate_backend({pid})")));
    drop(session);
}

#[tokio::test]
async fn what_could_not_be_undone_is_refused_before_anything_changes() {
    let scratch = Scratch::new("refused").await;
    let refused = async || {
        let error = scratch.cluster.fence("refused").await.unwrap_err();
        assert!(matches!(error, DatabaseError::Refused { .. }), "{error:?}");
        assert!(scratch.lets_in("refused_app").await);
        error.to_string()
    };
    scratch.app("begin; insert into item (name) values ('x'); prepare transaction 'held'").await;
    assert!(refused().await.contains("1 prepared transactions"));
    scratch.app("rollback prepared 'held'").await;

    let slot = "select pg_create_logical_replication_slot('refused_slot', 'test_decoding')::text";
    scratch.server.rows("postgres", "refused", slot).await;
    assert!(refused().await.contains("1 logical replication slots"));
    scratch.server.rows("postgres", "refused", "select pg_drop_replication_slot('refused_slot')::text").await;

    let subscription = "create subscription refused_sub connection 'dbname=x' publication p with (connect = false)";
    scratch.server.rows("postgres", "refused", subscription).await;
    assert!(refused().await.contains("1 subscriptions"));
    scratch.server.rows("postgres", "refused", "alter subscription refused_sub set (slot_name = none)").await;
    scratch.server.rows("postgres", "refused", "drop subscription refused_sub").await;

    scratch.root("alter database refused set log_min_duration_statement = '1s'").await;
    assert!(refused().await.contains("log_min_duration_statement"));
    scratch.root("alter database refused reset log_min_duration_statement; create role refused_other; alter role refused_other in database refused set work_mem = '8MB'").await;
    assert!(refused().await.contains("refused_other"));
    scratch.root("alter role refused_other in database refused reset all; alter role refused_app superuser").await;
    assert!(refused().await.contains("superuser refused_app"));
    scratch.root("alter role refused_app nosuperuser; alter database refused owner to postgres").await;
    assert!(refused().await.contains("superuser postgres"));
    scratch.root("create role refused_third; alter database refused owner to refused_third").await;
    assert!(refused().await.contains("member of refused_third"));
    scratch.root("alter database refused owner to refused_app").await;
    scratch.cluster.check("refused").await.unwrap();
}

#[tokio::test]
async fn a_dead_migration_is_settled() {
    let scratch = Scratch::new("settle").await;
    let mut migration = scratch.server.connect(MIGRATOR, "settle").await.unwrap();
    let mut application = scratch.server.connect("settle_app", "settle").await.unwrap();
    sqlx::raw_sql("begin; insert into item (name) values ('half')").execute(&mut migration).await.unwrap();
    let ended = scratch.cluster.settle_migration("settle").await.unwrap();
    assert_eq!(ended, ["tsh-agent-migrate at the local socket (test)"]);
    let count: (i64,) = sqlx::query_as("select count(*) from item").fetch_one(&mut application).await.unwrap();
    assert_eq!(count, (0,));
}

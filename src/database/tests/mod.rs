//! Against a real PostgreSQL.

mod fence;
mod fingerprint;
mod guard;
mod restored;
mod swap;
mod watch;

use super::*;
use crate::model::names::DeploymentId;
use testing::{Scratch, Server};

/// The names of the databases around `db`.
async fn names(scratch: &Scratch) -> Vec<String> {
    let sql = format!("select datname::text from pg_database where datname like '{}%' order by 1", scratch.name);
    scratch.root(&sql).await.into_iter().flatten().collect()
}

/// Everything that is bound to a database, as text.
async fn bound(scratch: &Scratch, db: &str) -> Vec<Option<String>> {
    let sql = format!(
        "select concat_ws(' / ', pg_get_userbyid(datdba), datconnlimit, datallowconn, shobj_description(oid, 'pg_database')) \
           from pg_database where datname = '{db}' \
         union all \
         select concat_ws(' / ', pg_get_userbyid(nullif(setrole, 0)), array_to_string(setconfig, ' ; ')) \
           from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase where datname = '{db}' order by 1"
    );
    scratch.root(&sql).await
}

/// Copy and quarantine of a scratch database in deployment 7.
fn aside(scratch: &Scratch) -> (Aside, Aside) {
    (Aside::twin(&scratch.name, DeploymentId(7)), Aside::quarantine(&scratch.name, DeploymentId(7)))
}

/// Going back in deployment 7.
fn back(scratch: &Scratch) -> Swap {
    let (incoming, outgoing) = aside(scratch);
    Swap { db: scratch.name.clone(), incoming, outgoing, note: "tsh-agent: left by the failed deployment 7".into() }
}

#[test]
fn names_and_texts_are_quoted() {
    assert_eq!(quote(r#"a"b"#), r#""a""b""#);
    assert_eq!(literal("it's"), "'it''s'");
    assert_eq!(literal(r"a\'b"), r"E'a\\''b'");
}

#[tokio::test]
async fn what_is_wrong_is_told_apart() {
    let scratch = Scratch::new("told").await;
    let missing = scratch.cluster.access("nowhere").await.unwrap_err();
    assert_eq!(missing.to_string(), "database nowhere does not exist");
    let missing = scratch.cluster.fingerprint("nowhere", None).await.unwrap_err();
    assert_eq!(missing, DatabaseError::NoDatabase("nowhere".into()));
    let role = Server::shared().cluster("nobody").access("told").await.unwrap_err();
    assert_eq!(role.to_string(), "PostgreSQL has no role nobody");
    let down = Cluster::at("/nonexistent", 5432, AGENT).access("told").await.unwrap_err();
    assert!(matches!(&down, DatabaseError::Down { socket, .. } if socket == "/nonexistent:5432"), "{down:?}");
    assert!(down.hint().contains("systemctl status postgresql"));
    scratch.root("revoke connect on database told from public, told_app").await;
    let shut = scratch.cluster.fingerprint("told", None).await.unwrap_err();
    assert!(matches!(shut, DatabaseError::NotLetIn { .. }), "{shut:?}");
}

#[tokio::test]
async fn revisions_are_read_wherever_the_table_is() {
    let scratch = Scratch::new("revs").await;
    let read = async |table: &str| scratch.cluster.schema_revisions("revs", table).await;
    assert_eq!(read("alembic_version").await.unwrap(), []);
    scratch.app("create schema own; create table own.alembic_version (version_num varchar(32)); insert into own.alembic_version values ('b1'), ('a1')").await;
    let heads = read("alembic_version").await.unwrap();
    assert_eq!(heads.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a1", "b1"]);
    assert_eq!(read("own.alembic_version").await.unwrap(), heads);
    scratch.app("create table alembic_version (version_num varchar(32))").await;
    assert!(read("alembic_version").await.unwrap_err().hint().contains("own.alembic_version"));
}

#[tokio::test]
async fn two_applications_share_the_roles() {
    let (one, two) = (Scratch::new("shop_a").await, Scratch::new("shop_b").await);
    for scratch in [&one, &two] {
        scratch.migrator("create table made (id int)").await;
        let owner = scratch.app("select tableowner from pg_tables where tablename = 'made'").await;
        assert_eq!(owner, [Some(scratch.owner.clone())]);
        assert_eq!(scratch.migrator("show lock_timeout").await, [Some("2s".into())]);
    }
    one.cluster.fence("shop_a").await.unwrap();
    assert!(!one.lets_in("shop_a_app").await && two.lets_in("shop_b_app").await);
}

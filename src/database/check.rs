//! What must be true of a database before it is fenced: found out while nothing has happened yet.

use sqlx::PgConnection;

use super::bound::Bound;
use super::{Cluster, DatabaseError, MAINTENANCE, MIGRATOR, Result, ask, close, run};

#[derive(sqlx::FromRow)]
struct Facts {
    owner: String,
    superuser: bool,
    member: bool,
    migrates: bool,
    creates: bool,
    prepared: i64,
    slots: i64,
    subscriptions: i64,
}

impl Cluster {
    /// Whether the agent can fence, copy and swap `db`. Changes nothing.
    ///
    /// # Errors
    /// [`DatabaseError::Refused`] names what is in the way.
    pub async fn check(&self, db: &str) -> Result<()> {
        let mut link = self.link(MAINTENANCE).await?;
        movable(&mut link, db).await?;
        close(link).await;
        Ok(())
    }
}

/// [`Cluster::check`] on a connection that is there already.
pub(super) async fn movable(link: &mut PgConnection, db: &str) -> Result<()> {
    let facts = facts(link, db).await?;
    if let Some(refusal) = refusal(db, &facts) {
        return Err(refusal);
    }
    settings(link, db).await
}

async fn facts(link: &mut PgConnection, db: &str) -> Result<Facts> {
    let sql = "select o.rolname::text as owner, o.rolsuper as superuser, \
                      pg_has_role(o.oid, 'usage') as member, \
                      coalesce((select pg_has_role(m.oid, 'usage') from pg_roles m where m.rolname = $2), false) as migrates, \
                      (select rolcreatedb from pg_roles where rolname = current_user) as creates, \
                      (select count(*) from pg_prepared_xacts p where p.database = d.datname) as prepared, \
                      (select count(*) from pg_replication_slots s where s.database = d.datname) as slots, \
                      (select count(*) from pg_subscription s where s.subdbid = d.oid) as subscriptions \
               from pg_database d join pg_roles o on o.oid = d.datdba where d.datname = $1";
    let doing = format!("look at database {db}");
    ask(&doing, sqlx::query_as(sql).bind(db).bind(MIGRATOR).fetch_optional(link))
        .await?
        .ok_or_else(|| DatabaseError::NoDatabase(db.to_owned()))
}

fn refusal(db: &str, facts: &Facts) -> Option<DatabaseError> {
    let owner = &facts.owner;
    let (what, hint) = if facts.superuser {
        (
            format!("database {db} belongs to the superuser {owner}, whom no fence keeps out"),
            "give the database to a role of the application that is no superuser".to_owned(),
        )
    } else if !facts.member || !facts.migrates || !facts.creates {
        (
            format!(
                "role tsh-agent must be able to create databases and be a member of {owner} (the owner of {db}) and of {MIGRATOR}"
            ),
            "`sudo tsh-agent init APP` makes them again".to_owned(),
        )
    } else if facts.prepared > 0 {
        (
            format!("database {db} has {} prepared transactions, which hold it in place", facts.prepared),
            "see pg_prepared_xacts; COMMIT PREPARED or ROLLBACK PREPARED each".to_owned(),
        )
    } else if facts.slots > 0 {
        (
            format!("database {db} has {} logical replication slots, which would not follow a swap", facts.slots),
            "see pg_replication_slots; deploy with lane \"stop\", or drop the slots".to_owned(),
        )
    } else if facts.subscriptions > 0 {
        (
            format!("database {db} has {} subscriptions, which write behind the fence", facts.subscriptions),
            "see pg_subscription; deploy with lane \"stop\", or drop the subscriptions".to_owned(),
        )
    } else {
        return None;
    };
    Some(DatabaseError::refused(what, hint))
}

/// Tries the settings that a swap must carry over on the database itself, and takes them back: what only a
/// superuser may set is better known now than in the middle of a rollback.
async fn settings(link: &mut PgConnection, db: &str) -> Result<()> {
    let bound = Bound::read(link, db).await?;
    run(link, "begin", "begin").await?;
    for statement in bound.settings(db) {
        if let Err(DatabaseError::Denied { why, .. } | DatabaseError::Failed { why, .. }) =
            run(link, "try a setting", &statement).await
        {
            return Err(DatabaseError::refused(
                format!("a setting bound to database {db} could not be carried over by a swap: {statement}: {why}"),
                "as a superuser, let role tsh-agent set it (grant set on parameter … to \"tsh-agent\"), or make tsh-agent a \
                 member of the role it is for, or set it for the whole server instead",
            ));
        }
    }
    run(link, "roll back", "rollback").await
}

//! Databases beside the live one: finding them, and forgetting them.

use std::time::Duration;

use super::access::{fenced, give_exactly, grants};
use super::{Aside, Cluster, DatabaseError, Kind, MAINTENANCE, Result, ask, close, quote, run_for, run_together};
use crate::model::backup::Locale;

/// Removing the files of a large database takes its time.
const REMOVAL: Duration = Duration::from_secs(300);

/// Connections to a database that stands aside: enough for the agent to count and to dump it, and a mark that it is one.
pub(super) const FEW: i32 = 4;

/// A database beside the live one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Its name, why it is there and for which deployment.
    pub aside: Aside,
    /// Its size on disk in bytes.
    pub bytes: u64,
    /// What it says about itself.
    pub comment: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Found {
    name: String,
    bytes: i64,
    comment: Option<String>,
}

impl Cluster {
    /// The twins and quarantines of `db`, oldest deployment first.
    ///
    /// # Errors
    /// If the server cannot be asked.
    pub async fn leftovers(&self, db: &str) -> Result<Vec<Leftover>> {
        let mut link = self.link(MAINTENANCE).await?;
        let sql = "select datname::text as name, shobj_description(oid, 'pg_database') as comment, \
                          case when datconnlimit <> -2 and has_database_privilege(oid, 'connect') \
                               then pg_database_size(oid) else 0 end as bytes \
                   from pg_database where datname ~ '_(pre|restored|quarantine)_[0-9]+$'";
        let found: Vec<Found> = ask("list the databases", sqlx::query_as(sql).fetch_all(&mut link)).await?;
        close(link).await;
        let mut leftovers: Vec<Leftover> = found
            .into_iter()
            .filter_map(|Found { name, bytes, comment }| {
                let aside = Aside::parse(db, &name)?;
                Some(Leftover { aside, bytes: u64::try_from(bytes).unwrap_or_default(), comment })
            })
            .collect();
        leftovers.sort_by_key(|leftover| leftover.aside.deployment);
        Ok(leftovers)
    }

    /// Forgets a twin or a quarantine of `db`. This is the only place where a database is ever dropped; it drops
    /// nothing that accepts the application's connections, whatever its name. One that is gone already is fine.
    ///
    /// # Errors
    /// If the name is not one of ours, the database does not look like a twin or a quarantine, or somebody reads it.
    pub async fn drop(&self, db: &str, aside: &Aside) -> Result<()> {
        let name = aside.name();
        let mut link = self.link_for(MAINTENANCE, REMOVAL).await?;
        let sql = "select datallowconn, datconnlimit, has_database_privilege(pg_get_userbyid(datdba), oid, 'connect') \
                   from pg_database where datname = $1";
        let doing = format!("look at database {name}");
        let found: Option<(bool, i32, bool)> =
            ask(&doing, sqlx::query_as(sql).bind(name).fetch_optional(&mut link)).await?;
        let Some((allows, limit, owner)) = found else {
            close(link).await;
            return Ok(());
        };
        // -2 is a drop that was interrupted.
        let closed = !allows || [0, -2].contains(&limit) || ((1..=FEW).contains(&limit) && !owner);
        if Aside::parse(db, name).as_ref() != Some(aside) || !closed {
            return Err(DatabaseError::refused(
                format!("database {name} does not stand aside from {db}, so it is not dropped"),
                "if it is to go, a person must do it".to_owned(),
            ));
        }
        if aside.kind == Kind::Restored {
            // Whoever fills it may have been killed, and its backend not yet have noticed.
            self.end_sessions(&mut link, name, None).await?;
        }
        run_for(REMOVAL, &mut link, &format!("forget database {name}"), &format!("drop database {}", quote(name)))
            .await?;
        close(link).await;
        Ok(())
    }

    /// Makes the empty database into which a backup of `db` is restored, in place of one that an earlier attempt of
    /// the same restore may have left. Only the migration's role, and so the agent, may connect.
    ///
    /// # Errors
    /// If the name is taken by something else, or the server refuses.
    pub async fn make_room(&self, db: &str, room: &Aside, locale: &Locale, owner: &str) -> Result<()> {
        self.drop(db, room).await?;
        let name = room.name();
        let mut link = self.link_for(MAINTENANCE, REMOVAL).await?;
        let doing = format!("make database {name}");
        let (create, owner) = (super::create_database(name, locale), quote(owner));
        let create = format!("{create} owner {owner} allow_connections false connection limit {FEW}");
        run_for(REMOVAL, &mut link, &doing, &create).await?;
        let wanted = fenced(grants(&mut link, name, None).await?);
        let mut statements = give_exactly(&mut link, name, &wanted).await?;
        statements.push(format!("alter database {} allow_connections true", quote(name)));
        run_together(&mut link, &doing, &statements).await?;
        close(link).await;
        Ok(())
    }
}

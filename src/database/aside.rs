//! Databases beside the live one: finding them, and forgetting them.

use std::time::Duration;

use super::{Aside, Cluster, DatabaseError, Kind, MAINTENANCE, Result, ask, close, quote, run_for};

/// Removing the files of a large database takes its time.
const REMOVAL: Duration = Duration::from_secs(300);

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
                   from pg_database where datname ~ '_(pre|quarantine)_[0-9]+$'";
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
        let sql = "select datallowconn, datconnlimit from pg_database where datname = $1";
        let doing = format!("look at database {name}");
        let found: Option<(bool, i32)> = ask(&doing, sqlx::query_as(sql).bind(name).fetch_optional(&mut link)).await?;
        let Some((allows, limit)) = found else {
            close(link).await;
            return Ok(());
        };
        let closed = match aside.kind {
            _ if limit == -2 => true, // a drop that was interrupted
            Kind::Twin => !allows,
            Kind::Quarantine => limit == 0,
        };
        if Aside::parse(db, name).as_ref() != Some(aside) || !closed {
            return Err(DatabaseError::refused(
                format!("database {name} is not a twin or a quarantine of {db}, so it is not dropped"),
                "if it is to go, a person must do it".to_owned(),
            ));
        }
        run_for(REMOVAL, &mut link, &format!("forget database {name}"), &format!("drop database {}", quote(name)))
            .await?;
        close(link).await;
        Ok(())
    }
}

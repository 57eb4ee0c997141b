//! The rollback point: a copy of the database, made while nobody can write.

use std::time::Duration;

use super::{Aside, Cluster, DatabaseError, Kind, MAINTENANCE, Result, ask, close, literal, quote, run, run_for};

/// How much the sizes of a database and its fresh copy may differ, in bytes: autovacuum may have come by.
const TOLERANCE: i64 = 16 << 20;

impl Cluster {
    /// Copies `db` into the twin of a deployment. A twin accepts no connections. `again` tells that an earlier
    /// attempt of this deployment may have made it already; without it, a database of that name is not ours.
    ///
    /// # Errors
    /// If somebody is connected to `db`, the name is taken, or the copy fails; nothing is left behind then.
    pub async fn twin(&self, db: &str, twin: &Aside, again: bool) -> Result<()> {
        let name = twin.name();
        if twin.kind != Kind::Twin || Aside::parse(db, name).as_ref() != Some(twin) {
            return Err(not_a_twin(db, name));
        }
        let mut link = self.link(MAINTENANCE).await?;
        let (owner, size) = source(&mut link, db).await?;
        let mut found = state(&mut link, name).await?;
        if found == State::Broken {
            self.drop(db, twin).await?;
            found = State::Missing;
        }
        close(link).await;
        match found {
            State::Taken => return Err(not_a_twin(db, name)),
            State::Closed if !again => return Err(not_a_twin(db, name)),
            State::Closed => {}
            State::Missing | State::Broken => {
                if let Err(error) = self.copy(db, name, &owner, size).await {
                    // An earlier attempt whose process died may have gone on in the server, and finished first.
                    let mut link = self.link(MAINTENANCE).await?;
                    if !again || state(&mut link, name).await? != State::Closed {
                        return Err(error);
                    }
                    close(link).await;
                }
            }
        }
        self.complete(db, twin).await
    }

    /// `FILE_COPY` moves files instead of writing each page to the log: 1.2 to 2 s per GB. The bound is a tenth of
    /// that speed.
    async fn copy(&self, db: &str, name: &str, owner: &str, size: i64) -> Result<()> {
        let gigabytes = u64::try_from(size >> 30).unwrap_or_default();
        let bound = Duration::from_secs(60 + 20 * gigabytes);
        let mut link = self.link_for(MAINTENANCE, bound).await?;
        let sql = format!(
            "create database {} template {} strategy file_copy owner {} allow_connections false",
            quote(name),
            quote(db),
            quote(owner)
        );
        run_for(bound, &mut link, &format!("copy database {db} to {name}"), &sql).await?;
        close(link).await;
        Ok(())
    }

    /// Looks whether the copy is whole. Its inside cannot be looked at, for it accepts no connections; but it
    /// exists only if the copy was finished, and all of it was copied if it is as large.
    async fn complete(&self, db: &str, twin: &Aside) -> Result<()> {
        let mut link = self.link(MAINTENANCE).await?;
        let name = twin.name();
        let doing = format!("compare database {db} with its copy {name}");
        let sql = "select pg_database_size($1), pg_database_size($2)";
        let (live, copy): (i64, i64) =
            ask(&doing, sqlx::query_as(sql).bind(db).bind(name).fetch_one(&mut link)).await?;
        if live.abs_diff(copy) > TOLERANCE.max(live / 100).unsigned_abs() {
            return Err(DatabaseError::refused(
                format!("the copy {name} has {copy} bytes where database {db} has {live}"),
                "look who writes to the database behind the fence; then deploy again",
            ));
        }
        let note = format!("tsh-agent: {db} before deployment {}", twin.deployment);
        run(&mut link, &doing, &format!("comment on database {} is {}", quote(name), literal(&note))).await?;
        close(link).await;
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Missing,
    /// It accepts no connections, as a twin must.
    Closed,
    /// A drop of it was interrupted; it can only be dropped again.
    Broken,
    /// It accepts connections: somebody else's.
    Taken,
}

async fn state(link: &mut sqlx::PgConnection, name: &str) -> Result<State> {
    let sql = "select datallowconn, datconnlimit from pg_database where datname = $1";
    let doing = format!("look for database {name}");
    Ok(match ask(&doing, sqlx::query_as::<_, (bool, i32)>(sql).bind(name).fetch_optional(link)).await? {
        None => State::Missing,
        Some((_, -2)) => State::Broken,
        Some((false, _)) => State::Closed,
        Some((true, _)) => State::Taken,
    })
}

async fn source(link: &mut sqlx::PgConnection, db: &str) -> Result<(String, i64)> {
    let sql = "select pg_get_userbyid(datdba)::text, pg_database_size(oid) from pg_database where datname = $1";
    ask(&format!("look at database {db}"), sqlx::query_as(sql).bind(db).fetch_optional(link))
        .await?
        .ok_or_else(|| DatabaseError::NoDatabase(db.to_owned()))
}

fn not_a_twin(db: &str, name: &str) -> DatabaseError {
    DatabaseError::refused(
        format!("database {name} exists already, and is not the copy of {db} that this deployment makes"),
        format!("look at it, then rename it or remove it: sudo -u postgres psql -c '\\l+ {name}'"),
    )
}

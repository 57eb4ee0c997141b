//! What the gates look at: locks, freezes and pauses, and the revisions that failed.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, StoreError, audit};
use crate::model::audit::Record;
use crate::model::gates::{Decision, Hold, HoldKind, Quarantined, Standing};
use crate::model::journal::{Fact, Goal, Order};
use crate::model::names::{App, BadName, DeploymentId, Sha};
use crate::model::outcome::Verdict;

impl Store {
    /// What holds for an application, and what was said about one deployment.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn standing(&self, app: &App, deployment: Option<DeploymentId>) -> Result<Standing, StoreError> {
        let holds = sqlx::query("select kind, until, reason, by, at from holds where app = ? order by kind")
            .bind(app.as_str())
            .fetch_all(&self.pool)
            .await?;
        let quarantined = sqlx::query(
            "select revision, deployment, reason, at from quarantined where app = ? and forgiven = 0 order by at desc",
        )
        .bind(app.as_str())
        .fetch_all(&self.pool)
        .await?;
        let decision = sqlx::query("select content, approved, by, reason, at from decisions where deployment = ?")
            .bind(deployment.map_or(0, |id| id.0))
            .fetch_optional(&self.pool)
            .await?;
        Ok(Standing {
            decision: decision.as_ref().map(decided),
            holds: holds.iter().map(hold).collect::<Result<_, _>>()?,
            quarantined: quarantined.iter().map(failed).collect::<Result<_, _>>()?,
        })
    }

    /// Puts something in the way of deployments, in the place of an earlier one of its kind.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub async fn hold(&self, app: &App, hold: &Hold, record: &Record) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        put(&mut transaction, app, hold).await?;
        audit::append(&mut transaction, record).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Takes it away; whether there was one.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub async fn lift(&self, app: &App, kind: HoldKind, record: &Record) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let done = sqlx::query("delete from holds where app = ? and kind = ?")
            .bind(app.as_str())
            .bind(kind.word())
            .execute(&mut *transaction)
            .await?;
        noted(transaction, done.rows_affected(), record).await
    }

    /// Lets triggers try a revision again; whether it was quarantined.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub async fn forgive(&self, app: &App, revision: &Sha, record: &Record) -> Result<bool, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let done = sqlx::query("update quarantined set forgiven = 1 where app = ? and revision = ? and forgiven = 0")
            .bind(app.as_str())
            .bind(revision.as_str())
            .execute(&mut *transaction)
            .await?;
        noted(transaction, done.rows_affected(), record).await
    }

    /// Records what somebody says about a deployment, in the place of what was said before.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub async fn decide(&self, id: DeploymentId, said: &Decision, record: &Record) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(
            "insert or replace into decisions (deployment, content, approved, by, reason, at) values (?, ?, ?, ?, ?, ?)",
        )
        .bind(id.0)
        .bind(&said.content)
        .bind(said.approved)
        .bind(&said.by)
        .bind(&said.reason)
        .bind(said.at)
        .execute(&mut *transaction)
        .await?;
        audit::append(&mut transaction, record).await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// Ends what took something away; what was not there is not noted either.
pub(super) async fn noted(
    mut transaction: sqlx::SqliteTransaction<'_>,
    removed: u64,
    record: &Record,
) -> Result<bool, StoreError> {
    if removed > 0 {
        audit::append(&mut transaction, record).await?;
    }
    transaction.commit().await?;
    Ok(removed > 0)
}

/// What the end of a deployment means for those that come: in the transaction that records the end.
pub(super) async fn after(
    transaction: &mut sqlx::SqliteTransaction<'_>,
    app: &App,
    id: DeploymentId,
    verdict: Verdict,
    at: i64,
) -> Result<(), StoreError> {
    let row = sqlx::query("select revision from deployments where id = ?").bind(id.0).fetch_one(&mut **transaction);
    let revision: Option<String> = row.await?.get(0);
    let accepted = sqlx::query("select fact from journal where deployment = ? and seq = 0").bind(id.0);
    let accepted: String = accepted.fetch_one(&mut **transaction).await?.get(0);
    let order = match serde_json::from_str(&accepted) {
        Ok(Fact::Accepted(order)) => order,
        Ok(_) => return Ok(()),
        Err(source) => return Err(StoreError::Foreign { deployment: id, seq: 0, source }),
    };
    let consequence = Consequence::of(&order, revision, id, verdict);
    if let Some((revision, reason)) = consequence.quarantined {
        sqlx::query(
            "insert or replace into quarantined (app, revision, deployment, reason, at) values (?, ?, ?, ?, ?)",
        )
        .bind(app.as_str())
        .bind(revision)
        .bind(id.0)
        .bind(reason)
        .bind(at)
        .execute(&mut **transaction)
        .await?;
    }
    if let Some(revision) = consequence.proven {
        sqlx::query("delete from quarantined where app = ? and revision = ?")
            .bind(app.as_str())
            .bind(revision)
            .execute(&mut **transaction)
            .await?;
    }
    if let Some(reason) = consequence.paused {
        let hold = Hold { kind: HoldKind::Pause, until: None, reason, by: "tsh-agent".to_owned(), at };
        put(transaction, app, &hold).await?;
    }
    Ok(())
}

/// What follows from an end.
#[derive(Debug, Default, PartialEq, Eq)]
struct Consequence {
    /// The revision that failed, and how.
    quarantined: Option<(String, &'static str)>,
    /// The revision that has proven to be good.
    proven: Option<String>,
    /// Why no trigger deploys from now on.
    paused: Option<String>,
}

impl Consequence {
    fn of(order: &Order, revision: Option<String>, id: DeploymentId, verdict: Verdict) -> Self {
        let short = |revision: &Option<String>| {
            revision.as_deref().and_then(|text| text.get(..8)).unwrap_or("a revision").to_owned()
        };
        let from = order.from_revision.as_ref().map(Sha::to_string);
        let failed = |how: &'static str| revision.clone().map(|revision| (revision, how));
        match (&order.goal, verdict) {
            (Goal::Revision(_), Verdict::Deployed) => Self { proven: revision, ..Self::default() },
            (Goal::Revision(_), Verdict::Failed) => Self { quarantined: failed("failed"), ..Self::default() },
            (Goal::Revision(_), Verdict::RolledBack) => Self {
                paused: Some(format!("deployment {id} of {} was rolled back", short(&revision))),
                quarantined: failed("was rolled back"),
                ..Self::default()
            },
            (Goal::Revision(_), Verdict::NeedsOperator) => Self {
                paused: Some(format!("deployment {id} of {} needed an operator", short(&revision))),
                quarantined: failed("needed an operator"),
                ..Self::default()
            },
            // A person has gone back from it. If that leads to the same revision, nothing was wrong with it.
            (Goal::Release(_) | Goal::Restore(_), Verdict::Deployed) if from.is_some() && from != revision => Self {
                paused: Some(format!("{} went back from {} in deployment {id}", order.by, short(&from))),
                quarantined: from.map(|from| (from, "was rolled back")),
                ..Self::default()
            },
            (Goal::Release(_) | Goal::Restore(_), _)
            | (_, Verdict::Aborted | Verdict::Refused | Verdict::Superseded) => Self::default(),
        }
    }
}

async fn put(transaction: &mut sqlx::SqliteTransaction<'_>, app: &App, hold: &Hold) -> Result<(), StoreError> {
    sqlx::query("insert or replace into holds (app, kind, until, reason, by, at) values (?, ?, ?, ?, ?, ?)")
        .bind(app.as_str())
        .bind(hold.kind.word())
        .bind(hold.until)
        .bind(&hold.reason)
        .bind(&hold.by)
        .bind(hold.at)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

fn decode(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Sql(sqlx::Error::Decode(error.into()))
}

fn decided(row: &SqliteRow) -> Decision {
    Decision { content: row.get(0), approved: row.get(1), by: row.get(2), reason: row.get(3), at: row.get(4) }
}

fn hold(row: &SqliteRow) -> Result<Hold, StoreError> {
    let kind: String = row.get(0);
    let known = HoldKind::ALL.into_iter().find(|known| known.word() == kind);
    let kind = known.ok_or_else(|| decode(format!("a hold {kind:?}")))?;
    Ok(Hold { kind, until: row.get(1), reason: row.get(2), by: row.get(3), at: row.get(4) })
}

fn failed(row: &SqliteRow) -> Result<Quarantined, StoreError> {
    Ok(Quarantined {
        revision: row.get::<String, _>(0).parse().map_err(|bad: BadName| decode(bad))?,
        deployment: DeploymentId(row.get(1)),
        reason: row.get(2),
        at: row.get(3),
    })
}

//! The audit: entries are appended in the transaction of what they tell, and never touched again.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Store, StoreError};
use crate::model::audit::{self, Anchor, Record, Who};
use crate::model::gates::{Judgement, Reply, Ruling};
use crate::model::journal::{Entry, Fact, Order, Output};
use crate::model::names::{App, DeploymentId};

impl Store {
    /// The last entries, oldest first; of all applications if none is named.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn audit(&self, app: Option<&App>, limit: u32) -> Result<Vec<audit::Entry>, StoreError> {
        let rows = sqlx::query(
            "select seq, record, hash from (select seq, record, hash from audit where ?1 is null or app = ?1 \
             order by seq desc limit ?2) order by seq",
        )
        .bind(app.map(|app| app.as_str().to_owned()))
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.iter().map(entry).collect())
    }

    /// The heads behind entry `after`, for the journal.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn heads(&self, after: i64) -> Result<Vec<Anchor>, StoreError> {
        let rows =
            sqlx::query("select seq, hash from audit where seq > ? order by seq").bind(after).fetch_all(&self.pool);
        Ok(rows.await?.iter().map(|row| Anchor { seq: row.get(0), hash: row.get(1) }).collect())
    }

    /// Appends an entry that belongs to nothing else that is written.
    ///
    /// # Errors
    /// If the state cannot be written.
    pub async fn note(&self, record: &Record) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        append(&mut transaction, record).await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// Appends an entry.
pub(super) async fn append(transaction: &mut sqlx::SqliteTransaction<'_>, record: &Record) -> Result<(), StoreError> {
    let last = sqlx::query("select seq, hash from audit order by seq desc limit 1").fetch_optional(&mut **transaction);
    let (seq, before) = last.await?.map_or((0, String::new()), |row| (row.get::<i64, _>(0), row.get(1)));
    let text = serde_json::to_string(record).map_err(|error| StoreError::Sql(sqlx::Error::Encode(error.into())))?;
    sqlx::query("insert into audit (seq, app, record, hash) values (?, ?, ?, ?)")
        .bind(seq + 1)
        .bind(record.app.as_str())
        .bind(&text)
        .bind(audit::seal(&before, seq + 1, &text))
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// The entry about an accepted order.
pub(super) fn accepted(app: &App, id: DeploymentId, kind: &str, wanted: &str, order: &Order, at: i64) -> Record {
    let mut detail = wanted.to_owned();
    let trigger = order.trigger.words();
    if !trigger.is_empty() {
        detail += &format!("; {trigger}");
    }
    for given in &order.overrides {
        detail += &format!("; override {}: {}", given.gate.word(), given.reason);
    }
    Record {
        at,
        app: app.clone(),
        deployment: Some(id),
        by: order.by.clone(),
        who: order.who.clone(),
        what: kind.to_owned(),
        detail,
    }
}

/// The entry about something that happened to a deployment, if it is worth one.
pub(super) fn happened(app: &App, id: DeploymentId, entry: &Entry) -> Option<Record> {
    let (by, what, detail) = match &entry.fact {
        Fact::AbortAsked { by } => (by.as_str(), "abort", String::new()),
        Fact::Retried { by } => (by.as_str(), "retry", String::new()),
        Fact::Superseded { by } => (by.as_str(), "supersede", String::new()),
        Fact::Done { step, out: Output::Judged(judgement) } => match judgement.ruling() {
            // It is asked again and again while it waits; who waits is in the journal of the deployment.
            Ruling::Wait(_) => return None,
            Ruling::Pass => (AGENT, step.word(), judged(judgement)),
            Ruling::Refuse => (AGENT, step.word(), judgement.words()),
        },
        Fact::Ended { verdict, note } => (AGENT, verdict.word(), note.clone().unwrap_or_default()),
        Fact::Accepted(_)
        | Fact::Intent { .. }
        | Fact::Done { .. }
        | Fact::Failed { .. }
        | Fact::Void { .. }
        | Fact::Felt(_)
        | Fact::Resumed => return None,
    };
    Some(Record {
        at: entry.at,
        app: app.clone(),
        deployment: Some(id),
        by: by.to_owned(),
        who: Who::default(),
        what: what.to_owned(),
        detail,
    })
}

const AGENT: &str = "tsh-agent";

fn judged(judgement: &Judgement) -> String {
    let named = |reply: Reply| {
        let names = judgement.answers.iter().filter(|answer| answer.reply == reply).map(|answer| answer.gate.word());
        names.collect::<Vec<_>>().join(", ")
    };
    let overridden: Vec<String> = judgement
        .answers
        .iter()
        .filter(|answer| answer.reply == Reply::Overridden)
        .map(|answer| format!("{}: {}", answer.gate.word(), answer.reason))
        .collect();
    let mut detail = format!("passed: {}", named(Reply::Pass));
    if !overridden.is_empty() {
        detail += &format!("; overridden: {}", overridden.join("; "));
    }
    detail
}

fn entry(row: &SqliteRow) -> audit::Entry {
    audit::Entry { seq: row.get(0), record: row.get(1), hash: row.get(2) }
}

//! Numbers that were given out are never given again: somebody may have written them down, and what was rescued from a
//! database that was kept aside must fit beside what came later.

use std::collections::HashMap;

use sqlx::PgConnection;

use super::{Cluster, Result, ask, close, literal, quote, run};

#[derive(sqlx::FromRow)]
struct Found {
    schema: String,
    name: String,
    /// The last number that was given out, if any was; numbers that a session holds in reserve count as given.
    last: Option<i64>,
    step: i64,
    least: i64,
    most: i64,
}

impl Cluster {
    /// Moves each sequence of database `to` past all that the same sequence of `from` has given out. One that begins
    /// again by itself is left alone, for it promises nothing.
    pub(super) async fn carry_sequences(&self, from: &str, to: &str) -> Result<()> {
        let mut link = self.link(from).await?;
        let given: HashMap<(String, String), Found> =
            list(&mut link, from).await?.into_iter().map(|one| ((one.schema.clone(), one.name.clone()), one)).collect();
        close(link).await;
        let mut link = self.link(to).await?;
        for own in list(&mut link, to).await? {
            let other = given.get(&(own.schema.clone(), own.name.clone()));
            let Some(last) =
                other.filter(|other| other.step.signum() == own.step.signum()).and_then(|other| other.last)
            else {
                continue;
            };
            let further = own.last.is_none_or(|own_last| if own.step > 0 { last > own_last } else { last < own_last });
            if further {
                let sequence = format!("{}.{}", quote(&own.schema), quote(&own.name));
                let sql = format!("select setval({}, {}, true)", literal(&sequence), last.clamp(own.least, own.most));
                run(&mut link, &format!("move sequence {sequence} of database {to}"), &sql).await?;
            }
        }
        close(link).await;
        Ok(())
    }
}

async fn list(link: &mut PgConnection, db: &str) -> Result<Vec<Found>> {
    let sql = "select schemaname::text as schema, sequencename::text as name, last_value as last, \
                      increment_by as step, min_value as least, max_value as most \
               from pg_sequences where not cycle order by 1, 2";
    ask(&format!("read the sequences of database {db}"), sqlx::query_as(sql).fetch_all(link)).await
}

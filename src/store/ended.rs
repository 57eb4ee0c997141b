//! Counting what has ended.

use std::collections::BTreeMap;

use sqlx::Row;

use super::{Store, StoreError};
use crate::model::metrics::Ended;
use crate::model::names::App;

impl Store {
    /// How many deployments have ended, how, what they took, and how much of it users felt.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub async fn ended(&self) -> Result<Vec<(App, Ended)>, StoreError> {
        // What users felt is written near the end of a journal, so it is looked for from there. A clock that was put back
        // makes no negative time.
        let rows = sqlx::query(
            "select app, kind, state, max(ended - accepted, 0), \
             (select json_extract(fact, '$.felt.down_ms') from journal \
              where deployment = id and fact glob '{\"felt\"*' order by seq desc limit 1) \
             from deployments where ended is not null",
        )
        .fetch_all(&self.pool)
        .await?;
        let mut all: BTreeMap<(App, String, String), Ended> = BTreeMap::new();
        for row in rows {
            let (kind, result): (String, String) = (row.get(1), row.get(2));
            let Ok(app) = row.get::<String, _>(0).parse::<App>() else { continue };
            let ended = Ended::none(&kind, &result);
            all.entry((app, kind, result)).or_insert(ended).add(row.get(3), row.get(4));
        }
        Ok(all.into_iter().map(|((app, ..), ended)| (app, ended)).collect())
    }
}

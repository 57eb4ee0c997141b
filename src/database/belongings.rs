//! What is bound to a database, as SQL that makes it again elsewhere: a dump has its content only.

use super::access::{grants, in_place_of, list};
use super::bound::Bound;
use super::{Cluster, MAINTENANCE, Result, close, literal, quote};
use crate::model::backup::Locale;

impl Cluster {
    /// The statements that bind to a fresh database of the same name what is bound to `db` here: owner, connection
    /// limit, comment, rights and settings.
    ///
    /// # Errors
    /// If there is no such database, or the server cannot be asked.
    pub async fn belongings(&self, db: &str) -> Result<Vec<String>> {
        let mut link = self.link(MAINTENANCE).await?;
        let bound = Bound::read(&mut link, db).await?;
        let mut statements = bound.statements(db);
        let access = list(&mut link, db).await?;
        // PostgreSQL's default needs no words, and has none that would make it again.
        if access.is_some() {
            let wanted = grants(&mut link, db, access.as_deref()).await?;
            // A fresh database has rights for everybody and for its owner.
            statements.extend(in_place_of(db, &[None, Some(bound.owner().to_owned())], &wanted));
        }
        close(link).await;
        Ok(statements)
    }
}

/// The statement that makes an empty database `db` that writes and compares text like the one it replaces.
#[must_use]
pub fn create_database(db: &str, locale: &Locale) -> String {
    let mut sql = format!("create database {} template template0 encoding {}", quote(db), literal(&locale.encoding));
    // Older servers know no providers, and need no word for the only one they have.
    if locale.provider == "icu" {
        sql += " locale_provider icu";
    }
    if let Some(icu) = &locale.icu {
        sql += &format!(" icu_locale {}", literal(icu));
    }
    sql + &format!(" lc_collate {} lc_ctype {}", literal(&locale.collate), literal(&locale.ctype))
}

//! Which releases stay.

use super::files;
use super::machine::Machine;
use crate::deploy::world::{Act, World as _};
use crate::model::journal::Cause;
use crate::model::names::ReleaseId;

impl Machine<'_> {
    /// The newest that were live, those that somebody has pinned, those that a link names, and the only one that knows the schema.
    pub(super) async fn releases_kept(&mut self) -> Act<Vec<ReleaseId>> {
        let live = self.store.once_live(&self.settings.app).await;
        let mut kept = live.map_err(|error| Cause::new(super::chain(&error)))?;
        kept.retain(|id| files::has_release(&self.settings.app, *id));
        kept.truncate(self.settings.keep_releases);
        let pins = self.store.pins(&self.settings.app).await;
        kept.extend(pins.map_err(|error| Cause::new(super::chain(&error)))?.iter().map(|pin| pin.release));
        for link in self.settings.links() {
            kept.extend(self.link(link).await?);
        }
        if self.settings.database.is_some() {
            // The schema may be ahead of what is live: then only this release knows it, and could ever take it back.
            let schema = self.schema().await?;
            let knows = self.store.migrated_to(&self.settings.app, &schema).await;
            kept.extend(knows.map_err(|error| Cause::new(super::chain(&error)))?);
        }
        Ok(kept)
    }
}

//! Keeping a release beyond its time.

use super::Daemon;
use super::gates::record;
use super::orders::broken;
use crate::api::{Caller, Kind, Refusal};
use crate::host::files;
use crate::host::machine::now;
use crate::model::names::{App, ReleaseId};
use crate::model::pin::Pin;
use crate::store::StoreError;

impl Daemon {
    /// Keeps a release until somebody takes the pin away.
    pub(super) async fn pin(&self, by: Caller, app: App, release: ReleaseId, reason: String) -> Result<(), Refusal> {
        self.settings(&app)?;
        if !files::has_release(&app, release) {
            let what = format!("release {release} of {app} is not kept on this server");
            return Err(Refusal::new(Kind::NotFound, what).hint(
                "`tsh-agent history` shows deployments; each that was \
                 good made the release of its number",
            ));
        }
        let detail =
            if reason.is_empty() { format!("release {release}") } else { format!("release {release}: {reason}") };
        let record = record(&app, &by, "pin", detail);
        let pin = Pin { release, reason, by: by.name, at: now() };
        match self.store.pin(&app, &pin, &record).await {
            Ok(()) => {}
            Err(StoreError::Busy) => {
                let what = format!("a deployment of {app} is deleting old releases at this moment");
                return Err(Refusal::new(Kind::Busy, what).hint("it takes a second: pin again then"));
            }
            Err(error) => return Err(broken(error)),
        }
        tracing::info!(tsh_app = %app, "release {release} of {app} is pinned by {}", pin.by);
        self.anchors.write().await;
        Ok(())
    }

    /// Lets a release go when its time comes.
    pub(super) async fn unpin(&self, by: Caller, app: App, release: ReleaseId) -> Result<(), Refusal> {
        self.settings(&app)?;
        let record = record(&app, &by, "unpin", format!("release {release}"));
        if !self.store.unpin(&app, release, &record).await.map_err(broken)? {
            let what = format!("release {release} of {app} is not pinned");
            return Err(Refusal::new(Kind::NotPossible, what).hint("`tsh-agent status` shows what is"));
        }
        tracing::info!(tsh_app = %app, "release {release} of {app} is unpinned by {}", by.name);
        self.anchors.write().await;
        Ok(())
    }
}

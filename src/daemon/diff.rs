//! How two deployments, releases or revisions differ.

use super::Daemon;
use super::orders::broken;
use crate::api::{Kind, Refusal};
use crate::model::names::{App, DeploymentId, Sha, Wanted};
use crate::model::plan::{DiffView, Side};
use crate::model::request::Work;

/// Longer numbers are the beginnings of commits.
const NUMBER: usize = 6;

impl Daemon {
    /// Compares `to` with `from`.
    pub(super) async fn diff(&self, app: App, from: Wanted, to: Wanted) -> Result<DiffView, Refusal> {
        let settings = self.settings(&app)?;
        let (old, new) = (self.commit_of(&app, &from).await?, self.commit_of(&app, &to).await?);
        let asked = |wanted: &Wanted, known: &Option<Sha>| known.as_ref().map_or(wanted.as_str(), Sha::as_str).parse();
        let work = Work::Plan { wanted: Some(asked(&to, &new)?), against: Some(asked(&from, &old)?), current: None };
        let compared = self.compare(&settings, work).await?;
        let Some(found) = &compared.from else {
            let what = format!("the repository does not have the commit of {from} any more");
            return Err(Refusal::new(Kind::NotFound, what).hint("its branch was rewritten or deleted there"));
        };
        // A branch may be called like a commit.
        if new.as_ref().is_some_and(|new| *new != compared.to.revision) {
            let what = format!("a branch or tag is called like the commit of {to}");
            return Err(Refusal::new(Kind::NotPossible, what));
        }
        let side = |wanted: Wanted, by_number: bool, revision: &Sha| Side {
            deployment: by_number.then(|| wanted.as_str().parse().ok()).flatten(),
            wanted: wanted.into(),
            revision: revision.clone(),
        };
        Ok(DiffView {
            from: side(from, old.is_some(), &found.revision),
            to: side(to, new.is_some(), &compared.to.revision),
            database: settings.database.is_some(),
            app,
            compared,
        })
    }

    /// The commit of a deployment or release; `None` where no number is given.
    async fn commit_of(&self, app: &App, wanted: &Wanted) -> Result<Option<Sha>, Refusal> {
        let number = Some(wanted.as_str()).filter(|text| text.len() <= NUMBER);
        let Some(id) = number.and_then(|text| text.parse::<DeploymentId>().ok()) else { return Ok(None) };
        let found = self.store.deployment(id).await.map_err(broken)?.filter(|(row, _)| row.app == *app);
        let Some((row, _)) = found else {
            let what = format!("{app} has no deployment or release {id}");
            return Err(Refusal::new(Kind::NotFound, what).hint("`tsh-agent history` shows them"));
        };
        // A rollback and a restore make a release live that another deployment built.
        let built = self.store.built(row.release).await.map_err(broken)?;
        let revision = row.revision.or(built.map(|built| built.revision));
        revision.map(Some).ok_or_else(|| {
            let what = format!("deployment {id} has no commit on record: it ended before one was known");
            Refusal::new(Kind::NotFound, what)
        })
    }
}

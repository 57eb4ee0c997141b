//! Maintenance: a person keeps people out. It is an order in the state, and a file beside the door for nginx. The order is
//! what counts: it is written before the file is made, and taken away after the file is gone, so a crash in between leaves
//! people out, and the core makes the file good when it comes back.

use super::Daemon;
use super::gates::record;
use super::orders::broken;
use crate::api::{Caller, Kind, Refusal};
use crate::events::Event;
use crate::host::files;
use crate::host::machine::now;
use crate::init::door;
use crate::model::finding::Finding;
use crate::model::gates::{Hold, HoldKind};
use crate::model::names::App;
use crate::model::view::MaintenanceNow;
use crate::paths;

const KIND: HoldKind = HoldKind::Maintenance;

impl Daemon {
    /// Keeps people out until somebody ends it.
    pub(super) async fn begin_maintenance(
        &self,
        by: Caller,
        app: App,
        until: Option<i64>,
        reason: String,
    ) -> Result<(), Refusal> {
        self.settings(&app)?;
        if until.is_some() {
            let what = "maintenance has no end of its own: nobody would know whether the work is done";
            return Err(Refusal::new(Kind::Usage, what).hint("`tsh-agent maintenance off` ends it"));
        }
        has_way_out(&app, door::knows_maintenance(&app))?;
        let held = Hold { kind: KIND, until, reason: reason.trim().to_owned(), by: by.name.clone(), at: now() };
        let record = record(&app, &by, "maintenance on", held.reason.clone());
        self.store.hold(&app, &held, &record).await.map_err(broken)?;
        self.anchors.write().await;
        files::set_maintenance(&app, true).map_err(|error| {
            let what = format!("maintenance is noted, but the door cannot be closed: {error}");
            Refusal::internal(what).hint("people still come in; when the cause is mended, give the order again")
        })?;
        tracing::info!(
            tsh_app = %app, message_id = Event::MaintenanceOn.id(),
            "{app} is closed for maintenance by {}: {}", held.by, held.reason
        );
        Ok(())
    }

    /// Lets people in.
    pub(super) async fn end_maintenance(&self, by: Caller, app: App) -> Result<(), Refusal> {
        let standing = self.store.standing(&app, None).await.map_err(broken)?;
        if standing.hold(KIND).is_none() {
            let refusal = Refusal::new(Kind::NotPossible, format!("{app} is not closed for maintenance"));
            return Err(match files::in_maintenance(&app) {
                true => refusal.hint(format!(
                    "nginx answers 503 because of a file that was put there by hand: sudo rm {}",
                    paths::maintenance(&app).display()
                )),
                false => refusal.hint("`tsh-agent status` shows what is live"),
            });
        }
        files::set_maintenance(&app, false).map_err(|error| {
            Refusal::internal(format!("the door cannot be opened, so {app} stays closed for maintenance: {error}"))
        })?;
        self.store.lift(&app, KIND, &record(&app, &by, "maintenance off", String::new())).await.map_err(broken)?;
        self.anchors.write().await;
        tracing::info!(
            tsh_app = %app, message_id = Event::MaintenanceOff.id(),
            "the maintenance of {app} is ended by {}", by.name
        );
        Ok(())
    }

    /// What was ordered, and what nginx finds.
    pub(super) async fn maintenance_of(&self, app: &App) -> Result<Option<MaintenanceNow>, Refusal> {
        let standing = self.store.standing(app, None).await.map_err(broken)?;
        Ok(told(standing.hold(KIND), files::in_maintenance(app)))
    }

    /// Makes the files good that a crash kept from being made.
    pub(super) async fn resume_maintenance(&self) {
        let apps = crate::config::apps().unwrap_or_else(|error| {
            tracing::error!("what is in maintenance is not known: {error}");
            Vec::new()
        });
        for app in apps {
            match self.maintenance_of(&app).await {
                Ok(Some(MaintenanceNow { closed: false, .. })) => match files::set_maintenance(&app, true) {
                    Ok(()) => tracing::info!(tsh_app = %app, "{app} is closed for maintenance, as was ordered"),
                    Err(error) => tracing::error!(tsh_app = %app, "{app} cannot be closed for maintenance: {error}"),
                },
                Ok(_) => {}
                Err(refusal) => tracing::error!(tsh_app = %app, "whether {app} is in maintenance: {}", refusal.what),
            }
        }
    }
}

/// Whether nginx would keep anybody out.
fn has_way_out(app: &App, snippet: std::io::Result<bool>) -> Result<(), Refusal> {
    let refused = |what: String| Refusal::new(Kind::NotPossible, what);
    let file = door::snippet_path(app).display().to_string();
    let init = format!("where nginx is, `sudo tsh-agent init {app}` writes it, and says what nginx lacks");
    match snippet {
        Ok(true) => Ok(()),
        Ok(false) => Err(refused(format!("{file} is of an earlier version, which knows no maintenance")).hint(init)),
        Err(error) => {
            Err(refused(format!("{app} has no door that could be closed: {file} cannot be read: {error}")).hint(init))
        }
    }
}

fn told(ordered: Option<&Hold>, closed: bool) -> Option<MaintenanceNow> {
    (closed || ordered.is_some()).then(|| MaintenanceNow {
        closed,
        by: ordered.map(|hold| hold.by.clone()),
        reason: ordered.map(|hold| hold.reason.clone()).unwrap_or_default(),
        since: ordered.map(|hold| hold.at),
    })
}

/// What `check` says of it.
pub(super) fn finding(app: &App, now: &MaintenanceNow) -> Finding {
    let file = paths::maintenance(app).display().to_string();
    match (&now.by, now.closed) {
        (Some(by), true) => Finding::warning("maintenance", format!("{by} keeps people out: nginx answers 503"))
            .mend(format!("tsh-agent maintenance off --app {app}")),
        (Some(by), false) => Finding::bad("maintenance", format!("{by} wants people kept out, but {file} is gone"))
            .mend(format!("tsh-agent maintenance on --app {app}")),
        (None, _) => Finding::bad("maintenance", format!("nginx answers 503: {file} was put there by hand"))
            .mend(format!("sudo rm {file}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_told_that_people_are_kept_out_where_nothing_keeps_them_out() {
        let app = "tsh-erp".parse().unwrap();
        let refused = |snippet| has_way_out(&app, snippet).err().map(|refusal| refusal.what);
        assert_eq!(refused(Ok(true)), None);
        assert!(refused(Ok(false)).unwrap().contains("earlier version"));
        assert!(refused(Err(std::io::ErrorKind::NotFound.into())).unwrap().contains("cannot be read"));
    }

    #[test]
    fn the_order_and_the_file_are_told_apart() {
        let app: App = "tsh-erp".parse().unwrap();
        let held = Hold { kind: KIND, until: None, reason: "disk".into(), by: "olga".into(), at: 7 };
        assert_eq!(told(None, false), None);
        let word = |ordered, closed| {
            let finding = finding(&app, &told(ordered, closed).unwrap());
            format!("{}; {}", finding.what, finding.mend.unwrap())
        };
        assert_eq!(
            word(Some(&held), true),
            "olga keeps people out: nginx answers 503; tsh-agent maintenance off --app tsh-erp"
        );
        assert_eq!(
            word(Some(&held), false),
            "olga wants people kept out, but /srv/tsh-erp/links/maintenance is gone; tsh-agent maintenance on --app tsh-erp"
        );
        assert_eq!(
            word(None, true),
            "nginx answers 503: /srv/tsh-erp/links/maintenance was put there by hand; sudo rm /srv/tsh-erp/links/maintenance"
        );
    }
}

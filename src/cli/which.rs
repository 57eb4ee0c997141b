//! Which application, and which deployment, if the person did not say.

use super::Failure;
use crate::api::client::Client;
use crate::model::names::{App, DeploymentId};
use crate::model::outcome::Exit;

/// How far back a running deployment can be: each application has at most one.
const RECENT: u32 = 100;

/// The named application, or the only one.
pub async fn app(client: &Client, named: Option<App>) -> Result<App, Failure> {
    match named {
        // An unknown one is the core's to refuse: it knows the others.
        Some(app) => Ok(app),
        None => only(client.apps().await?),
    }
}

/// The only one there is.
pub fn only(mut apps: Vec<App>) -> Result<App, Failure> {
    match (apps.pop(), apps.is_empty()) {
        (Some(app), true) => Ok(app),
        (None, _) => Err(Failure::new(Exit::Usage, "no application is configured on this server")
            .hint("`tsh-agent init` configures one")),
        (Some(app), false) => {
            apps.push(app);
            let names: Vec<_> = apps.iter().map(App::as_str).collect();
            Err(Failure::new(Exit::Usage, format!("which application? There are {}", names.join(", ")))
                .hint(format!("for example `--app {}`", apps[0])))
        }
    }
}

/// The deployment that runs now.
pub async fn running(client: &Client) -> Result<DeploymentId, Failure> {
    let rows = client.history(None, RECENT).await?;
    let running: Vec<_> = rows.iter().filter(|row| matches!(row.state.as_str(), "running" | "waiting")).collect();
    match (running.as_slice(), rows.first()) {
        ([row], _) => Ok(row.id),
        ([], Some(last)) => Err(Failure::new(Exit::Usage, "no deployment is running")
            .hint(format!("the last one was {0}: `tsh-agent show {0}`", last.id))),
        ([], None) => Err(Failure::new(Exit::Usage, "no deployment is running, and there has been none")),
        (several, _) => {
            let ids: Vec<_> = several.iter().map(|row| format!("{} of {}", row.id, row.app)).collect();
            Err(Failure::new(Exit::Usage, format!("which deployment? Running are {}", ids.join(", ")))
                .hint(format!("for example `tsh-agent watch {}`", several[0].id)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_is_never_guessed() {
        let apps = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<App>>();
        assert_eq!(only(apps(&["erp"])).unwrap().as_str(), "erp");
        assert_eq!(only(apps(&[])).unwrap_err().exit, Exit::Usage);
        let failure = only(apps(&["erp", "shop"])).unwrap_err();
        assert_eq!(failure.what, "which application? There are erp, shop");
        assert_eq!(failure.hint.unwrap(), "for example `--app erp`");
    }
}

//! The agent itself: does it answer, does it come back after a reboot, may this user ask it?

use nix::unistd::{Group, User};

use super::{Failure, Me};
use crate::api::client::{Client, Error};
use crate::cli::failure::GROUP;
use crate::init::shown::Shown;
use crate::model::finding::Finding;
use crate::model::names::{App, Sha};

/// What the core told.
pub struct Core {
    /// The revision that should answer.
    pub revision: Option<Sha>,
    /// Whether the application's units should be up: something is live, and no deployment is moving it.
    pub should_be_up: bool,
    /// When the last deployment ended, in milliseconds since 1970.
    pub last: Option<i64>,
}

/// Asks the core, which answers for what only its user can see.
pub async fn core(app: &App) -> (Core, Vec<Finding>) {
    let asked = async {
        let client = Client::connect(None).await?;
        let status = client.status(app).await?;
        Ok((status, client.check(app).await?))
    };
    match asked.await {
        Ok((status, mut findings)) => {
            let should_be_up = status.release.is_some() && status.running.is_none();
            findings.insert(0, Finding::ok("agent", "it runs and answers"));
            let last = status.last.and_then(|last| last.ended);
            (Core { revision: status.revision, should_be_up, last }, findings)
        }
        Err(error) => {
            let live = std::fs::read_link(crate::paths::links(app).join("current")).is_ok();
            (Core { revision: None, should_be_up: live, last: None }, silent(error))
        }
    }
}

fn silent(error: Error) -> Vec<Finding> {
    let down = matches!(error, Error::NotRunning);
    let failure = Failure::from(error);
    let mend = if down {
        Some("sudo systemctl start tsh-agent".to_owned())
    } else {
        failure.hint.map(|hint| hint.replace('`', ""))
    };
    let found = Finding::bad("agent", failure.what);
    let found = Finding { mend, ..found };
    vec![found, Finding::not_checked("release", "release and database: only the agent can see them")]
}

/// Whether the agent and its recovery start at boot.
pub fn own_units() -> Vec<Finding> {
    ["tsh-agent.service", "tsh-agent-recover.service"].iter().filter_map(|unit| at_boot(&Shown::of(unit))).collect()
}

fn at_boot(unit: &Shown) -> Option<Finding> {
    let name = &unit.name;
    if unit.value("LoadState") != "loaded" {
        let what = format!("{name} is {}: a deployment that a reboot interrupts is not settled", unit.load());
        let mend = match unit.value("LoadState") {
            "masked" => format!("sudo systemctl unmask {name}"),
            _ => "install tsh-agent again (scripts/install, or the package)".to_owned(),
        };
        return Some(Finding::bad("agent", what).mend(mend));
    }
    if unit.value("UnitFileState") == "disabled" {
        let what = format!("{name} does not start at boot");
        return Some(Finding::warning("agent", what).mend(format!("sudo systemctl enable {name}")));
    }
    (unit.value("NeedDaemonReload") == "yes").then(|| {
        Finding::warning("agent", format!("{name} was changed on disk, and systemd does not know it yet"))
            .mend("sudo systemctl daemon-reload")
    })
}

/// Whether this user is one of the operators; root is one anyway.
pub fn may_operate(me: &Me) -> Option<Finding> {
    if me.root {
        return None;
    }
    let Some(group) = Group::from_name(GROUP).ok().flatten() else {
        let what = format!("there is no group {GROUP}");
        return Some(Finding::bad("operator", what).mend("install tsh-agent again (scripts/install, or the package)"));
    };
    let primary = User::from_name(&me.name).ok().flatten().is_some_and(|user| user.gid == group.gid);
    let session = nix::unistd::getgroups().is_ok_and(|groups| groups.contains(&group.gid));
    Some(operator(&me.name, primary || group.mem.contains(&me.name), session || primary))
}

fn operator(name: &str, listed: bool, in_session: bool) -> Finding {
    match (listed, in_session) {
        (true, true) | (false, true) => Finding::ok("operator", format!("{name} is in group {GROUP}")),
        (true, false) => {
            Finding::warning("operator", format!("{name} is in group {GROUP}, but this session is older than that"))
                .mend("log out and in again")
        }
        (false, false) => Finding::bad("operator", format!("{name} is not in group {GROUP}"))
            .mend(format!("sudo usermod -aG {GROUP} {name}, then log out and in again")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Level;

    #[test]
    fn an_agent_that_is_down_is_started_and_one_that_refuses_is_not() {
        let found = silent(Error::NotRunning);
        assert_eq!(found[0].mend.as_deref(), Some("sudo systemctl start tsh-agent"));
        assert_eq!(found[1].level, Level::NotChecked);
        assert!(silent(Error::Denied)[0].mend.as_ref().unwrap().contains(GROUP));
    }

    #[test]
    fn a_unit_of_the_agent_that_is_not_started_at_boot_is_told() {
        let at_boot = |text: &str| at_boot(&Shown::parse("tsh-agent.service", text));
        assert_eq!(at_boot("LoadState=loaded\nUnitFileState=enabled\nNeedDaemonReload=no"), None);
        assert_eq!(at_boot("LoadState=loaded\nUnitFileState=disabled").unwrap().level, Level::Warning);
        assert_eq!(
            at_boot("LoadState=loaded\nNeedDaemonReload=yes").unwrap().mend.unwrap(),
            "sudo systemctl daemon-reload"
        );
        assert_eq!(at_boot("LoadState=masked").unwrap().mend.unwrap(), "sudo systemctl unmask tsh-agent.service");
        assert!(at_boot("LoadState=not-found").unwrap().what.contains("not there"));
    }

    #[test]
    fn an_operator_is_in_the_group_and_in_this_session() {
        assert_eq!(operator("olga", true, true).level, Level::Ok);
        assert_eq!(operator("olga", true, false).mend.unwrap(), "log out and in again");
        assert!(operator("olga", false, false).mend.unwrap().starts_with("sudo usermod -aG tsh-ops olga"));
    }
}

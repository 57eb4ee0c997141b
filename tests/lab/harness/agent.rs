//! The agent as an operator uses it: by its command line.

use std::process::Child;

use serde::de::DeserializeOwned;
use tsh_agent::model::outcome::Verdict;
use tsh_agent::model::view::{DeploymentView, HistoryRow, StatusView};

use super::machine::{Machine, Said};
use super::wait::{seconds, until};

/// Where the settings are.
pub const SETTINGS: &str = "/etc/tsh-agent/apps/tsh-erp.toml";

/// A deployment that was begun in the background.
pub struct Client(Option<Child>);

impl Client {
    /// Waits for its end.
    pub fn finish(mut self) -> Said {
        Said::of(&self.0.take().unwrap().wait_with_output().unwrap())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

impl Machine {
    /// `tsh-agent ARGS`, as root.
    pub fn agent(&self, args: &str) -> Said {
        self.sh(&format!("tsh-agent {args}"))
    }

    /// The same in the background.
    pub fn begin(&self, args: &str) -> Client {
        let argv: Vec<_> = ["tsh-agent"].into_iter().chain(args.split(' ')).collect();
        Client(Some(self.spawn(&argv)))
    }

    fn json<T: DeserializeOwned>(&self, args: &str) -> Option<T> {
        let said = self.agent(&format!("{args} --json"));
        (said.code == 0).then(|| serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}")))
    }

    /// One deployment.
    pub fn show(&self, id: u32) -> DeploymentView {
        self.json(&format!("show {id}")).unwrap_or_else(|| panic!("no deployment {id}"))
    }

    /// The application.
    pub fn status(&self) -> StatusView {
        self.json("status").unwrap()
    }

    /// All deployments, newest first.
    pub fn history(&self) -> Vec<HistoryRow> {
        self.json("history").unwrap()
    }

    /// The number of the newest deployment.
    pub fn newest(&self) -> u32 {
        self.history().first().map_or(0, |row| row.id.0)
    }

    /// Waits until there is a deployment newer than `old`.
    pub fn begun(&self, old: u32) -> u32 {
        until("a deployment begins", seconds(20), || Some(self.newest()).filter(|id| *id > old))
    }

    /// Waits until the deployment is settled, however often the agent goes away meanwhile.
    pub fn settled(&self, id: u32) -> Verdict {
        until(&format!("deployment {id} is settled"), seconds(150), || {
            self.json::<DeploymentView>(&format!("show {id}")).and_then(|view| view.verdict)
        })
    }

    /// Waits until the deployment waits for its gates; what it waits for.
    pub fn held(&self, id: u32) -> String {
        until(&format!("deployment {id} waits"), seconds(150), || {
            let view = self.json::<DeploymentView>(&format!("show {id}"))?;
            assert_eq!(view.verdict, None, "deployment {id} has ended");
            (view.state == "waiting").then(|| view.steps.last().map(|step| step.detail.clone()).unwrap_or_default())
        })
    }

    /// Replaces the value of the first key of this name in the settings, whether it was set or only shown as a default.
    pub fn set(&self, key: &str, value: &str) {
        let line = format!("^#?{key} = .*");
        self.ok(&format!("grep -qE '{line}' {SETTINGS} && sed -i -E '0,/{line}/s||{key} = {value}|' {SETTINGS}"));
    }

    /// The commit at the tip of a branch.
    pub fn tip(&self, branch: &str) -> String {
        self.ok(&format!("git -C /srv/git/erp.git rev-parse {branch}"))
    }
}

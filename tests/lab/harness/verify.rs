//! Is the server whole? Every scenario ends with this question.

use tsh_agent::model::lane::Lane;
use tsh_agent::model::outcome::Verdict;
use tsh_agent::model::view::DeploymentView;

use super::machine::Machine;
use super::state::Server;
use super::wait::{seconds, until};
use super::writer;

/// A release that may be live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    pub id: u32,
    pub revision: String,
}

/// What must be so again after a rollback.
#[derive(Debug)]
pub struct Baseline {
    pub release: Release,
    /// Who may do what with the database.
    access: String,
    /// Its databases, live and aside.
    databases: Vec<String>,
    /// The runs of the application's units.
    pub runs: String,
}

/// Which release is live at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Live {
    New,
    Old,
}

impl Baseline {
    pub fn of(machine: &Machine) -> Self {
        let release = live_release(machine);
        Self { release, access: access(machine), databases: databases(machine), runs: runs(machine) }
    }
}

/// The release that the link points to.
pub fn live_release(machine: &Machine) -> Release {
    let path = machine.ok("readlink -e /srv/tsh-erp/current");
    let id = path.strip_prefix("/srv/tsh-erp/releases/").and_then(|id| id.parse().ok());
    let id = id.unwrap_or_else(|| panic!("current points to {path}"));
    Release { id, revision: answering(machine) }
}

/// The revision that answers through nginx.
fn answering(machine: &Machine) -> String {
    let ask = "curl -sS --fail -m 5 http://127.0.0.1/health";
    let body = until("/health answers through nginx", seconds(20), || {
        let said = machine.sh(ask);
        (said.code == 0).then_some(said.out)
    });
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    body["revision"].as_str().unwrap().to_owned()
}

fn access(machine: &Machine) -> String {
    machine.ok("runuser -u postgres -- psql -XAt -c \"select datacl, datconnlimit, datallowconn, pg_get_userbyid(datdba) from pg_database where datname = 'tsh_erp'\"")
}

fn databases(machine: &Machine) -> Vec<String> {
    let list = "select datname from pg_database where datname ~ '^tsh_erp' order by 1";
    machine.ok(&format!("runuser -u postgres -- psql -XAt -c \"{list}\"")).lines().map(str::to_owned).collect()
}

/// The runs of the application's units: other ones if anybody restarted them.
pub fn runs(machine: &Machine) -> String {
    machine.ok("systemctl show -P InvocationID tsh-erp tsh-erp-worker")
}

impl Server {
    /// The server is whole, and exactly what this verdict says is live.
    #[track_caller]
    pub fn verify(&self, id: u32, verdict: Verdict) {
        let view = self.show(id);
        assert_eq!(view.verdict, Some(verdict), "{}", story(&view));
        // An operator is needed past the commit point only: before it, everything can be undone.
        let live = if matches!(verdict, Verdict::Deployed | Verdict::NeedsOperator) { Live::New } else { Live::Old };
        let expected = match live {
            Live::Old => self.old().clone(),
            Live::New => Release { id: view.release.0, revision: view.revision.as_ref().unwrap().to_string() },
        };
        self.verify_live(&expected);
        self.verify_records(&view, verdict, &expected);
        self.verify_databases(&view);
    }

    /// This release is live, and nothing is left of a deployment.
    #[track_caller]
    pub fn verify_live(&self, expected: &Release) {
        assert_eq!(live_release(self), *expected, "what is live");
        until("the units are up", seconds(10), || {
            (self.sh("systemctl is-active -q tsh-erp && systemctl is-active -q tsh-erp-worker").code == 0).then_some(())
        });
        assert_eq!(self.sh("test -e /srv/tsh-erp/links/closed").code, 1, "the door is closed");
        assert_eq!(access(self), self.base.access, "who may use the database");
        assert_eq!(self.ok("ls -A /srv/tsh-erp/releases | grep -v '^[0-9]*$' || true"), "", "half a release is left");
        let held = "find /run/systemd/system /etc/systemd/system -lname /dev/null -name 'tsh-*'";
        assert_eq!(self.ok(held), "", "a unit is masked");
    }

    /// Whatever tells about the deployment tells the same.
    #[track_caller]
    fn verify_records(&self, view: &DeploymentView, verdict: Verdict, expected: &Release) {
        assert_eq!(view.state, verdict.word());
        let row = self.history().into_iter().find(|row| row.id == view.id).unwrap();
        assert_eq!(row.state, verdict.word());
        let status = self.status();
        assert_eq!(status.release.map(|id| id.0), Some(expected.id));
        assert_eq!(status.running, None);
        assert!(!status.door_closed);
        assert!(
            status.units.iter().all(|unit| unit.state == "active" && unit.from_release != Some(false)),
            "{status:?}"
        );
        assert!(view.steps.iter().all(|step| step.state != "running"), "{}", story(view));
    }

    /// No database was lost or left over. A twin stays until the next deployment is settled, a failed one for longer.
    #[track_caller]
    fn verify_databases(&self, view: &DeploymentView) {
        let mut expected = match (view.verdict, view.lane) {
            // What an operator may need is not pruned.
            (Some(Verdict::NeedsOperator), _) => {
                [self.base.databases.clone(), vec![format!("tsh_erp_pre_{}", view.id)]].concat()
            }
            (Some(Verdict::Deployed), Some(Lane::Fenced)) => {
                vec!["tsh_erp".to_owned(), format!("tsh_erp_pre_{}", view.id)]
            }
            (Some(Verdict::Deployed), _) => vec!["tsh_erp".to_owned()],
            _ => self.base.databases.clone(),
        };
        let said = view.database.as_deref().unwrap_or_default();
        for kept in ["quarantine", "restored"].map(|kind| format!("tsh_erp_{kind}_{}", view.id)) {
            if said.contains(&kept) {
                expected.push(kept);
            }
        }
        assert_eq!(databases(self), expected, "databases; the deployment says {said:?}");
    }

    /// Production did not feel it: the same processes, and no request was refused.
    #[track_caller]
    pub fn verify_untouched(&self, writer: writer::Writer) {
        writer::progress(self, writer::acknowledged(self));
        let summary = writer.stop().unwrap();
        assert_eq!(summary.failed_requests, 0, "{summary:?}");
        assert_eq!(runs(self), self.base.runs, "a unit was restarted");
        self.verify_live(self.old());
        writer::verify(self);
    }

    /// Ends the writing when orders get through again, and compares. Returns the longest gap in milliseconds.
    #[track_caller]
    pub fn verify_rows(&self, writer: writer::Writer) -> u64 {
        writer::progress(self, writer::acknowledged(self));
        let gap = writer.stop().map_or(0, |summary| summary.longest_gap_ms);
        let rows = writer::verify(self);
        eprintln!("{rows} orders acknowledged, all there; longest gap {gap} ms");
        gap
    }
}

/// The course of a deployment, for whoever reads why a test failed.
pub fn story(view: &DeploymentView) -> String {
    let steps = view.steps.iter().map(|step| format!("{} {} {}", step.step.word(), step.state, step.detail));
    let steps: Vec<_> = steps.collect();
    format!("{} {}: {}\n{:?}\n{:?}", view.kind, view.id, view.state, steps, view.failure)
}

//! A machine in a folder: jobs whose paths begin there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::Job;
use crate::config::{Backup, Build, Lock, Notices, ProbePlan, Project, Push, Rehearsal, Service, Settings, Source};
use crate::model::names::{App, DeploymentId, ReleaseId};
use crate::model::request::{Request, Work};
use crate::paths;

/// The machine.
pub struct Bench {
    dir: TempDir,
    /// Its application's settings.
    pub settings: Settings,
}

impl Bench {
    /// A machine with one application, `erp`, and nothing else.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let app: App = "erp".parse().unwrap();
        let root = dir.path();
        let bench = Self { settings: settings(app, root), dir };
        for path in [
            paths::fetched(bench.app()),
            paths::built(bench.app()),
            paths::releases(bench.app()),
            paths::links(bench.app()),
        ] {
            std::fs::create_dir_all(bench.at(&path)).unwrap();
        }
        bench
    }

    /// The application.
    pub fn app(&self) -> &App {
        &self.settings.app
    }

    /// Where the machine's root is.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// Where a path of the machine is.
    pub fn at(&self, path: &Path) -> PathBuf {
        self.root().join(path.strip_prefix("/").unwrap())
    }

    /// Release `id`.
    pub fn release(&self, id: u32) -> PathBuf {
        self.at(&paths::release(self.app(), ReleaseId(id)))
    }

    /// A job of deployment and release `id`.
    pub fn job(&self, id: u32, work: Work) -> Job {
        let request = Request { deployment: DeploymentId(id), release: ReleaseId(id), work };
        Job { root: self.root().to_owned(), ..Job::new(self.settings.clone(), request) }
    }
}

fn settings(app: App, root: &Path) -> Settings {
    Settings {
        app,
        source: Source {
            url: format!("file://{}/repository", root.display()),
            branch: "main".to_owned(),
            key: None,
            known_hosts: root.join("known_hosts"),
            timeout: Duration::from_secs(60),
        },
        push: Push { webhook: None, repository: String::new(), poll: None, users: Vec::new() },
        build: Build {
            workdir: PathBuf::new(),
            venv: ".venv".into(),
            python: "python3".to_owned(),
            lock: Lock::Auto,
            extra: Vec::new(),
            project: Project::No,
            wheels_only: false,
            environment: BTreeMap::new(),
            commands: Vec::new(),
            shared: BTreeMap::new(),
            timeout: Duration::from_secs(120),
        },
        service: Service {
            user: "nobody".to_owned(),
            serve: crate::config::testing::settings().service.serve,
            units: Vec::new(),
            public: vec![],
            state: Vec::new(),
            stop_timeout: Duration::from_secs(10),
        },
        database: None,
        backup: Backup {
            schedule: Some("03:15".into()),
            keep_days: 30,
            min_keep: 5,
            max_bytes: None,
            encrypt_to: Vec::new(),
            folders: Vec::new(),
            hash_limit: 20_000_000_000,
            alarm: None,
            max_age: Duration::from_hours(24),
        },
        rehearsal: Rehearsal {
            serve: None,
            smoke: None,
            environment: BTreeMap::new(),
            timeout: Duration::from_secs(60),
        },
        offsite: None,
        gates: Default::default(),
        probe: ProbePlan {
            probes: Vec::new(),
            deadline: Duration::from_secs(5),
            interval: Duration::from_millis(20),
            successes: 2,
            bake: Duration::ZERO,
            users: None,
        },
        keep_releases: 3,
        notices: Notices { environment: "production".to_owned(), give_up: Duration::from_hours(24), all: Vec::new() },
    }
}

/// Makes a file, and the folders it is in.
pub fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// A revision that no repository has.
pub fn any_sha() -> crate::model::names::Sha {
    "0123456789abcdef0123456789abcdef01234567".parse().unwrap()
}

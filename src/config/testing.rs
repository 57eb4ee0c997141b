//! Settings for tests.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;

/// A small application with a database.
#[must_use]
pub fn settings() -> Settings {
    let unit = |name: &str, role| Unit { name: name.parse().unwrap(), role };
    Settings {
        app: "erp".parse().unwrap(),
        source: Source {
            url: "file:///srv/git/erp.git".into(),
            branch: "main".into(),
            key: None,
            known_hosts: "/etc/tsh-agent/known_hosts".into(),
            timeout: Duration::from_secs(120),
        },
        push: Push { webhook: None, repository: "srv/git/erp".into(), poll: None, users: vec![] },
        build: Build {
            workdir: "".into(),
            venv: ".venv".into(),
            python: "python3".into(),
            lock: Lock::Auto,
            extra: vec![],
            project: Project::No,
            wheels_only: false,
            environment: BTreeMap::new(),
            commands: vec![],
            shared: BTreeMap::new(),
            timeout: Duration::from_secs(600),
        },
        service: Service {
            user: "deploy".into(),
            units: vec![unit("erp.service", Role::Web), unit("erp-worker.service", Role::Worker)],
            serve: Serve { strategy: Strategy::Restart, app: None, listen: None, drain: Duration::from_secs(20) },
            state: vec![],
            public: vec![],
            stop_timeout: Duration::from_secs(30),
        },
        database: Some(Database {
            name: "erp".into(),
            owner: "erp".into(),
            lane: MigrationLane::Auto,
            migrations: Migrations::Alembic {
                ini: "alembic.ini".into(),
                table: "alembic_version".into(),
                before: vec![],
                after: vec![],
            },
            timeout: Duration::from_secs(600),
            backup: true,
            rehearse: true,
            lock_budget: Duration::from_secs(2),
            max_window: None,
            quarantine_days: 30,
        }),
        backup: Backup {
            schedule: Some("03:15".into()),
            keep_days: 30,
            min_keep: 5,
            max_bytes: None,
            encrypt_to: Vec::new(),
            folders: vec!["uploads".to_owned()],
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
            probes: vec![],
            deadline: Duration::from_secs(60),
            interval: Duration::from_millis(100),
            successes: 3,
            bake: Duration::from_secs(10),
            users: None,
        },
        keep_releases: 5,
        notices: Notices { environment: "production".to_owned(), give_up: Duration::from_hours(24), all: Vec::new() },
    }
}

/// The same in two slots.
#[must_use]
pub fn slots() -> Settings {
    let mut settings = settings();
    let unit = |name: &str| Unit { name: name.parse().unwrap(), role: Role::Web };
    settings.service.units.splice(..1, [unit("erp@a.service"), unit("erp@b.service")]);
    settings.service.serve.strategy = Strategy::Slots;
    settings.service.serve.app = Some("erp.main:app".into());
    settings.service.serve.listen = Some("127.0.0.1:8000".parse().unwrap());
    settings
}

//! A release with migrations of the real Alembic.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::config::{Database, MigrationLane, Migrations};
use crate::steps::testing::{Bench, write};

/// The interpreter whose packages are the system's.
const PYTHON: &str = "/usr/bin/python3";

/// A database of that name whose migrations are Alembic's.
pub fn database(name: &str) -> Database {
    Database {
        name: name.to_owned(),
        owner: format!("{name}_app"),
        lane: MigrationLane::Auto,
        migrations: Migrations::Alembic {
            ini: "alembic.ini".into(),
            table: "alembic_version".to_owned(),
            before: Vec::new(),
            after: Vec::new(),
        },
        timeout: Duration::from_secs(60),
        backup: true,
        rehearse: true,
        lock_budget: Duration::from_secs(2),
        max_window: None,
        quarantine_days: 30,
    }
}

/// A machine whose release 7 has Alembic and the migrations a1, b2 and c3; `url` is the database's.
pub fn release(db: &str, url: &str) -> (Bench, PathBuf) {
    let found = Command::new(PYTHON).args(["-c", "import alembic, psycopg2"]).output().unwrap();
    assert!(found.status.success(), "these tests need Alembic: apt-get install python3-alembic python3-psycopg2");
    let mut bench = Bench::new();
    bench.settings.database = Some(database(db));
    let release = bench.release(7);
    write(&release.join("alembic.ini"), "[alembic]\nscript_location = migrations\n");
    let env = format!(
        "from alembic import context\nfrom sqlalchemy import create_engine\n\
         with create_engine({url:?}).connect() as connection:\n    context.configure(connection=connection)\n    \
         with context.begin_transaction():\n        context.run_migrations()\n"
    );
    write(&release.join("migrations/env.py"), &env);
    std::fs::create_dir_all(release.join(".venv/bin")).unwrap();
    symlink(PYTHON, release.join(".venv/bin/python")).unwrap();
    migration(&release, "a1", "None", "op.execute('create table shop (id int)')");
    migration(&release, "b2", "'a1'", "op.execute('alter table shop add column name text')");
    migration(&release, "c3", "'b2'", "op.execute('alter table shop add column price int')");
    (bench, release)
}

/// A migration with this body.
pub fn migration(release: &std::path::Path, revision: &str, down: &str, body: &str) {
    let text = format!(
        "\"\"\"makes {revision}\"\"\"\nfrom alembic import op\nrevision = '{revision}'\ndown_revision = {down}\n\
         print('read {revision}')\n\ndef upgrade():\n    {body}\n"
    );
    write(&release.join(format!("migrations/versions/{revision}.py")), &text);
}

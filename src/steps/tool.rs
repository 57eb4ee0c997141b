//! The release's own migration tool: where it runs and with what.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Job;
use super::child::Command;
use crate::database::MIGRATOR;
use crate::model::names::ReleaseId;
use crate::paths;

/// Where a release's programs run.
pub struct Tool {
    release: PathBuf,
    /// The working directory.
    pub dir: PathBuf,
    /// The release's interpreter.
    pub python: String,
    environment: Vec<(OsString, OsString)>,
}

impl Tool {
    /// The tool of the release that the job is about.
    #[must_use]
    pub fn of(job: &Job) -> Self {
        Self::of_release(job, job.request.release)
    }

    /// The tool of another release of the same application.
    #[must_use]
    pub fn of_release(job: &Job, release: ReleaseId) -> Self {
        let build = &job.settings.build;
        let release = job.at(&paths::release(&job.settings.app, release));
        let venv = release.join(&build.venv);
        let mut environment: Vec<(OsString, OsString)> = vec![
            // By this name the migration's sessions are known, whatever driver it uses.
            ("PGAPPNAME".into(), MIGRATOR.into()),
            ("PYTHONUNBUFFERED".into(), "1".into()),
            // The release is sealed: nothing can be written into it.
            ("PYTHONDONTWRITEBYTECODE".into(), "1".into()),
        ];
        // A release may have no environment at all.
        let python = if venv.join("bin/python").symlink_metadata().is_err() {
            build.python.clone()
        } else {
            let mut path = venv.join("bin").into_os_string();
            path.push(":");
            path.push(std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into()));
            environment.extend([("PATH".into(), path), ("VIRTUAL_ENV".into(), venv.clone().into())]);
            venv.join("bin/python").display().to_string()
        };
        Self { dir: release.join(&build.workdir), release, python, environment }
    }

    /// A command in the working directory, with the environment's programs first on the path.
    #[must_use]
    pub fn command(&self, argv: &[String]) -> Command {
        Command::new(argv.iter().cloned()).dir(&self.dir).env(self.environment.iter().cloned())
    }

    /// A command of the release's interpreter.
    #[must_use]
    pub fn python(&self, arguments: &[&str]) -> Vec<String> {
        std::iter::once(self.python.as_str()).chain(arguments.iter().copied()).map(str::to_owned).collect()
    }

    /// The release's folder.
    #[must_use]
    pub fn release(&self) -> &Path {
        &self.release
    }
}

#[cfg(test)]
pub(super) mod testing;

//! Builds a release: the exported tree, an environment of its own at its final path, the build commands.
//!
//! The unit binds the build's own area over `/srv/<app>/releases`, so that every path that an environment embeds is
//! right, and real releases cannot be seen.

mod bytecode;
mod cache;
mod environment;
mod install;
mod shared;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::child::Command;
use super::files::{self, on};
use super::output::say;
use super::{Job, Outcome, blocking, not_mine};
use crate::config;
use crate::model::journal::{Cause, Output};
use crate::model::request::Work;
use crate::paths;

use bytecode::Bytecode;
use environment::Environment;

/// Builds what was fetched.
pub async fn run(job: &Job) -> Outcome {
    let Work::Build { revision } = &job.request.work else { return Err(not_mine()) };
    let (app, settings) = (&job.settings.app, &job.settings.build);
    let release = job.at(&paths::release(app, job.request.release));
    let plan = Plan {
        settings: settings.clone(),
        tree: job.at(&paths::exported(app, revision)),
        area: job.at(&paths::releases(app)),
        workdir: release.join(&settings.workdir),
        shared: job.at(&paths::home(app)).join("shared"),
        release,
    };
    match tokio::time::timeout(settings.timeout, plan.build()).await {
        Ok(outcome) => outcome.map(|how| Output::Built { how }),
        Err(_) => {
            let what = format!("the build took longer than {} s", settings.timeout.as_secs_f32());
            Err(Cause::new(what).hint("`build.timeout` says how long it may take"))
        }
    }
}

/// What is built from what, where.
#[derive(Clone)]
struct Plan {
    settings: config::Build,
    /// The exported tree.
    tree: PathBuf,
    /// The build's area; only its cache outlives a build.
    area: PathBuf,
    /// The final path of the release.
    release: PathBuf,
    workdir: PathBuf,
    shared: PathBuf,
}

impl Plan {
    async fn build(&self) -> Result<String, Cause> {
        let plan = self.clone();
        blocking(move || plan.prepare()).await?;
        let environment = Environment::new(self);
        let how = install::install(self, &environment).await?;
        for argv in &self.settings.commands {
            say(&format!("$ {}", argv.join(" ")));
            environment.command(argv).dir(&self.workdir).run().await?;
        }
        self.compile(&environment).await?;
        let plan = self.clone();
        blocking(move || plan.finish()).await?;
        Ok(how)
    }

    /// Puts the tree where it will be at home.
    fn prepare(&self) -> Result<(), Cause> {
        cache::begin(&self.area.join(cache::NAME))?;
        for name in files::names(&self.area)?.iter().filter(|name| *name != cache::NAME) {
            files::remove(&self.area.join(name))?;
        }
        if !self.tree.is_dir() {
            return Err(Cause::new(format!("{} does not exist: it was not fetched", self.tree.display())));
        }
        let items = files::copy(&self.tree, &self.release)?;
        say(&format!("{} files in {}", items.len(), self.release.display()));
        if !self.workdir.is_dir() {
            return Err(Cause::new(format!("the revision has no folder {}", self.settings.workdir.display()))
                .hint("`build.workdir` names the folder in which commands run"));
        }
        shared::check(&self.release, &self.settings.shared)
    }

    /// Compiles to bytecode, because the application may not write beside its code.
    async fn compile(&self, environment: &Environment) -> Result<(), Cause> {
        let python = self.python();
        if python.exists() {
            let kept = Bytecode::of(&self.area.join(cache::NAME), &self.venv()).map(Arc::new);
            let (mut sources, mut left) = (Vec::new(), bytecode::everything());
            if let Some(kept) = kept.clone() {
                let release = self.release.clone();
                sources = blocking(move || kept.restore(&release)).await?;
                left = bytecode::left(&sources, &self.release);
            }
            if !left.is_empty() {
                let argv = [python.to_string_lossy().as_ref(), "-m", "compileall", "-q"].map(str::to_owned);
                // Packages may contain files for other versions of Python, which cannot be compiled and need not.
                environment.command(&[&argv[..], &left].concat()).dir(&self.release).quiet().finish().await?;
            }
            if let Some(kept) = kept {
                blocking(move || kept.keep(&sources)).await?;
            }
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), Cause> {
        shared::link(&self.release, &self.shared, &self.settings.shared)?;
        make_readable(&self.release)?;
        cache::end(&self.area.join(cache::NAME))
    }

    fn venv(&self) -> PathBuf {
        self.release.join(&self.settings.venv)
    }

    fn python(&self) -> PathBuf {
        self.venv().join("bin/python")
    }
}

/// Lets other users read it: the one who seals it, and the application.
fn make_readable(path: &Path) -> Result<(), Cause> {
    let meta = path.symlink_metadata().map_err(on(path))?;
    if meta.is_symlink() {
        return Ok(());
    }
    let mode = meta.permissions().mode();
    let wanted = mode | if meta.is_dir() { 0o755 } else { 0o444 };
    if wanted != mode {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(wanted)).map_err(on(path))?;
    }
    if meta.is_dir() {
        for name in files::names(path)? {
            make_readable(&path.join(name))?;
        }
    }
    Ok(())
}

impl Environment {
    /// A command of the build.
    fn command(&self, argv: &[String]) -> Command {
        Command::new(argv).clean().env(self.variables.clone())
    }
}

#[cfg(test)]
mod tests;

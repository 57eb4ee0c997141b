//! The environment of a release: made anew each time, from a lock file, with a warm cache in a fraction of a second.

use std::path::{Path, PathBuf};

use super::Plan;
use super::environment::Environment;
use crate::config::{Lock, Project};
use crate::model::journal::Cause;
use crate::steps::child::Finished;
use crate::steps::files::{self, on};
use crate::steps::output::say;

/// What is installed from where.
enum From {
    /// `uv.lock` in this folder.
    Uv(PathBuf),
    /// This requirements file.
    Requirements(PathBuf),
    /// Whatever this command installs.
    Command(Vec<String>),
    /// Only what the configuration adds.
    Nothing(PathBuf),
}

/// Makes the environment, and says what is in it.
pub async fn install(plan: &Plan, environment: &Environment) -> Result<String, Cause> {
    let Some(from) = choose(plan)? else { return Ok("no environment".to_owned()) };
    // Commands of the owner may want pip, which an environment of uv has not.
    let uv = environment.has("uv") && !matches!(from, From::Command(_));
    if matches!(from, From::Uv(_)) && !uv {
        return Err(Cause::new("the revision is locked with uv.lock, and uv is not on this server")
            .hint("install uv to /usr/local/bin"));
    }
    let installer = Installer { plan, environment, uv };
    installer.make_venv().await?;
    let mut fresh = installer.dependencies(&from).await?;
    if !plan.settings.extra.is_empty() {
        fresh |= installer.add(&[], &plan.settings.extra).await?;
    }
    installer.project(&from).await?;

    let count = packages(&plan.venv(), !uv)?;
    let noun = if count == 1 { "package" } else { "packages" };
    let with = if uv { "uv" } else { "pip" };
    let cached = if fresh || count == 0 { "" } else { ", from cache" };
    let how = format!("{count} {noun} with {with}{cached}");
    say(&how);
    Ok(how)
}

/// What this revision is installed from: it may change its kind of lock from one revision to the next.
fn choose(plan: &Plan) -> Result<Option<From>, Cause> {
    let settings = &plan.settings;
    let missing = |path: &Path| {
        let shown = path.strip_prefix(&plan.release).unwrap_or(path).display();
        Cause::new(format!("the revision has no {shown}")).hint("`build.lock` says what is installed")
    };
    match &settings.lock {
        Lock::None => Ok(None),
        Lock::Command(argv) => Ok(Some(From::Command(argv.clone()))),
        Lock::Requirements(file) => {
            let file = plan.workdir.join(file);
            if file.is_file() { Ok(Some(From::Requirements(file))) } else { Err(missing(&file)) }
        }
        Lock::Uv => match upwards(plan, "uv.lock") {
            Some(file) => Ok(Some(From::Uv(folder(&file)))),
            None => Err(missing(&plan.workdir.join("uv.lock"))),
        },
        Lock::Auto => Ok(match (upwards(plan, "uv.lock"), upwards(plan, "requirements.txt")) {
            (Some(file), _) => Some(From::Uv(folder(&file))),
            (None, Some(file)) => Some(From::Requirements(file)),
            (None, None) if settings.extra.is_empty() && settings.project == Project::No => None,
            (None, None) => Some(From::Nothing(plan.workdir.clone())),
        }),
    }
}

/// A file in the working directory or in a folder above it, up to the release.
fn upwards(plan: &Plan, name: &str) -> Option<PathBuf> {
    let folders = plan.workdir.ancestors().take_while(|dir| dir.starts_with(&plan.release));
    folders.map(|dir| dir.join(name)).find(|file| file.is_file())
}

fn folder(file: &Path) -> PathBuf {
    file.parent().unwrap_or(file).to_owned()
}

struct Installer<'a> {
    plan: &'a Plan,
    environment: &'a Environment,
    uv: bool,
}

impl Installer<'_> {
    async fn make_venv(&self) -> Result<(), Cause> {
        let (venv, python) = (self.plan.venv(), &self.plan.settings.python);
        if venv.symlink_metadata().is_ok() {
            say(&format!("warning: {} of the repository is replaced", self.plan.settings.venv.display()));
            files::remove(&venv)?;
        }
        let path = venv.to_string_lossy();
        if self.uv {
            self.run(&["uv", "venv", "--quiet", "--no-project", "--python", python, &path], &self.plan.release).await?;
            return Ok(());
        }
        self.run(&[python, "-m", "venv", &path], &self.plan.release).await.map(drop).map_err(|mut cause| {
            if cause.tail.iter().any(|line| line.contains("ensurepip")) {
                cause.hint = Some("install uv, or Debian's package python3-venv".to_owned());
            }
            cause
        })
    }

    /// Installs what the lock names; whether anything had to be downloaded or compiled.
    async fn dependencies(&self, from: &From) -> Result<bool, Cause> {
        match from {
            From::Uv(dir) => {
                let mut argv = vec!["uv", "sync", "--locked", "--no-dev", "--no-install-project"];
                argv.extend(["--python", &self.plan.settings.python]);
                if self.plan.settings.wheels_only {
                    argv.push("--no-build");
                }
                self.run(&argv, dir).await.map(|finished| is_fresh(&finished))
            }
            From::Requirements(file) => {
                let text = std::fs::read_to_string(file).map_err(on(file))?;
                let hashes: &[&str] = if text.contains("--hash=") { &["--require-hashes"] } else { &[] };
                self.add(hashes, &["-r".to_owned(), file.to_string_lossy().into_owned()]).await
            }
            From::Command(argv) => {
                let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
                self.run(&argv, &self.plan.workdir).await.map(|finished| is_fresh(&finished))
            }
            From::Nothing(_) => Ok(false),
        }
    }

    /// Installs requirements; whether anything had to be downloaded or compiled.
    async fn add(&self, options: &[&str], requirements: &[String]) -> Result<bool, Cause> {
        let wheels: &[&str] = match (self.plan.settings.wheels_only, self.uv) {
            (false, _) => &[],
            (true, true) => &["--no-build"],
            (true, false) => &["--only-binary", ":all:"],
        };
        let requirements: Vec<&str> = requirements.iter().map(String::as_str).collect();
        self.pip(&[options, wheels, &requirements].concat(), &self.plan.workdir)
            .await
            .map(|finished| is_fresh(&finished))
    }

    /// Installs the project itself, whose dependencies are there already.
    async fn project(&self, from: &From) -> Result<(), Cause> {
        let dir = match from {
            From::Uv(dir) | From::Nothing(dir) => dir.clone(),
            From::Requirements(file) => folder(file),
            From::Command(_) => self.plan.workdir.clone(),
        };
        let options: &[&str] = match self.plan.settings.project {
            Project::No => return Ok(()),
            Project::Package => &["--no-deps", "."],
            Project::Editable => &["--no-deps", "-e", "."],
        };
        self.pip(options, &dir).await.map(drop)
    }

    async fn pip(&self, options: &[&str], dir: &Path) -> Result<Finished, Cause> {
        let python = self.plan.python();
        let python = python.to_string_lossy();
        let head: &[&str] = if self.uv {
            &["uv", "pip", "install", "--python", &python]
        } else {
            &[&python, "-m", "pip", "install", "--progress-bar", "off"]
        };
        self.run(&[head, options].concat(), dir).await
    }

    async fn run(&self, argv: &[&str], dir: &Path) -> Result<Finished, Cause> {
        let argv: Vec<String> = argv.iter().map(|&word| word.to_owned()).collect();
        say(&format!("$ {}", argv.join(" ")));
        let finished = self.environment.command(&argv).dir(dir).finish().await?;
        if finished.status.success() { Ok(finished) } else { Err(explain(&finished)) }
    }
}

/// Whether the tool had to download or compile something.
fn is_fresh(finished: &Finished) -> bool {
    let words = ["Prepared ", "Downloading ", "Building wheel"];
    finished.lines.iter().any(|line| words.iter().any(|word| line.trim_start().starts_with(word)))
}

/// Names the requirement that made an installation fail, where the tool says so.
fn explain(finished: &Finished) -> Cause {
    let cause = finished.cause();
    let found = finished.lines.iter().rev().find_map(|line| {
        let after =
            |text: &str| line.split_once(text).map(|(_, rest)| rest.trim().trim_end_matches(['.', ',']).to_owned());
        after("No matching distribution found for ")
            .map(|name| (format!("the requirement {name} cannot be found"), "is it spelled right, and published?"))
            .or_else(|| {
                after("Because ").map(|why| (format!("the requirements cannot be met: {why}"), "see the last lines"))
            })
            .or_else(|| {
                line.contains("needs to be updated").then(|| {
                    ("uv.lock does not belong to this pyproject.toml".to_owned(), "run `uv lock`, commit uv.lock")
                })
            })
            .or_else(|| {
                (line.contains("THESE PACKAGES DO NOT MATCH THE HASHES") || line.contains("Hash mismatch for")).then(
                    || {
                        (
                            format!("a package is not the one that was locked: {}", line.trim()),
                            "lock it anew if that is intended",
                        )
                    },
                )
            })
    });
    match found {
        Some((what, hint)) => Cause { what, hint: Some(hint.to_owned()), ..cause },
        None => cause,
    }
}

/// How many packages are installed, apart from those that every environment of Python itself has.
fn packages(venv: &Path, seeded: bool) -> Result<usize, Cause> {
    let mut count = 0;
    for python in files::names(&venv.join("lib"))? {
        for name in files::names(&venv.join("lib").join(python).join("site-packages"))? {
            let name = name.to_string_lossy();
            let seed = seeded && (name.starts_with("pip-") || name.starts_with("setuptools-"));
            count += usize::from(name.ends_with(".dist-info") && !seed);
        }
    }
    Ok(count)
}

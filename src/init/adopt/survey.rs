//! What taking over one checkout takes, and what stands against it. Reads only.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::libc::O_NOFOLLOW;

use super::record::Record;
use super::{Effect, aside, exchange, unit};
use crate::init::compose::{Known, compose};
use crate::init::database::app_environment;
use crate::init::inspect::Found;
use crate::init::machine::run;
use crate::model::names::App;
use crate::paths;

/// The plan, and what a person should know of it.
pub type Survey = Result<(Record, Vec<String>), String>;

/// Makes the plan for a checkout.
///
/// # Errors
/// Why it cannot be taken over while it runs.
pub fn survey(app: &App, path: &Path, found: &Found, known: &Known) -> Survey {
    let mut warnings = Vec::new();
    let Some((sha, subject)) = &found.head else {
        return Err(format!(
            "{} is no git checkout that {} can read: what revision is it?",
            path.display(),
            known.user
        ));
    };
    let revision = sha.parse().map_err(|bad| format!("{}: {bad}", path.display()))?;
    if !exchange::is_folder(path) {
        return Err(format!("{} is no folder", path.display()));
    }
    let put_aside = aside(path);
    if put_aside.symlink_metadata().is_ok() {
        return Err(format!("{} is there already: move it out of the way", put_aside.display()));
    }
    for folder in known.state.iter().map(|folder| path.join(folder)) {
        one_file_system(&folder)?;
    }
    processes(path, found, known)?;
    if let Some(changed) = dirty(path, &known.user) {
        warnings
            .push(format!("{} differs from its commit ({changed}): the release is the tree as it is", path.display()));
    }

    let (environment, files, secrets) = environment(app, path, found)?;
    let mut without: Vec<PathBuf> = vec![".git".into()];
    without.extend(secrets);
    without.extend(known.state.iter().map(PathBuf::from));
    let mut effects = files;
    if !paths::settings(app).exists() {
        effects.push(Effect::File { path: paths::settings(app), text: compose(app, known), mode: 0o644 });
    }
    effects.push(Effect::Prepare);
    effects.push(Effect::Number);
    let (shared, venv) = (known.state.clone(), known.venv.clone());
    effects.push(Effect::Release { from: path.to_owned(), without, shared, venv });
    effects.push(Effect::Link);
    for folder in &known.state {
        let from = path.join(folder);
        let meta = fs::symlink_metadata(&from).map_err(|error| format!("{}: {error}", from.display()))?;
        let mode = if known.public.contains(folder) { 0o755 } else { 0o750 };
        let was = (meta.uid(), meta.gid(), meta.mode() & 0o7777);
        effects.push(Effect::State { from, folder: folder.clone(), was, mode });
    }
    effects.push(Effect::Path { path: path.to_owned(), aside: put_aside });
    effects.push(Effect::DropIns { files: drop_ins(app, path, found, environment.as_deref())? });
    let (path, subject) = (path.to_owned(), subject.clone());
    Ok((
        Record { app: app.clone(), path, revision, subject, effects, begun: 0, undoing: false, release: None },
        warnings,
    ))
}

/// Two folders can only change places on one file system.
fn one_file_system(folder: &Path) -> Result<(), String> {
    let device =
        |path: &Path| fs::metadata(path).map(|meta| meta.dev()).map_err(|error| format!("{}: {error}", path.display()));
    let srv = Path::new("/srv");
    if device(folder)? == device(srv)? {
        return Ok(());
    }
    let folder = folder.display();
    Err(format!(
        "{folder} and /srv are on different file systems, so {folder} cannot move while it is used: stop the application, move it by hand, leave a link"
    ))
}

/// What runs must not notice: so it must see our changes, and write nowhere else than in what becomes shared.
fn processes(path: &Path, found: &Found, known: &Known) -> Result<(), String> {
    for unit in found.shown.iter().filter(|unit| unit.value("ActiveState") == "active") {
        if unit.value("ProtectSystem") == "strict" {
            return Err(format!(
                "{0} runs with ProtectSystem=strict, so it would not see its folders where they move to: sudo systemctl stop {0}, then again",
                unit.name
            ));
        }
        let Ok(pids) = fs::read_to_string(cgroup(unit.value("ControlGroup"))) else { continue };
        for pid in pids.lines() {
            if let Some(file) = written(Path::new("/proc").join(pid).as_path(), path, &known.state) {
                return Err(format!(
                    "{} (process {pid}) writes {}, which is in no folder that is shared: name it with --state FOLDER, or stop the unit",
                    unit.name,
                    file.display()
                ));
            }
        }
    }
    Ok(())
}

/// Where the processes of a cgroup are listed, in either layout.
fn cgroup(group: &str) -> PathBuf {
    let of = |base: &str| PathBuf::from(format!("{base}{group}/cgroup.procs"));
    let both = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"];
    both.into_iter().map(of).find(|path| path.exists()).unwrap_or_else(|| of("/sys/fs/cgroup"))
}

/// A file in the tree that a process has open for writing, outside of these folders.
fn written(process: &Path, tree: &Path, state: &[String]) -> Option<PathBuf> {
    let open = fs::read_dir(process.join("fd")).ok()?;
    open.filter_map(Result::ok).find_map(|entry| {
        let file = fs::read_link(entry.path()).ok()?;
        let inside = file.strip_prefix(tree).ok()?;
        let info = fs::read_to_string(process.join("fdinfo").join(entry.file_name())).ok()?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
        let writes = i32::from_str_radix(flags.trim(), 8).is_ok_and(|flags| flags & 0o3 != 0);
        (writes && !state.iter().any(|folder| inside.starts_with(folder))).then_some(file)
    })
}

fn dirty(path: &Path, user: &str) -> Option<String> {
    let folder = path.to_str()?;
    let argv = ["runuser", "-u", user, "--", "git", "-C", folder, "status", "--porcelain", "--untracked-files=no"];
    let said = run(&argv, "").ok()?;
    let first = said.lines().next()?.get(3..)?.to_owned();
    Some(match said.lines().count() {
        1 => first,
        count => format!("{first} and {} more", count - 1),
    })
}

/// Where the environment will be, the file that is written for it, and what of the tree is secret.
type Environment = (Option<PathBuf>, Vec<Effect>, BTreeSet<PathBuf>);

fn environment(app: &App, path: &Path, found: &Found) -> Result<Environment, String> {
    let own = app_environment(app);
    let inside: Vec<&PathBuf> = found.environments.iter().filter(|file| file.starts_with(path)).collect();
    let mut secret: BTreeSet<PathBuf> =
        inside.iter().filter_map(|file| file.strip_prefix(path).ok().map(Path::to_owned)).collect();
    for entry in fs::read_dir(path).map_err(|error| format!("{}: {error}", path.display()))?.filter_map(Result::ok) {
        let name = entry.file_name();
        let text = name.to_string_lossy();
        if text.starts_with(".env") && !text.contains("example") && !text.contains("sample") {
            secret.insert(name.into());
        }
    }
    if own.exists() {
        return Ok((Some(own), Vec::new(), secret));
    }
    if inside.is_empty() {
        return Ok((None, Vec::new(), secret));
    }
    let mut text = String::new();
    for file in inside {
        text += &read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        if !text.ends_with('\n') {
            text.push('\n');
        }
    }
    if let Some(line) = text.lines().find(|line| line.trim_start().starts_with("export ")) {
        let name = line.trim_start().trim_start_matches("export ").split('=').next().unwrap_or_default();
        return Err(format!(
            "the environment has `export {name}=…`, which systemd does not read: remove the word export"
        ));
    }
    Ok((Some(own.clone()), vec![Effect::File { path: own, text, mode: 0o600 }], secret))
}

/// Root reads what the application's user may have replaced by a link.
fn read(file: &Path) -> io::Result<String> {
    let mut text = String::new();
    OpenOptions::new().read(true).custom_flags(O_NOFOLLOW).open(file)?.read_to_string(&mut text)?;
    Ok(text)
}

fn drop_ins(
    app: &App,
    path: &Path,
    found: &Found,
    environment: Option<&Path>,
) -> Result<Vec<(PathBuf, String)>, String> {
    let ours = |name: &str| found.units.iter().any(|(unit, _)| unit.as_str() == name);
    let mut files = Vec::new();
    for shown in found.shown.iter().filter(|unit| unit.name.ends_with(".service") && ours(&unit.name)) {
        let text = run(&["systemctl", "cat", "--", &shown.name], "").map_err(|failure| failure.to_string())?;
        let file = format!("/etc/systemd/system/{}.d/50-tsh-agent.conf", shown.name);
        files.push((file.into(), unit::drop_in(app, &text, path, environment)));
    }
    Ok(files)
}

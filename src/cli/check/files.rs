//! Files and folders: whose they are, and whether they are what `init` would make.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Me;
use crate::config::Settings;
use crate::init::machine::{is_so, is_written, untrusted};
use crate::init::{Facts, database, folders as made, generated};
use crate::model::finding::Finding;

/// What counts of a file that PID 1 reads as root.
struct Found {
    mode: u32,
    /// Why somebody else than root could put another one there.
    untrusted: Option<String>,
}

fn find(path: &Path) -> io::Result<Found> {
    let found = fs::symlink_metadata(path)?;
    Ok(Found { mode: found.mode() & 0o7777, untrusted: untrusted(path) })
}

/// The files with the application's secrets: whoever could write them would be the application, and so would whoever
/// reads them.
pub fn environments(settings: &Settings, named: &BTreeSet<(PathBuf, bool)>) -> Vec<Finding> {
    let mut files = named.clone();
    let own = database::app_environment(&settings.app);
    if settings.database.is_some() && !files.iter().any(|(path, _)| *path == own) {
        files.insert((own, false));
    }
    files.iter().filter_map(|(path, needed)| environment(path, *needed, find(path))).collect()
}

fn environment(path: &Path, needed: bool, found: io::Result<Found>) -> Option<Finding> {
    let area = "environment";
    let shown = path.display();
    Some(match found {
        Err(error) if error.kind() == ErrorKind::NotFound && !needed => return None,
        Err(error) if error.kind() == ErrorKind::NotFound => Finding::bad(area, format!("{shown} is not there"))
            .mend(format!("sudo install -m 0600 FILE {shown}, FILE with the application's variables")),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => needs_root(area, &shown.to_string()),
        Err(error) => Finding::bad(area, format!("{shown}: {error}")).mend(format!("sudo stat {shown}")),
        Ok(Found { untrusted: Some(why), .. }) => {
            Finding::bad(area, why).mend(format!("sudo chown root: {shown} && sudo chmod 0600 {shown}"))
        }
        Ok(Found { mode, .. }) if mode & 0o077 != 0 => {
            Finding::warning(area, format!("{shown} can be read by others than root ({mode:04o})"))
                .mend(format!("sudo chmod 0600 {shown}"))
        }
        Ok(_) => Finding::ok(area, format!("{shown} is root's alone")),
    })
}

fn needs_root(area: &str, what: &str) -> Finding {
    Finding::not_checked(area, format!("{what}: needs root"))
}

/// Every folder with the owner and the mode that keep one user out of another's.
pub fn folders(settings: &Settings, facts: &Facts) -> Vec<Finding> {
    let app = &settings.app;
    let all = made::folders(settings, facts);
    let mut found: Vec<Finding> = all
        .iter()
        .filter(|folder| !is_so(folder))
        .map(|folder| {
            let made::Folder { path, mode, owner, group } = folder;
            Finding::bad("folders", format!("{} is not {owner}:{group} {mode:04o}", path.display()))
                .mend(format!("sudo tsh-agent init {app}"))
        })
        .collect();
    let current = made::current(app);
    let leads = fs::read_link(&current);
    if !leads.as_ref().is_ok_and(|to| to == Path::new("links/current")) {
        let what =
            format!("{} is not the link to links/current, through which releases become live", current.display());
        found.push(Finding::bad("folders", what).mend(format!("sudo tsh-agent init {app}")));
    }
    if found.is_empty() {
        found.push(Finding::ok("folders", format!("all {} have their owners and modes", all.len())));
    }
    found
}

/// Whether `init` would change anything that it writes.
pub fn written(settings: &Settings, facts: &Facts) -> Vec<Finding> {
    let files = generated(settings, facts).into_iter().map(|file| {
        let is = is_written(&file);
        (file.path, is)
    });
    let mut files: Vec<(PathBuf, io::Result<bool>)> = files.collect();
    if settings.database.is_some() {
        let file = database::migration_path(&settings.app);
        // Written once, and a person's from then on.
        let is = file.try_exists();
        files.push((file, is));
    }
    up_to_date(&files, &format!("sudo tsh-agent init {}", settings.app))
}

fn up_to_date(files: &[(PathBuf, io::Result<bool>)], mend: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut same = 0;
    for (path, is) in files {
        let shown = path.display();
        found.push(match is {
            Ok(true) => {
                same += 1;
                continue;
            }
            Ok(false) => Finding::bad("init", format!("{shown} is not what the settings ask for now")).mend(mend),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => needs_root("init", &shown.to_string()),
            Err(error) => Finding::bad("init", format!("{shown}: {error}")).mend(mend),
        });
    }
    if same > 0 {
        found.insert(0, Finding::ok("init", format!("{same} files are what the settings ask for")));
    }
    found
}

/// What lets the fetch in, and what it lets itself be answered by.
pub fn credentials(settings: &Settings, me: &Me) -> Vec<Finding> {
    let source = &settings.source;
    let mut found = Vec::new();
    if let Some(path) = &source.key {
        found.push(key(path, find(path), me.root));
        found.push(known_hosts(&source.known_hosts, fs::read_to_string(&source.known_hosts)));
    }
    for notice in &settings.notices.all {
        found.extend(notice.secret.as_ref().map(|path| secret("notice", path, find(path), me.root)));
    }
    found
}

fn key(path: &Path, found: io::Result<Found>, root: bool) -> Finding {
    let shown = path.display();
    let missing = matches!(&found, Err(error) if error.kind() == ErrorKind::NotFound);
    let finding = secret("deploy key", path, found, root);
    if missing {
        finding.mend(format!("sudo ssh-keygen -t ed25519 -N '' -f {shown}, and give the forge {shown}.pub"))
    } else {
        finding
    }
}

fn secret(area: &str, path: &Path, found: io::Result<Found>, root: bool) -> Finding {
    let shown = path.display();
    match found {
        Err(error) if error.kind() == ErrorKind::PermissionDenied && !root => needs_root(area, &shown.to_string()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Finding::bad(area, format!("{shown} is not there")).mend(format!("sudo install -m 0600 /dev/stdin {shown}"))
        }
        Err(error) => Finding::bad(area, format!("{shown}: {error}")).mend(format!("sudo stat {shown}")),
        Ok(Found { untrusted: Some(why), .. }) => {
            Finding::bad(area, why).mend(format!("sudo chown root: {shown} && sudo chmod 0600 {shown}"))
        }
        Ok(Found { mode, .. }) if mode & 0o077 != 0 => {
            Finding::bad(area, format!("{shown} can be read by others than root ({mode:04o})"))
                .mend(format!("sudo chmod 0600 {shown}"))
        }
        Ok(_) => Finding::ok(area, format!("{shown} is root's alone")),
    }
}

fn known_hosts(path: &Path, text: io::Result<String>) -> Finding {
    let shown = path.display();
    let mend = format!("ssh-keyscan HOST | sudo tee -a {shown}, and compare with what the forge publishes");
    let keys = text.map(|text| text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).count());
    match keys {
        Ok(0) => Finding::bad("known hosts", format!("{shown} has no key of a host")).mend(mend),
        Ok(_) => Finding::ok("known hosts", format!("{shown} names whom to believe")),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => needs_root("known hosts", &shown.to_string()),
        Err(error) => Finding::bad("known hosts", format!("{shown}: {error}")).mend(mend),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::finding::Level;

    fn file(mode: u32) -> io::Result<Found> {
        Ok(Found { mode, untrusted: None })
    }

    fn error<T>(kind: ErrorKind) -> io::Result<T> {
        Err(kind.into())
    }

    #[test]
    fn secrets_are_roots_alone() {
        let path = Path::new("/etc/erp.env");
        let level = |needed, found| environment(path, needed, found).map(|found| found.level);
        assert_eq!(level(true, file(0o600)), Some(Level::Ok));
        assert_eq!(level(true, file(0o640)), Some(Level::Warning));
        let writable = Ok(Found { mode: 0o666, untrusted: Some("/etc/erp.env can be written by others".into()) });
        assert_eq!(level(true, writable), Some(Level::Bad));
        assert_eq!(level(true, error(ErrorKind::NotFound)), Some(Level::Bad));
        assert_eq!(level(false, error(ErrorKind::NotFound)), None);
        assert_eq!(level(true, error(ErrorKind::PermissionDenied)), Some(Level::NotChecked));
    }

    #[test]
    fn a_key_that_others_can_read_is_no_key() {
        let path = Path::new("/etc/erp.key");
        assert_eq!(key(path, file(0o600), true).level, Level::Ok);
        assert_eq!(key(path, file(0o644), true).mend.unwrap(), "sudo chmod 0600 /etc/erp.key");
        assert_eq!(key(path, error(ErrorKind::PermissionDenied), false).what, "/etc/erp.key: needs root");
        assert_eq!(key(path, error(ErrorKind::NotFound), true).level, Level::Bad);
        let hosts = |text: &str| known_hosts(Path::new("/h"), Ok(text.to_owned())).level;
        assert_eq!((hosts("# none\n\n"), hosts("h ssh-ed25519 A\n")), (Level::Bad, Level::Ok));
    }

    #[test]
    fn files_that_are_so_are_counted_and_others_named() {
        let files =
            [("/a".into(), Ok(true)), ("/b".into(), Ok(false)), ("/c".into(), error(ErrorKind::PermissionDenied))];
        let found = up_to_date(&files, "init");
        assert_eq!(found[0], Finding::ok("init", "1 files are what the settings ask for"));
        assert_eq!(found[1], Finding::bad("init", "/b is not what the settings ask for now").mend("init"));
        assert_eq!(found[2], Finding::not_checked("init", "/c: needs root"));
    }
}

//! What would be installed: the packages of a lock file or of a requirements file, by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::tree::Tree;
use crate::config::Lock;
use crate::model::plan::{Packages, changes};

/// Files that include files that include files.
const DEEPEST: usize = 10;

/// What one commit would install.
#[derive(Default)]
struct Installed {
    /// The file that says so.
    file: Option<PathBuf>,
    /// Its text, with that of what it includes.
    text: String,
    /// Name → version, or what stands in its place.
    versions: BTreeMap<String, String>,
    /// How many have no fixed version.
    loose: usize,
    /// Why it is not known.
    unknown: Option<String>,
}

/// How what is installed differs.
pub fn compare(lock: &Lock, before: Option<&Tree<'_>>, now: &Tree<'_>) -> Packages {
    let new = read(lock, now);
    let old = before.map(|before| read(lock, before));
    let shown = |installed: &Installed| installed.file.as_ref().map(|file| file.display().to_string());
    let file = shown(&new);
    let mut packages = Packages { file, loose: new.loose, unknown: new.unknown.clone(), ..Packages::default() };
    let Some(old) = old else { return packages };
    packages.before = shown(&old).filter(|before| Some(before) != packages.file.as_ref());
    packages.touched = old.text != new.text;
    packages.unknown = packages.unknown.or(old.unknown);
    if packages.unknown.is_none() {
        packages.changes = changes(&old.versions, &new.versions);
    }
    packages
}

fn read(lock: &Lock, tree: &Tree<'_>) -> Installed {
    match lock {
        Lock::None => Installed::default(),
        Lock::Command(_) => Installed {
            unknown: Some("`build.lock` is a command: what it installs is known when it has run".to_owned()),
            ..Installed::default()
        },
        Lock::Requirements(file) => match tree.at(file) {
            Some(file) => requirements(tree, file),
            None => Installed::default(),
        },
        Lock::Uv => tree.upwards("uv.lock").map_or_else(Installed::default, |file| uv(tree, file)),
        Lock::Auto => match (tree.upwards("uv.lock"), tree.upwards("requirements.txt")) {
            (Some(file), _) => uv(tree, file),
            (None, Some(file)) => requirements(tree, file),
            (None, None) => Installed::default(),
        },
    }
}

/// As much of `uv.lock` as is needed.
#[derive(Deserialize)]
struct UvLock {
    #[serde(default)]
    package: Vec<UvPackage>,
}

#[derive(Deserialize)]
struct UvPackage {
    name: String,
    version: Option<String>,
    #[serde(default)]
    source: BTreeMap<String, toml::Value>,
}

fn uv(tree: &Tree<'_>, file: PathBuf) -> Installed {
    let text = tree.text(&file).unwrap_or_default();
    match versions(&text) {
        Ok(versions) => Installed { file: Some(file), text, versions, ..Installed::default() },
        Err(why) => {
            let unknown = Some(format!("{} cannot be read: {why}", file.display()));
            Installed { file: Some(file), text, unknown, ..Installed::default() }
        }
    }
}

/// Name → version of `uv.lock`, without the project itself.
fn versions(text: &str) -> Result<BTreeMap<String, String>, String> {
    let lock: UvLock = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for package in lock.package {
        if ["virtual", "editable", "directory"].iter().any(|local| package.source.contains_key(*local)) {
            continue;
        }
        let mut version = package.version.unwrap_or_else(|| "no version".to_owned());
        if let Some(commit) = package.source.get("git").and_then(|git| git.as_str()?.rsplit_once('#')) {
            version += &format!(" at {}", commit.1.chars().take(8).collect::<String>());
        }
        // One package may be locked in several versions, for several machines.
        all.entry(package.name).and_modify(|known| *known += &format!(", {version}")).or_insert(version);
    }
    Ok(all)
}

fn requirements(tree: &Tree<'_>, file: PathBuf) -> Installed {
    let mut installed = Installed::default();
    include(tree, &file, DEEPEST, &mut installed);
    installed.file = Some(file);
    installed
}

fn include(tree: &Tree<'_>, file: &Path, depth: usize, into: &mut Installed) {
    let Some(text) = tree.text(file) else {
        let missing = || format!("the revision has no {}", file.display());
        into.unknown.get_or_insert_with(missing);
        return;
    };
    into.text += &text;
    for line in lines(&text) {
        match entry(&line) {
            Entry::Package { name, version, pinned } => {
                into.loose += usize::from(!pinned);
                into.versions.insert(name, version);
            }
            Entry::File(other) => {
                let beside = file.parent().unwrap_or(Path::new("")).join(other);
                match plain_beside(tree, &beside) {
                    Some(beside) if depth > 0 => include(tree, &beside, depth - 1, into),
                    _ => {
                        let why = || format!("{} includes what is not in the revision: {other}", file.display());
                        into.unknown.get_or_insert_with(why);
                    }
                }
            }
            Entry::Nothing => {}
        }
    }
}

/// A path that an included file has in the commit, if it is one that the commit has.
fn plain_beside(tree: &Tree<'_>, path: &Path) -> Option<PathBuf> {
    let path = super::tree::plain(path)?;
    tree.text(&path).map(|_| path)
}

/// One line of a requirements file.
enum Entry<'a> {
    Package { name: String, version: String, pinned: bool },
    File(&'a str),
    Nothing,
}

/// The lines as pip sees them: joined where they go on, and without comments.
fn lines(text: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let comment = if line.trim_start().starts_with('#') { Some(0) } else { line.find(" #") };
        let line = comment.map_or(line, |at| &line[..at]).trim_end();
        let (line, goes_on) = line.strip_suffix('\\').map_or((line, false), |line| (line, true));
        match all.last_mut().filter(|_| open) {
            Some(last) => *last += line,
            None => all.push(line.to_owned()),
        }
        open = goes_on;
    }
    all
}

fn entry(line: &str) -> Entry<'_> {
    let line = line.trim();
    for option in ["--requirement", "-r"] {
        if let Some(file) = line.strip_prefix(option) {
            return Entry::File(file.trim_start_matches(['=', ' ']).trim());
        }
    }
    if line.is_empty() || line.starts_with('-') {
        return Entry::Nothing;
    }
    // Markers and hashes say nothing about the version.
    let wanted = line.split(" --").next().unwrap_or(line);
    let wanted = wanted.split(';').next().unwrap_or(wanted).trim();
    let end = wanted.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c))).unwrap_or(wanted.len());
    let (name, rest) = wanted.split_at(end);
    let rest = match rest.trim_start().strip_prefix('[') {
        Some(extras) => extras.split_once(']').map_or("", |(_, rest)| rest),
        None => rest,
    };
    let rest = rest.trim();
    let (version, pinned) = match rest.strip_prefix("===").or(rest.strip_prefix("==")) {
        Some(version) if !version.contains(['*', ',']) => (version.trim().to_owned(), true),
        _ if rest.starts_with('@') => (rest.trim_start_matches(['@', ' ']).to_owned(), true),
        _ if rest.is_empty() => ("any".to_owned(), false),
        _ => (rest.to_owned(), false),
    };
    Entry::Package { name: normal(name), version, pinned }
}

/// The name as all tools compare it.
fn normal(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    lower.split(['-', '_', '.']).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let shown = |line: &String| match entry(line) {
            Entry::Package { name, version, pinned } => Some(format!("{name} {version} {pinned}")),
            Entry::File(file) => Some(format!("file {file}")),
            Entry::Nothing => None,
        };
        lines(text).iter().filter_map(shown).collect()
    }

    #[test]
    fn a_requirements_file_is_read_as_pip_does() {
        let text = "# pinned\n--index-url https://example.org\nFast_API[all]==0.165.0 ; python_version > '3' \\\n    \
                    --hash=sha256:12 \\\n    --hash=sha256:34\nanyio ==4.16.0  # because\n-r more/base.txt\nhttpx>=0.27,<1\n\
                    click\nour.lib @ git+https://example.org/x@abc\n--requirement=b.txt\nuvicorn==0.*\n";
        assert_eq!(
            read(text),
            [
                "fast-api 0.165.0 true",
                "anyio 4.16.0 true",
                "file more/base.txt",
                "httpx >=0.27,<1 false",
                "click any false",
                "our-lib git+https://example.org/x@abc true",
                "file b.txt",
                "uvicorn ==0.* false",
            ]
        );
    }

    #[test]
    fn a_lock_of_uv_is_read_without_the_project_itself() {
        let text = r#"
version = 1
requires-python = ">=3.11"

[[package]]
name = "anyio"
version = "4.16.0"
source = { registry = "https://example.org/simple" }
dependencies = [{ name = "idna" }]

[[package]]
name = "numpy"
version = "1.26.4"
source = { registry = "https://example.org/simple" }

[[package]]
name = "numpy"
version = "2.1.0"
source = { registry = "https://example.org/simple" }

[[package]]
name = "ours"
version = "1.0"
source = { git = "https://example.org/ours?rev=main#0123456789abcdef" }

[[package]]
name = "erp"
version = "0.1.0"
source = { virtual = "." }
"#;
        let found: Vec<_> = versions(text).unwrap().into_iter().map(|(name, it)| format!("{name} {it}")).collect();
        assert_eq!(found, ["anyio 4.16.0", "numpy 1.26.4, 2.1.0", "ours 1.0 at 01234567"]);
        assert!(versions("package = 3").is_err());
    }
}

//! Compiled Python outlives a build: to compile all that is installed takes longer than to install it. What was compiled
//! counts for a source of exactly the same content, and says which modification time that source must have.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::model::journal::Cause;
use crate::steps::files::{self, on};

/// The folder in the build's cache.
const NAME: &str = "bytecode";
/// Compiled files lie here, beside their source.
const BESIDE: &str = "__pycache__";
/// So many files are compiled by one process, and named one by one.
const FEW: usize = 100;

/// What is kept of one Python's work: files `<sha256 of the source>.<tag>.pyc`.
pub struct Bytecode {
    kept: PathBuf,
}

/// A source in a release.
#[derive(Debug)]
pub struct Source {
    path: PathBuf,
    sha256: String,
    /// What was compiled from it before lies beside it.
    restored: bool,
}

/// What of these sources is left to compile, as arguments of `python -m compileall` in the folder of the release. To let
/// it look at thousands that are compiled already takes longer than to compile what a commit changes.
#[must_use]
pub fn left(sources: &[Source], release: &Path) -> Vec<String> {
    let left = || sources.iter().filter(|source| !source.restored);
    let names: Option<Vec<String>> =
        left().map(|source| Some(format!("./{}", source.path.strip_prefix(release).ok()?.to_str()?))).collect();
    match names {
        Some(names) if names.len() <= FEW => names,
        _ => everything(),
    }
}

/// The same for all there is, by as many processes as there are processors.
#[must_use]
pub fn everything() -> Vec<String> {
    ["-j", "0", "."].map(str::to_owned).to_vec()
}

impl Bytecode {
    /// Of the Python of this environment; `None` if it does not say which one it is.
    #[must_use]
    pub fn of(cache: &Path, venv: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(venv.join("pyvenv.cfg")).ok()?;
        let value = |line: &str, key: &str| {
            line.strip_prefix(key)?.trim_start().strip_prefix('=').map(str::trim).map(str::to_owned)
        };
        let version = text.lines().find_map(|line| value(line, "version_info").or_else(|| value(line, "version")))?;
        let plain = version.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'+');
        plain.then(|| Self { kept: cache.join(NAME).join(format!("python-{version}")) })
    }

    /// Puts beside each source of the release what was compiled from it before, and tells all sources.
    ///
    /// # Errors
    /// If the release cannot be read or written.
    pub fn restore(&self, release: &Path) -> Result<Vec<Source>, Cause> {
        let mut kept = BTreeMap::new();
        for name in files::names(&self.kept)? {
            if let Some((sha256, tag)) = name.to_str().and_then(|name| name.strip_suffix(".pyc")?.split_once('.')) {
                kept.insert(sha256.to_owned(), tag.to_owned());
            }
        }
        let mut sources = Vec::new();
        walk(release, &mut |path| {
            let text = std::fs::read(path).map_err(on(path))?;
            let sha256 = files::hex(&Sha256::digest(&text));
            let restored = match kept.get(&sha256) {
                Some(tag) => {
                    let compiled = self.kept.join(format!("{sha256}.{tag}.pyc"));
                    put(&std::fs::read(&compiled).map_err(on(&compiled))?, path, text.len(), tag)?
                }
                None => false,
            };
            sources.push(Source { path: path.to_owned(), sha256, restored });
            Ok(())
        })?;
        Ok(sources)
    }

    /// Keeps what is compiled of these sources by this Python, and nothing else.
    ///
    /// # Errors
    /// If the cache cannot be written.
    pub fn keep(&self, sources: &[Source]) -> Result<(), Cause> {
        std::fs::create_dir_all(&self.kept).map_err(on(&self.kept))?;
        let mut used = BTreeSet::new();
        for source in sources {
            let Some((compiled, tag)) = compiled(&source.path)? else { continue };
            let name = format!("{}.{tag}.pyc", source.sha256);
            let place = self.kept.join(&name);
            if !place.exists() {
                // A build that dies here leaves no half of a file under its name.
                let new = self.kept.join("new");
                std::fs::copy(&compiled, &new).map_err(on(&compiled))?;
                std::fs::rename(&new, &place).map_err(on(&place))?;
            }
            used.insert(name);
        }
        for name in files::names(&self.kept)? {
            if name.to_str().is_none_or(|name| !used.contains(name)) {
                files::remove(&self.kept.join(name))?;
            }
        }
        // What another Python compiled is of no use to this one.
        if let Some(all) = self.kept.parent() {
            for name in files::names(all)?.into_iter().filter(|name| self.kept.file_name() != Some(name)) {
                files::remove(&all.join(name))?;
            }
        }
        Ok(())
    }
}

/// Each Python source, but none behind a link.
fn walk(folder: &Path, found: &mut impl FnMut(&Path) -> Result<(), Cause>) -> Result<(), Cause> {
    for name in files::names(folder)? {
        let path = folder.join(&name);
        let meta = path.symlink_metadata().map_err(on(&path))?;
        if meta.is_dir() {
            walk(&path, found)?;
        } else if meta.is_file() && path.extension() == Some(OsStr::new("py")) {
            found(&path)?;
        }
    }
    Ok(())
}

/// Puts what was compiled beside the source, if it is whole, and gives the source the time that stands in it. Says
/// whether it did.
fn put(compiled: &[u8], source: &Path, size: usize, tag: &str) -> Result<bool, Cause> {
    let number = |at: usize| compiled.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    // The header: a magic number, flags, and with flags 0 the source's time and size.
    let (Some(0), Some(time), Some(length)) = (number(4), number(8), number(12)) else { return Ok(false) };
    let (Some(folder), Some(stem)) = (source.parent(), source.file_stem()) else { return Ok(false) };
    if usize::try_from(length) != Ok(size) {
        return Ok(false);
    }
    let beside = folder.join(BESIDE);
    std::fs::create_dir_all(&beside).map_err(on(&beside))?;
    let place = beside.join(OsStr::from_bytes(&[stem.as_bytes(), b".", tag.as_bytes(), b".pyc"].concat()));
    std::fs::write(&place, compiled).map_err(on(&place))?;
    let time = UNIX_EPOCH + Duration::from_secs(time.into());
    File::open(source).and_then(|source| source.set_modified(time)).map_err(on(source))?;
    Ok(true)
}

/// What is compiled of a source, without optimisation, and the tag of the Python that did it.
fn compiled(source: &Path) -> Result<Option<(PathBuf, String)>, Cause> {
    let (Some(folder), Some(stem)) = (source.parent(), source.file_stem().and_then(OsStr::to_str)) else {
        return Ok(None);
    };
    let beside = folder.join(BESIDE);
    for name in files::names(&beside)? {
        let tag = name.to_str().and_then(|name| name.strip_prefix(stem)?.strip_prefix('.')?.strip_suffix(".pyc"));
        if let Some(tag) = tag.filter(|tag| !tag.contains('.')) {
            return Ok(Some((beside.join(&name), tag.to_owned())));
        }
    }
    Ok(None)
}

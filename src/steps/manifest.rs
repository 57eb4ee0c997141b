//! What a sealed release consists of, and whether it still does.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::files::{self, Item, Kind, on};
use crate::model::journal::Cause;
use crate::model::names::{ReleaseId, Sha};

/// The manifest's name in a release.
pub const NAME: &str = ".tsh-manifest";

/// The first line of a manifest; one [`Line`] per file and link follows, sorted by path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The release.
    pub release: ReleaseId,
    /// Its commit.
    pub revision: Sha,
    /// Files and links in it.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// SHA-256 of all lines that follow, in hexadecimal.
    pub digest: String,
}

/// One file or link.
#[derive(Serialize)]
struct Line<'a> {
    /// Bytes that are not printable ASCII are escaped, so that every name has exactly one form.
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

/// Describes the items of a release.
pub fn describe(release: ReleaseId, revision: &Sha, items: &[Item]) -> Result<(Header, Vec<u8>), Cause> {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    for item in items {
        let path = escaped(&item.path);
        let line = match &item.kind {
            Kind::File { mode, size, sha256 } => {
                bytes += size;
                Line { path, mode: Some(format!("{mode:o}")), size: Some(*size), sha256: Some(sha256), link: None }
            }
            Kind::Link { target } => Line { path, mode: None, size: None, sha256: None, link: Some(escaped(target)) },
        };
        serde_json::to_writer(&mut lines, &line).map_err(|error| Cause::new(error.to_string()))?;
        lines.push(b'\n');
    }
    let digest = files::hex(&Sha256::digest(&lines));
    Ok((Header { release, revision: revision.clone(), files: items.len() as u64, bytes, digest }, lines))
}

/// Writes the manifest into the release.
pub fn write(release: &Path, header: &Header, lines: &[u8]) -> Result<(), Cause> {
    let path = release.join(NAME);
    let file = File::options().write(true).create_new(true).open(&path).map_err(on(&path))?;
    let mut file = BufWriter::new(file);
    serde_json::to_writer(&mut file, header).map_err(|error| on(&path)(error.into()))?;
    file.write_all(b"\n").and_then(|()| file.write_all(lines)).and_then(|()| file.flush()).map_err(on(&path))
}

/// Reads the header of a sealed release.
pub fn header(release: &Path) -> Result<Header, Cause> {
    let path = release.join(NAME);
    let mut line = String::new();
    BufReader::new(File::open(&path).map_err(on(&path))?).read_line(&mut line).map_err(on(&path))?;
    serde_json::from_str(&line).map_err(|error| on(&path)(error.into()))
}

/// The lines about these files and folders of a sealed release, but for compiled Python, which has its time in it.
pub fn of(release: &Path, places: &[PathBuf]) -> Result<Vec<String>, Cause> {
    #[derive(Deserialize)]
    struct Named {
        path: String,
    }
    let places: Vec<String> = places.iter().map(|place| escaped(place)).collect();
    let path = release.join(NAME);
    let mut found = Vec::new();
    for line in BufReader::new(File::open(&path).map_err(on(&path))?).lines().skip(1) {
        let line = line.map_err(on(&path))?;
        let Named { path: named } = serde_json::from_str(&line).map_err(|error| on(&path)(error.into()))?;
        let inside =
            |place: &String| named.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if places.iter().any(inside) && !named.contains("/__pycache__/") {
            found.push(line);
        }
    }
    Ok(found)
}

/// Reads the whole release and compares it with its manifest.
pub fn verify(release: &Path) -> Result<Header, Cause> {
    let header = header(release)?;
    let mut items = files::list(release)?;
    items.retain(|item| item.path != Path::new(NAME));
    let (found, lines) = describe(header.release, &header.revision, &items)?;
    if found == header {
        return Ok(header);
    }
    // Which file it is helps whoever looks; the digest alone would not.
    let path = release.join(NAME);
    let text = std::fs::read_to_string(&path).map_err(on(&path))?;
    let found = String::from_utf8_lossy(&lines);
    let (expected, found): (std::collections::BTreeSet<_>, std::collections::BTreeSet<_>) =
        (text.lines().skip(1).collect(), found.lines().collect());
    let first = expected.symmetric_difference(&found).next().copied().unwrap_or("the header");
    Err(Cause::new(format!("{} is not what was sealed: {first}", release.display())))
}

fn escaped(path: &Path) -> String {
    path.as_os_str().as_bytes().escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_place_are_those_of_it_and_below_it() {
        let release = tempfile::tempdir().unwrap();
        let file = |path: &str| Item {
            path: path.into(),
            kind: Kind::File { mode: 0o644, size: 1, sha256: format!("of {path}") },
        };
        let paths = ["a.ini", "a.ini.old", "m/v/1.py", "m/v/__pycache__/1.pyc", "m/v\n/2.py", "m/w/3.py"];
        let items: Vec<Item> = paths.iter().map(|path| file(path)).collect();
        let revision = "0123456789abcdef0123456789abcdef01234567".parse().unwrap();
        let (header, lines) = describe(ReleaseId(1), &revision, &items).unwrap();
        write(release.path(), &header, &lines).unwrap();
        let of = |places: &[&str]| {
            let places: Vec<PathBuf> = places.iter().map(PathBuf::from).collect();
            of(release.path(), &places).unwrap()
        };
        let found = of(&["a.ini", "m/v", "absent"]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("of a.ini\"") && found[1].contains("of m/v/1.py"), "{found:?}");
        assert_eq!(of(&["m/v\n"]).len(), 1);
        assert_eq!(of(&["a"]), Vec::<String>::new());
    }
}

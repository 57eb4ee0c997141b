//! Links, the door, requests, free space: small things on disk, each durable when the call returns.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::model::names::{App, ReleaseId};
use crate::model::slot::{Link, Slot};
use crate::paths;

/// The release that `links/current` points to; `None` if there is no link, or it points anywhere else.
///
/// # Errors
/// If the folder cannot be read.
pub fn link(app: &App) -> io::Result<Option<ReleaseId>> {
    link_of(app, Link::Current)
}

/// The same for any of the links.
///
/// # Errors
/// If the folder cannot be read.
pub fn link_of(app: &App, link: Link) -> io::Result<Option<ReleaseId>> {
    match fs::read_link(paths::links(app).join(link.word())) {
        Ok(target) => Ok(target.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Points a link at a release in one rename, or removes it.
///
/// # Errors
/// If it cannot be written.
pub fn point(app: &App, link: Link, to: Option<ReleaseId>) -> io::Result<()> {
    let links = paths::links(app);
    let (new, current) = (links.join(format!(".{}", link.word())), links.join(link.word()));
    match to {
        Some(id) => {
            // A crash may have left it.
            remove(&new)?;
            symlink(Path::new("../releases").join(id.to_string()), &new)?;
            fs::rename(&new, &current)?;
        }
        None => remove(&current)?,
    }
    sync(&links)
}

/// Whether a sealed release is there: a release directory exists only if it is complete.
#[must_use]
pub fn has_release(app: &App, id: ReleaseId) -> bool {
    paths::release(app, id).is_dir()
}

/// When a file was last changed, in milliseconds since 1970 (UTC); it need not be readable.
#[must_use]
pub fn modified(path: &Path) -> Option<i64> {
    let meta = fs::metadata(path).ok()?;
    Some(meta.mtime() * 1000 + meta.mtime_nsec() / 1_000_000)
}

/// Whether the door is closed.
#[must_use]
pub fn door_closed(app: &App) -> bool {
    paths::door(app).exists()
}

/// Closes or opens the door.
///
/// # Errors
/// If it cannot be written.
pub fn set_door(app: &App, closed: bool) -> io::Result<()> {
    set_there(app, &paths::door(app), closed)
}

/// Whether people are kept out, whatever a deployment does.
#[must_use]
pub fn in_maintenance(app: &App) -> bool {
    paths::maintenance(app).exists()
}

/// Keeps people out, or lets them in.
///
/// # Errors
/// If it cannot be written.
pub fn set_maintenance(app: &App, closed: bool) -> io::Result<()> {
    set_there(app, &paths::maintenance(app), closed)
}

/// Makes an empty file among the links, or removes it.
fn set_there(app: &App, file: &Path, there: bool) -> io::Result<()> {
    if there {
        File::create(file)?.sync_all()?;
    } else {
        remove(file)?;
    }
    sync(&paths::links(app))
}

/// Writes a step's request whole.
///
/// # Errors
/// If it cannot be written.
pub fn write_request(app: &App, kind: &str, text: &[u8]) -> io::Result<()> {
    let path = paths::request(app, kind);
    let folder = path.parent().unwrap_or(Path::new(paths::RUN));
    fs::create_dir_all(folder)?;
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&new, &path)?;
    sync(folder)
}

/// Free space of the file systems that a deployment fills, in bytes. Places that do not exist yet are left out.
#[must_use]
pub fn space(app: &App) -> Vec<(PathBuf, u64)> {
    let places = [paths::releases(app), paths::built(app), paths::fetched(app), PathBuf::from(paths::STATE)];
    let free = |place: PathBuf| {
        let stat = nix::sys::statvfs::statvfs(&place).ok()?;
        Some((place, stat.blocks_available() * stat.fragment_size()))
    };
    places.into_iter().filter_map(free).collect()
}

/// The slot that was chosen to accept requests in this boot, if one was.
#[must_use]
pub fn serving(app: &App) -> Option<Slot> {
    let word = fs::read_to_string(paths::serving(app)).ok()?;
    Slot::ALL.into_iter().find(|slot| slot.word() == word.trim())
}

/// Chooses the slot that accepts, or none. Not durable, for what runs is not.
///
/// # Errors
/// If it cannot be written.
pub fn set_serving(app: &App, slot: Option<Slot>) -> io::Result<()> {
    let path = paths::serving(app);
    let new = path.with_extension("new");
    fs::write(&new, slot.map_or("none", Slot::word))?;
    fs::rename(&new, &path)
}

/// Writes the metrics whole. Not durable: after a boot there are new ones.
///
/// # Errors
/// If they cannot be written.
pub fn write_metrics(text: &str) -> io::Result<()> {
    let path = Path::new(paths::METRICS);
    let new = path.with_extension("new");
    fs::write(&new, text)?;
    fs::rename(&new, path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A rename is atomic, but durable only after this.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// 256 random bits, as text for an address or a header.
///
/// # Errors
/// The system gives none.
pub fn random() -> std::io::Result<String> {
    use base64::Engine;
    use std::io::Read as _;
    let mut bytes = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

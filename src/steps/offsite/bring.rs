//! Brings a backup back, for a server that has nothing else. It gets its name only when everything it names is here, is
//! what was sent, and is on the disk.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use futures_util::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};

use super::{AT_ONCE, Store, key_of, key_of_object, members};
use crate::model::backup::{File as Written, Manifest};
use crate::model::files::Files;
use crate::model::journal::Cause;
use crate::model::names::{App, BackupName};
use crate::steps::backup::{DUMP, GLOBALS, MANIFEST};
use crate::steps::files::{self, hex, on};
use crate::steps::folders::{FILES, INDEX, LISTING};
use crate::steps::objects::{Objects, is_intact, read_index};
use crate::steps::sealed;

/// What was brought.
#[derive(Debug)]
pub struct Brought {
    /// The backup.
    pub name: BackupName,
    /// Objects that were not here.
    pub objects: usize,
    /// Whether it was here already.
    pub before: bool,
}

/// Brings one back, or the newest, into `home`. An attempt that died is gone on with.
///
/// # Errors
/// If the store does not have it, or not as it was sent.
pub async fn bring(store: &Store, app: &App, home: &Path, wanted: Option<&BackupName>) -> Result<Brought, Cause> {
    let whole = whole(store, app).await?;
    let name = match wanted {
        Some(name) => whole.iter().find(|one| *one == name).ok_or_else(|| missing(store, name, &whole))?,
        None => whole.last().ok_or_else(|| Cause::new(format!("{} has no backup of {app}", store.place())))?,
    };
    let folder = home.join(name.as_str());
    if folder.is_dir() {
        return Ok(Brought { name: name.clone(), objects: 0, before: true });
    }
    let new = home.join(format!("fetching-{name}"));
    let arriving = new.join("objects");
    DirBuilder::new().mode(0o750).recursive(true).create(&arriving).map_err(on(&arriving))?;
    let path = new.join(MANIFEST);
    // The only file that nothing here tells the digest of: it is read anew each time.
    files::remove(&path)?;
    store.get(&key_of(app, name, MANIFEST), &path).await?;
    let text = fs::read(&path).map_err(on(&path))?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| on(&path)(error.into()))?;
    if manifest.name != *name || manifest.app != *app {
        let what = format!("{} has the manifest of {} of {} in its place", store.place(), manifest.name, manifest.app);
        return Err(Cause::new(what));
    }
    file(store, &new, &key_of(app, name, &manifest.named(DUMP)), &manifest.dump).await?;
    file(store, &new, &key_of(app, name, &manifest.named(GLOBALS)), &manifest.globals).await?;
    let mut objects = 0;
    if members(&manifest).iter().any(|member| member == FILES) {
        objects = folders(store, app, home, &new, &manifest, &hex(&Sha256::digest(&text))).await?;
    }
    files::remove(&arriving)?;
    files::sync_all(&new)?;
    fs::rename(&new, &folder).map_err(on(&folder))?;
    files::sync_dir(home)?;
    Ok(Brought { name: name.clone(), objects, before: false })
}

/// The backups that are there whole, oldest first.
async fn whole(store: &Store, app: &App) -> Result<Vec<BackupName>, Cause> {
    let (below, last) = (format!("{app}/backups/"), format!("/{MANIFEST}"));
    let keys = store.list(&below).await?;
    let name = |key: &String| key.strip_prefix(&below)?.strip_suffix(&last)?.parse().ok();
    let mut names: Vec<BackupName> = keys.keys().filter_map(name).collect();
    // The moment stands last in a name.
    names.sort_by_key(|name| name.as_str().rsplit('-').next().map(str::to_owned));
    Ok(names)
}

fn missing(store: &Store, name: &BackupName, whole: &[BackupName]) -> Cause {
    let newest: Vec<&str> = whole.iter().rev().take(5).map(BackupName::as_str).collect();
    let cause = Cause::new(format!("{} has no whole backup {name}", store.place()));
    if newest.is_empty() { cause } else { cause.hint(format!("the newest there: {}", newest.join(", "))) }
}

async fn file(store: &Store, new: &Path, key: &str, written: &Written) -> Result<(), Cause> {
    let path = new.join(key.rsplit('/').next().unwrap_or(key));
    if !is(&path, written)? {
        store.get(key, &path).await?;
    }
    if is(&path, written)? {
        return Ok(());
    }
    // What was half here may have been another one's half.
    files::remove(&path)?;
    store.get(key, &path).await?;
    if is(&path, written)? { Ok(()) } else { Err(differs(store, key)) }
}

fn differs(store: &Store, key: &str) -> Cause {
    Cause::new(format!("{} does not have what was sent as {key}: its SHA-256 is another one", store.place()))
}

fn is(path: &Path, written: &Written) -> Result<bool, Cause> {
    match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        other => Ok(sealed::measure(other.map_err(on(path))?).map_err(on(path))? == *written),
    }
}

/// The folders of a backup: what is said about them, and the objects that are not here.
async fn folders(
    store: &Store,
    app: &App,
    home: &Path,
    new: &Path,
    manifest: &Manifest,
    digest: &str,
) -> Result<usize, Cause> {
    let (name, path) = (&manifest.name, new.join(FILES));
    files::remove(&path)?;
    store.get(&key_of(app, name, FILES), &path).await?;
    let text = fs::read(&path).map_err(on(&path))?;
    let said: Files = serde_json::from_slice(&text).map_err(|error| on(&path)(error.into()))?;
    if said.manifest != digest {
        return Err(Cause::new(format!("{} has a {FILES} that belongs to another manifest", store.place())));
    }
    file(store, new, &key_of(app, name, INDEX), &said.index).await?;
    file(store, new, &key_of(app, name, &manifest.named(LISTING)), &said.listing).await?;
    let (here, arriving) = (Objects::beside(home), new.join("objects"));
    let absent: Vec<String> = read_index(&new.join(INDEX))?
        .into_iter()
        .filter(|(name, bytes)| here.check(name, *bytes).is_err())
        .map(|(name, _)| name)
        .collect();
    let one = |object: &String| {
        let (object, path) = (object.clone(), arriving.join(object));
        async move {
            let key = key_of_object(app, &object);
            if !is_intact(&path, &object)? {
                store.get(&key, &path).await?;
            }
            if !is_intact(&path, &object)? {
                files::remove(&path)?;
                store.get(&key, &path).await?;
            }
            if is_intact(&path, &object)? { Ok(()) } else { Err(differs(store, &key)) }
        }
    };
    stream::iter(&absent).map(one).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    files::sync_all(&arriving)?;
    for object in &absent {
        let to = here.path(object).ok_or_else(|| Cause::new(format!("{object:?} is no object")))?;
        let shelf = to.parent().unwrap_or(home);
        DirBuilder::new().mode(0o750).recursive(true).create(shelf).map_err(on(shelf))?;
        fs::rename(arriving.join(object), &to).map_err(on(&to))?;
    }
    Ok(absent.len())
}

//! The backups of an application, and what was proven about them, as they lie on disk.
//!
//! A proof is the prover's word, and only about the manifest that it has seen: if the backup has another one now, the
//! proof says nothing.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::model::backup::{BackupRow, BackupView, Level, Manifest, Proof};
use crate::model::files::Files;
use crate::model::names::{App, BackupName, DeploymentId};
use crate::model::offsite::Sent;
use crate::paths;
use crate::steps::backup::MANIFEST;
use crate::steps::folders::FILES;

/// Larger ones are none of ours.
const LARGEST: u64 = 64 << 20;

/// All backups, newest first. What has no name of a backup is not one: it is not finished, or being deleted.
///
/// # Errors
/// If the folder cannot be read.
pub fn all(app: &App) -> io::Result<Vec<BackupView>> {
    in_folders(&paths::backups(app), &paths::proofs(app), &paths::offsite(app).join("sent"))
}

/// A dump of this deployment's quarantine that was restored and matched.
///
/// # Errors
/// If the folder cannot be read.
pub fn of_quarantine(app: &App, deployment: DeploymentId) -> io::Result<Option<BackupName>> {
    let mut all = all(app)?.into_iter().map(|view| view.row);
    Ok(all.find(|row| row.quarantine == Some(deployment) && row.is_proven()).map(|row| row.name))
}

/// One backup.
///
/// # Errors
/// If the folder cannot be read.
pub fn one(app: &App, name: &BackupName) -> io::Result<Option<BackupView>> {
    let home = paths::backups(app);
    Ok(home
        .join(name.as_str())
        .is_dir()
        .then(|| view(&home, &paths::proofs(app), &paths::offsite(app).join("sent"), name)))
}

fn in_folders(home: &Path, proofs: &Path, sent: &Path) -> io::Result<Vec<BackupView>> {
    let entries = match fs::read_dir(home) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for entry in entries {
        if let Some(name) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            found.push(view(home, proofs, sent, &name));
        }
    }
    found.sort_by(|a: &BackupView, b| (b.row.at, &b.row.name).cmp(&(a.row.at, &a.row.name)));
    Ok(found)
}

fn view(home: &Path, proofs: &Path, sent: &Path, name: &BackupName) -> BackupView {
    let folder = home.join(name.as_str());
    let read = read(&folder.join(MANIFEST)).map_err(|error| error.to_string());
    let digest = read.as_ref().map(|text| hex(text)).unwrap_or_default();
    let manifest = read
        .and_then(|text| serde_json::from_slice::<Manifest>(&text).map_err(|error| error.to_string()))
        .and_then(|manifest| {
            let its_own = manifest.name == *name;
            if its_own { Ok(manifest) } else { Err(format!("it is the manifest of {}", manifest.name)) }
        });
    let files = manifest.as_ref().ok().and_then(|manifest| files(&folder, manifest, &digest));
    let proof = crate::steps::prove::proof_path(proofs, name);
    let proof = self::read(&proof).ok().and_then(|text| serde_json::from_slice::<Proof>(&text).ok());
    let about = files.as_ref().and_then(|files| files.as_ref().ok()).map(|(_, digest)| digest);
    let proof = proof.filter(|proof| {
        proof.backup == *name && proof.manifest == digest && (proof.files.as_ref() == about || proof.problem.is_some())
    });
    let sent = self::read(&crate::steps::offsite::sent_path(sent, name)).ok();
    let sent = sent.and_then(|text| serde_json::from_slice::<Sent>(&text).ok());
    let sent = sent.filter(|sent| sent.backup == *name && sent.manifest == digest);
    let mut row = match &manifest {
        Ok(manifest) => row(manifest, files.as_ref(), proof.as_ref()),
        Err(why) => BackupRow {
            name: name.clone(),
            at: None,
            deployment: None,
            quarantine: None,
            running: None,
            bytes: 0,
            database_bytes: 0,
            tables: 0,
            rows: 0,
            offsite: false,
            level: None,
            problem: Some(format!("its manifest cannot be used: {why}")),
        },
    };
    row.offsite = sent.is_some();
    BackupView {
        sent,
        row,
        folder: folder.display().to_string(),
        manifest: manifest.ok(),
        files: files.and_then(Result::ok).map(|(files, _)| files),
        proof,
    }
}

fn row(manifest: &Manifest, files: Option<&Result<(Files, String), String>>, proof: Option<&Proof>) -> BackupRow {
    let new_bytes = files.and_then(|files| files.as_ref().ok()).map_or(0, |(files, _)| files.new_bytes);
    let incomplete = files.and_then(|files| files.as_ref().err().cloned());
    BackupRow {
        name: manifest.name.clone(),
        at: manifest.at.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond),
        deployment: manifest.deployment,
        quarantine: manifest.quarantine,
        running: manifest.running,
        bytes: manifest.dump.bytes + manifest.globals.bytes + new_bytes,
        database_bytes: manifest.database_bytes,
        tables: manifest.tables.len(),
        rows: manifest.rows(),
        offsite: false,
        // The manifest was written by the owner of the backup, who proves nothing.
        level: Some(proof.map_or(Level::Written, |proof| proof.level)),
        problem: incomplete.or_else(|| proof.and_then(|proof| proof.problem.clone())),
    }
}

/// What a backup says about its folders, and the digest of that; `None` if it has none.
fn files(folder: &Path, manifest: &Manifest, digest: &str) -> Option<Result<(Files, String), String>> {
    if manifest.folders.is_empty() {
        return None;
    }
    let missing = |why: String| format!("the files of {} are not in it: {why}", manifest.folders.join(", "));
    let text = match read(&folder.join(FILES)) {
        Ok(text) => text,
        Err(error) => return Some(Err(missing(error.to_string()))),
    };
    let files = serde_json::from_slice::<Files>(&text).map_err(|error| missing(error.to_string()));
    Some(files.and_then(|files| match files.manifest == digest {
        true => Ok((files, hex(&text))),
        false => Err(missing(format!("{FILES} belongs to another manifest"))),
    }))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK;
    let mut text = Vec::new();
    File::options().read(true).custom_flags(flags.bits()).open(path)?.take(LARGEST).read_to_end(&mut text)?;
    Ok(text)
}

fn hex(text: &[u8]) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::backup::testing::manifest;

    #[test]
    fn a_proof_counts_only_for_the_manifest_that_it_has_seen() {
        let folder = tempfile::tempdir().unwrap();
        let (home, proofs) = (folder.path().join("backups"), folder.path().join("proofs"));
        fs::create_dir_all(&proofs).unwrap();
        let text = |name: &str| serde_json::to_vec(&manifest(name)).unwrap();
        for name in ["20260101T000000Z", "20260102T000000Z", "20260103T000000Z", "20260104T000000Z.part"] {
            fs::create_dir_all(home.join(name)).unwrap();
            fs::write(home.join(name).join(MANIFEST), text(name.trim_end_matches(".part"))).unwrap();
        }
        fs::create_dir_all(home.join("20260105T000000Z")).unwrap();
        let prove = |name: &str, digest: String, level| {
            let name: BackupName = name.parse().unwrap();
            let proof = Proof {
                backup: name.clone(),
                manifest: digest,
                files: None,
                level,
                reached: Vec::new(),
                problem: None,
            };
            fs::write(proofs.join(format!("{name}.json")), serde_json::to_vec(&proof).unwrap()).unwrap();
        };
        prove("20260101T000000Z", hex(&text("20260101T000000Z")), Level::Matched);
        prove("20260102T000000Z", hex(&text("20260101T000000Z")), Level::Matched);
        prove("20260103T000000Z", hex(&text("20260103T000000Z")), Level::Restored);
        let found = in_folders(&home, &proofs, &folder.path().join("sent")).unwrap();
        let level = |view: &BackupView| (view.row.name.to_string(), view.row.level, view.row.is_proven());
        let mut levels: Vec<_> = found.iter().map(level).collect();
        levels.sort();
        assert_eq!(
            levels,
            [
                ("20260101T000000Z".to_owned(), Some(Level::Matched), true),
                ("20260102T000000Z".to_owned(), Some(Level::Written), false),
                ("20260103T000000Z".to_owned(), Some(Level::Restored), false),
                ("20260105T000000Z".to_owned(), None, false),
            ]
        );
        assert!(found.iter().any(|view| view.row.problem.as_ref().is_some_and(|why| why.contains("No such file"))));
    }
}

//! Whether every new commit is signed, with `ssh-keygen` and root's list as they are now.
//!
//! The claimed date of a commit is its author's to choose, so it plays no part: a key that has expired, or was revoked,
//! signs nothing any more. Only exit codes count: `ssh-keygen` says "Good" of signatures by anybody.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha1::{Digest, Sha1};

use crate::model::gates::Signature;
use crate::model::gates::outside::Signed;
use crate::model::journal::Cause;
use crate::model::names::Sha;
use crate::steps::child::Command;
use crate::steps::files::on;

/// More new commits are too many to look at; a person can.
const MOST: usize = 2000;
/// What git signs for.
const NAMESPACE: &str = "git";
const ARMOUR: &str = "-----BEGIN SSH SIGNATURE-----";

/// Verifies every commit in `commits`, beginning with `revision`. Root's files must be `owner`'s.
pub async fn verify(rule: &Signature, owner: u32, commits: &Path, revision: &Sha) -> Result<Signed, Cause> {
    let bad = |why: String| Ok(Signed::Bad { why });
    for file in std::iter::once(&rule.allowed_signers).chain(&rule.revoked) {
        if let Some(why) = untrusted(file, owner) {
            return bad(why);
        }
    }
    let files = fs::read_dir(commits).map_err(on(commits))?.count();
    if files > MOST {
        return bad(format!("{files} commits are new, which are more than {MOST}"));
    }
    let work = Work::new()?;
    let mut left = vec![revision.clone()];
    let mut seen: Vec<Sha> = Vec::new();
    let mut signer = String::new();
    while let Some(sha) = left.pop() {
        if seen.contains(&sha) {
            continue;
        }
        let path = commits.join(sha.as_str());
        let raw = match fs::read(&path) {
            Ok(raw) => raw,
            // What runs already, or lies behind it, is not among them.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && sha != *revision => continue,
            Err(error) => return Err(on(&path)(error)),
        };
        let by = match signed(&work, rule, &sha, &raw).await? {
            Ok(by) => by,
            Err(why) => return bad(format!("commit {}: {why}", sha.short())),
        };
        if sha == *revision {
            signer = by;
        }
        left.extend(parents(&raw));
        seen.push(sha);
    }
    Ok(Signed::Good { commits: seen.len(), by: signer })
}

/// What is wrong with believing a file: somebody else than root could have written it.
fn untrusted(file: &Path, owner: u32) -> Option<String> {
    let found = match fs::symlink_metadata(file) {
        Ok(found) => found,
        Err(error) => return Some(format!("{}: {error}", file.display())),
    };
    if !found.is_file() {
        return Some(format!("{} is not a file", file.display()));
    }
    if found.uid() != owner || found.mode() & 0o022 != 0 {
        return Some(format!("{} can be written by others than root", file.display()));
    }
    None
}

/// Who has signed this commit, or why that is not known.
async fn signed(work: &Work, rule: &Signature, sha: &Sha, raw: &[u8]) -> Result<Result<String, String>, Cause> {
    let mut hash = Sha1::new_with_prefix(format!("commit {}\0", raw.len()));
    hash.update(raw);
    let found: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found != sha.as_str() {
        return Ok(Err("it is not what its name says".to_owned()));
    }
    let (payload, signature) = match split(raw) {
        Ok(parts) => parts,
        Err(why) => return Ok(Err(why)),
    };
    fs::write(&work.payload, payload).map_err(on(&work.payload))?;
    fs::write(&work.signature, signature).map_err(on(&work.signature))?;
    let now = jiff::Timestamp::now().strftime("%Y%m%d%H%M%S").to_string();
    let said = work.keygen("find-principals", &now, rule, &[]).finish().await?;
    if !said.status.success() {
        return Ok(Err(format!("its key may not sign, as of now: {}", said.lines.join(" "))));
    }
    let mut last = "nobody may sign with its key".to_owned();
    for principal in &said.lines {
        let mut more = vec!["-n".to_owned(), NAMESPACE.to_owned(), "-I".to_owned(), principal.clone()];
        if let Some(revoked) = &rule.revoked {
            more.extend(["-r".to_owned(), revoked.display().to_string()]);
        }
        let said = work.keygen("verify", &now, rule, &more).stdin(&work.payload).finish().await?;
        if said.status.success() {
            return Ok(Ok(principal.clone()));
        }
        last = said.lines.join(" ");
    }
    Ok(Err(format!("its signature does not hold: {last}")))
}

/// The payload that was signed, and the signature.
fn split(raw: &[u8]) -> Result<(Vec<u8>, Vec<u8>), String> {
    let end = raw.windows(2).position(|pair| pair == b"\n\n").map_or(raw.len(), |at| at + 1);
    let (head, message) = raw.split_at(end);
    let (mut payload, mut signature) = (Vec::new(), Vec::new());
    let mut inside = false;
    let mut signatures = 0;
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        inside = match line {
            [b' ', rest @ ..] if inside => {
                signature.extend_from_slice(rest);
                true
            }
            _ => {
                let begins = line.strip_prefix(b"gpgsig ");
                match begins {
                    Some(rest) => {
                        signatures += 1;
                        signature.extend_from_slice(rest);
                    }
                    None => payload.extend_from_slice(line),
                }
                begins.is_some()
            }
        };
    }
    payload.extend_from_slice(message);
    match signatures {
        0 => Err("it is not signed".to_owned()),
        1 if signature.starts_with(ARMOUR.as_bytes()) => Ok((payload, signature)),
        1 => Err("it is not signed with ssh".to_owned()),
        _ => Err("it carries several signatures".to_owned()),
    }
}

/// The parents that a commit names in its head.
fn parents(raw: &[u8]) -> Vec<Sha> {
    let text = String::from_utf8_lossy(raw);
    let head = text.split("\n\n").next().unwrap_or_default();
    head.lines().filter_map(|line| line.strip_prefix("parent ")?.parse().ok()).collect()
}

/// A folder that nobody else can see, gone with its owner.
struct Work {
    folder: PathBuf,
    payload: PathBuf,
    signature: PathBuf,
}

impl Work {
    fn new() -> Result<Self, Cause> {
        use std::os::unix::fs::DirBuilderExt;
        let folder = std::env::temp_dir().join(format!("tsh-agent-gates-{}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&folder).map_err(on(&folder))?;
        Ok(Self { payload: folder.join("payload"), signature: folder.join("signature"), folder })
    }

    fn keygen(&self, verb: &str, now: &str, rule: &Signature, more: &[String]) -> Command {
        let mut argv = vec!["ssh-keygen".to_owned(), "-Y".to_owned(), verb.to_owned()];
        argv.extend(["-f".to_owned(), rule.allowed_signers.display().to_string()]);
        argv.extend(["-s".to_owned(), self.signature.display().to_string(), format!("-Overify-time={now}")]);
        argv.extend(more.iter().cloned());
        // Without a zone, its own clock is UTC, as is the time above: older versions know no other way.
        Command::new(argv).clean().env([("TZ", "UTC"), ("PATH", "/usr/bin:/bin"), ("LC_ALL", "C")]).quiet()
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        // What is left is gone with the unit's own /tmp.
        fs::remove_dir_all(&self.folder).ok();
    }
}

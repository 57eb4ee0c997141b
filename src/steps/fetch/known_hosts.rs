//! Host keys that are accepted: a `known_hosts` file in OpenSSH's format, read by its rules.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// A host key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// For example `ssh-ed25519`.
    pub kind: String,
    /// As it goes over the wire.
    pub blob: Vec<u8>,
}

/// What the file says about one host.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Keys that are accepted.
    pub accepted: Vec<Key>,
    /// Keys that must never be accepted.
    pub revoked: Vec<Key>,
}

/// What a key is to the host that shows it.
#[derive(Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The host's key.
    Good,
    /// The host has other keys.
    Changed,
    /// Nothing is known about the host.
    Unknown,
    /// The key is revoked.
    Revoked,
}

impl Known {
    /// What `text` says about `host` at `port`. Certificate authorities are not supported: their lines say nothing.
    #[must_use]
    pub fn read(text: &str, host: &str, port: u16) -> Self {
        // Host names are compared in lower case, and hashed so as well.
        let host = host.to_ascii_lowercase();
        let name = if port == 22 { host } else { format!("[{host}]:{port}") };
        let mut known = Self::default();
        for line in text.lines() {
            let mut fields = line.split_ascii_whitespace().peekable();
            let marker = fields.next_if(|field| field.starts_with('@'));
            let (Some(hosts), Some(kind), Some(data)) = (fields.next(), fields.next(), fields.next()) else { continue };
            if hosts.starts_with('#') || !names(hosts, &name) {
                continue;
            }
            let Ok(blob) = STANDARD.decode(data) else { continue };
            let key = Key { kind: kind.to_owned(), blob };
            match marker {
                None => known.accepted.push(key),
                Some("@revoked") => known.revoked.push(key),
                Some(_) => {}
            }
        }
        known
    }

    /// Judges the key a host shows.
    #[must_use]
    pub fn judge(&self, blob: &[u8]) -> Judgement {
        if self.revoked.iter().any(|key| key.blob == blob) {
            Judgement::Revoked
        } else if self.accepted.iter().any(|key| key.blob == blob) {
            Judgement::Good
        } else if self.accepted.is_empty() {
            Judgement::Unknown
        } else {
            Judgement::Changed
        }
    }
}

/// Whether a line's first field means the host.
fn names(field: &str, name: &str) -> bool {
    if let Some(hashed) = field.strip_prefix("|1|") {
        return hashed.split_once('|').is_some_and(|(salt, hash)| is_hash(salt, hash, name));
    }
    let mut found = false;
    for pattern in field.split(',') {
        match pattern.strip_prefix('!') {
            // One that is excluded is excluded whatever else the line says.
            Some(pattern) if matches(pattern, name) => return false,
            Some(_) => {}
            None => found |= matches(pattern, name),
        }
    }
    found
}

fn is_hash(salt: &str, hash: &str, name: &str) -> bool {
    let (Ok(salt), Ok(hash)) = (STANDARD.decode(salt), STANDARD.decode(hash)) else { return false };
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&salt) else { return false };
    mac.update(name.as_bytes());
    mac.verify_slice(&hash).is_ok()
}

/// Whether `name` fits a pattern of `*` and `?`.
fn matches(pattern: &str, name: &str) -> bool {
    fn fits(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => fits(rest, name) || name.split_first().is_some_and(|(_, n)| fits(pattern, n)),
            (Some((b'?', rest)), Some((_, n))) => fits(rest, n),
            (Some((p, rest)), Some((c, n))) => p.eq_ignore_ascii_case(c) && fits(rest, n),
            _ => false,
        }
    }
    fits(pattern.as_bytes(), name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIGNyeXB0b2dyYXBoaWMta2V5LWZvci10ZXN0aW5nLTEyMw==";

    fn accepts(line: &str, host: &str, port: u16) -> bool {
        let known =
            Known::read(&format!("# a comment\n\n{line} ssh-ed25519 {KEY} root@host\nbroken line\n"), host, port);
        known.judge(&STANDARD.decode(KEY).unwrap()) == Judgement::Good
    }

    #[test]
    fn plain_names_ports_and_patterns() {
        for (line, host, port, good) in [
            ("git.example.org", "git.example.org", 22, true),
            ("git.example.org", "GIT.example.ORG", 22, true),
            ("git.example.org", "git.example.org", 2222, false),
            ("[git.example.org]:2222", "git.example.org", 2222, true),
            ("[git.example.org]:2222", "git.example.org", 22, false),
            ("other,git.example.org", "git.example.org", 22, true),
            ("*.example.org", "git.example.org", 22, true),
            ("*.example.org", "example.org", 22, false),
            ("g?t.example.org", "git.example.org", 22, true),
            ("*,!git.example.org", "git.example.org", 22, false),
            ("*,!git.example.org", "hub.example.org", 22, true),
            ("example.org", "git.example.org", 22, false),
            ("@cert-authority git.example.org", "git.example.org", 22, false),
            ("#git.example.org", "git.example.org", 22, false),
        ] {
            assert_eq!(accepts(line, host, port), good, "{line} for {host}:{port}");
        }
    }

    #[test]
    fn hashed_names() {
        // Made by ssh-keygen -H from "git.example.org" and "[git.example.org]:2222".
        let plain = "|1|UC63mHsxnuR5UudiyxGkg0QG7G4=|/OJn4c13138rkb9eetCtA+04SWo=";
        let port = "|1|b8jUzFpsdh6wHD3vD8F7bmXYw7Q=|3HFw1+BFtYnO2yLfmsIcgP8dBQQ=";
        assert!(accepts(plain, "git.example.org", 22));
        assert!(!accepts(plain, "git.example.com", 22));
        assert!(!accepts(plain, "git.example.org", 2222));
        assert!(accepts(port, "git.example.org", 2222));
        assert!(!accepts("|1|bad|bad", "git.example.org", 22));
    }

    #[test]
    fn a_key_is_good_changed_unknown_or_revoked() {
        let blob = STANDARD.decode(KEY).unwrap();
        let judge = |text: &str| Known::read(text, "h", 22).judge(&blob);
        assert_eq!(judge(&format!("h ssh-ed25519 {KEY}")), Judgement::Good);
        assert_eq!(judge("h ssh-ed25519 AAAA"), Judgement::Changed);
        assert_eq!(judge(&format!("i ssh-ed25519 {KEY}")), Judgement::Unknown);
        assert_eq!(judge(&format!("h ssh-ed25519 {KEY}\n@revoked * ssh-ed25519 {KEY}")), Judgement::Revoked);
    }
}

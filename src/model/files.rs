//! The files of a backup's folders: what is kept beside the database, and under which names.

use serde::{Deserialize, Serialize};

use super::backup::File;
use super::names::BackupName;

/// What a backup says about its folders. It is written last, when all that it names is on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// The backup.
    pub backup: BackupName,
    /// SHA-256 of the manifest that it belongs to, in hexadecimal.
    pub manifest: String,
    /// The folders, below the application's shared ones.
    pub folders: Vec<String>,
    /// Files in them.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// Objects that hold their content; equal files share one.
    pub objects: u64,
    /// Size of these objects in bytes.
    pub stored_bytes: u64,
    /// Size in bytes of those that no backup before had.
    pub new_bytes: u64,
    /// Files that did not hold still while they were read: the content may be of several moments.
    pub restless: Vec<String>,
    /// What is neither file, folder nor link, and so is not kept.
    pub left_out: Vec<String>,
    /// When the reading began (UTC, RFC 3339).
    pub at: String,
    /// How long it took, in milliseconds.
    pub took: u64,
    /// The list of all entries, one [`Entry`] a line.
    pub listing: File,
    /// The names of all objects and their sizes, which can be read without the listing.
    pub index: File,
}

/// One entry of the listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where, below the shared folders; a backslash is `\\`, and what is no UTF-8 is `\xNN`.
    pub path: String,
    /// Permissions.
    pub mode: u32,
    /// When it was changed, in seconds since 1970 (UTC).
    pub mtime: i64,
    /// And the part of a second, in nanoseconds.
    #[serde(default)]
    pub nanos: u32,
    /// What it is.
    pub what: What,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// A folder.
    Folder,
    /// A symbolic link, which is kept as such and never followed.
    Link {
        /// Where it points, escaped like the path.
        target: String,
    },
    /// A file.
    File {
        /// Size in bytes.
        size: u64,
        /// SHA-256 of the content, in hexadecimal.
        sha256: String,
        /// The object that holds it.
        object: String,
    },
}

/// A path as one line of text, from which exactly the same bytes come back.
#[must_use]
pub fn escape(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for chunk in path.utf8_chunks() {
        text += &chunk.valid().replace('\\', "\\\\");
        for byte in chunk.invalid() {
            text += &format!("\\x{byte:02x}");
        }
    }
    text
}

/// The bytes of an escaped path; `None` if it is none.
#[must_use]
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut path = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        match rest {
            [] => return Some(path),
            [b'\\', b'\\', after @ ..] => {
                path.push(b'\\');
                rest = after;
            }
            [b'\\', b'x', high, low, after @ ..] => {
                let digits = [*high, *low];
                path.push(u8::from_str_radix(str::from_utf8(&digits).ok()?, 16).ok()?);
                rest = after;
            }
            [b'\\', ..] => return None,
            [byte, after @ ..] => {
                path.push(*byte);
                rest = after;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_comes_back() {
        for path in
            [&b"uploads/a b"[..], b"\xff\xfe/\xc3\xa4.txt", b"back\\slash\\x41", b"new\nline", "grün".as_bytes()]
        {
            assert_eq!(unescape(&escape(path)).as_deref(), Some(path), "{path:?}");
        }
        assert_eq!(escape("grün \\ \u{1f600}".as_bytes()), "grün \\\\ \u{1f600}");
        for bad in ["\\", "\\x4", "\\xgg", "\\n"] {
            assert_eq!(unescape(bad), None, "{bad}");
        }
    }
}

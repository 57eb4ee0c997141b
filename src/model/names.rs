//! Names that come from outside. Each is parsed once; whoever holds one never checks it again.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a name must look like, said to the person who typed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {given:?} is not valid: {rule}")]
pub struct BadName {
    /// The kind of name, for example "application".
    pub what: &'static str,
    /// What was given.
    pub given: String,
    /// The rule it breaks.
    pub rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(BadName { what: $what, given: text.to_owned(), rule: $rule })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;
            fn try_from(text: String) -> Result<Self, BadName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// An application: the instance of every step unit and the name of its folder below `/srv`.
    App,
    "application",
    "lower-case letters, digits and '-', starting with a letter, at most 31 characters",
    |text| {
        text.len() <= 31
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    }
);

name!(
    /// A git commit, whole: 40 lower-case hexadecimal digits.
    Sha,
    "revision",
    "40 hexadecimal digits",
    |text| text.len() == 40 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
);

name!(
    /// What a person asks for: a branch, a tag or a commit, perhaps shortened.
    Wanted,
    "revision",
    "letters, digits and . _ / - only, not starting with '-' or '/', without '..', at most 200 characters",
    |text| {
        !text.is_empty()
            && text.len() <= 200
            && !text.starts_with(['-', '/', '.'])
            && !text.contains("..")
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._/-".contains(&b))
    }
);

name!(
    /// A systemd unit of the application.
    UnitName,
    "unit",
    "a name that ends in .service, .socket or .timer, of letters, digits and : _ . @ - only",
    |text| {
        text.len() <= 128
            && [".service", ".socket", ".timer"].iter().any(|end| text.len() > end.len() && text.ends_with(end))
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b":_.@-".contains(&b))
    }
);

name!(
    /// A revision of the database schema as the migration tool names it.
    SchemaRevision,
    "schema revision",
    "letters, digits, '_', '-' and '.' only, at most 100 characters",
    |text| {
        !text.is_empty()
            && text.len() <= 100
            && !text.starts_with('-')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
    }
);

name!(
    /// A backup: the folder's name. A moment in UTC, `20261121T031500Z`, after the number of the deployment that made
    /// it, if one did: `42-20261121T031500Z`.
    BackupName,
    "backup",
    "a moment such as 20261121T031500Z, perhaps after the number of a deployment, such as 42-20261121T031500Z",
    |text| {
        let digits = |text: &str, least: usize, most: usize| {
            (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
        };
        let (deployment, moment) = text.rsplit_once('-').unwrap_or(("0", text));
        let moment = moment.strip_suffix('Z').and_then(|moment| moment.split_once('T'));
        digits(deployment, 1, 10) && moment.is_some_and(|(day, time)| digits(day, 8, 8) && digits(time, 6, 6))
    }
);

name!(
    /// Somebody who is told about deployments: also the name of the credential that the notice is sent with.
    NoticeName,
    "notice",
    "lower-case letters, digits and '-', starting with a letter, at most 31 characters",
    |text| text.parse::<App>().is_ok()
);

name!(
    /// A forge's id of one delivery of a webhook.
    Delivery,
    "delivery",
    "letters, digits, '_' and '-' only, at most 64 characters",
    |text| {
        (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
    }
);

name!(
    /// A user of a forge, as the forge names it.
    Sender,
    "sender",
    "letters, digits and . _ - [ ] only, at most 100 characters",
    |text| {
        (1..=100).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-[]".contains(&b))
    }
);

name!(
    /// A key of the interface for programs.
    KeyName,
    "key",
    "lower-case letters, digits and '-', starting with a letter, at most 31 characters",
    |text| {
        text.len() <= 31
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    }
);

impl Sha {
    /// The first eight digits, as people read it.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..8]
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

number!(
    /// One numbered attempt to make a release live. Numbers are never used twice on a server.
    DeploymentId
);
number!(
    /// A built, sealed tree, named after the deployment that built it: `/srv/<app>/releases/<id>`.
    ReleaseId
);

/// Revisions of a schema as people read them.
#[must_use]
pub fn words(revisions: &[SchemaRevision]) -> String {
    let words: Vec<&str> = revisions.iter().map(SchemaRevision::as_str).collect();
    if words.is_empty() { "no revision".to_owned() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_their_place_are_refused() {
        for bad in ["", "-x", "a/b", "a.b", "A", "1a", "a\n", "../a", &"a".repeat(32)] {
            assert!(bad.parse::<App>().is_err(), "{bad:?}");
        }
        for bad in ["", "--upload-pack=x", "a..b", "/abs", "a b", "a;b", "a\n", "refs/heads/ü"] {
            assert!(bad.parse::<Wanted>().is_err(), "{bad:?}");
        }
        for bad in ["ssh", ".service", "a b.service", "a/b.service", "x.mount"] {
            assert!(bad.parse::<UnitName>().is_err(), "{bad:?}");
        }
        for bad in ["", "..", "7-", "-20260101T000000Z", "20260101T000000Z.part", "a-20260101T000000Z", "20260101"] {
            assert!(bad.parse::<BackupName>().is_err(), "{bad:?}");
        }
        assert!("20260101T000000Z".parse::<BackupName>().is_ok());
        assert!("7-20260101T000000Z".parse::<BackupName>().is_ok());
        assert!("v/dies-at-import".parse::<Wanted>().is_ok());
        assert!("tsh-erp@a.service".parse::<UnitName>().is_ok());
        assert!("F".repeat(40).parse::<Sha>().is_err());
    }
}

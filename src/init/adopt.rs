//! Taking over an application that runs in place, from a checkout: what has to be done, in which order, and how each part
//! is taken back. The service runs on through all of it.
//!
//! A process that runs keeps what it has open, and reaches everything else by paths that go on leading somewhere: a
//! folder and a link change places in one system call (`renameat2` with `RENAME_EXCHANGE`), so at no instant is a path
//! missing. Every part is written down in [`Record`] before it is done, looks at what is there before it does anything,
//! and so may be done again after a crash, in both directions.

pub mod exchange;
pub mod record;
pub mod survey;
pub mod tree;
pub mod unit;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::names::App;
use crate::paths;

/// One thing that is done, and can be taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// A file of root's.
    File {
        /// Where.
        path: PathBuf,
        /// What is in it.
        text: String,
        /// Its mode.
        mode: u32,
    },
    /// What `init` does.
    Prepare,
    /// The core gives the release its number.
    Number,
    /// The tree is copied and sealed.
    Release {
        /// The tree.
        from: PathBuf,
        /// What of it stays behind, below it: secrets, and what the application writes.
        without: Vec<PathBuf>,
        /// Folders that become links to shared ones.
        shared: Vec<String>,
        /// The environment in it, whose programs name their own path.
        venv: Option<String>,
    },
    /// The live link points at it.
    Link,
    /// A folder that the application writes moves to the shared ones, and a link takes its place.
    State {
        /// Where it was.
        from: PathBuf,
        /// Its name below `shared`.
        folder: String,
        /// Whose it was, and its mode: user, group, mode.
        was: (u32, u32, u32),
        /// Its mode there.
        mode: u32,
    },
    /// The tree is put aside, and a link to the live release takes its place.
    Path {
        /// Where it was.
        path: PathBuf,
        /// Where it is then.
        aside: PathBuf,
    },
    /// The units start from the live release from now on. What runs is not touched.
    DropIns {
        /// Path and text of each.
        files: Vec<(PathBuf, String)>,
    },
}

impl Effect {
    /// What it does, for people.
    #[must_use]
    pub fn words(&self, app: &App) -> String {
        let release = paths::releases(app).join("N");
        match self {
            Self::File { path, .. } => format!("write {} (root's)", path.display()),
            Self::Prepare => format!("prepare the server, as `tsh-agent init {app}` does"),
            Self::Number => "let the agent give the release its number N".to_owned(),
            Self::Release { from, without, .. } => {
                let names: Vec<_> = without.iter().map(|path| path.display().to_string()).collect();
                format!("copy {} to {}, sealed, without {}", from.display(), release.display(), names.join(", "))
            }
            Self::Link => format!("point {} at it", paths::links(app).join("current").display()),
            Self::State { from, folder, .. } => {
                format!("move {} to {}, a link in its place", from.display(), shared(app, folder).display())
            }
            Self::Path { path, aside } => {
                format!("put {} aside as {}, a link to the live release in its place", path.display(), aside.display())
            }
            Self::DropIns { files } => {
                let names: Vec<_> = files.iter().map(|(path, _)| path.display().to_string()).collect();
                format!("write {}, systemctl daemon-reload", names.join(", "))
            }
        }
    }
}

/// A folder that all releases share.
#[must_use]
pub fn shared(app: &App, folder: &str) -> PathBuf {
    paths::home(app).join("shared").join(folder)
}

/// Where the tree is put aside.
#[must_use]
pub fn aside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{name}.before-tsh-agent"))
}

//! One application's settings: validated, ready to use. A function that holds them never validates again.

mod probe;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256};

pub use probe::{Http, Probe, ProbePlan};

use super::strategy::Serve;
use crate::model::gates::Rules;
use crate::model::names::{App, NoticeName, UnitName};
use crate::model::notice::Moment;
use crate::model::trigger::Forge;

/// Everything `/etc/tsh-agent/apps/<app>.toml` says, with defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The application; the file's name.
    pub app: App,
    /// Where the code comes from.
    pub source: Source,
    /// What goes live by itself.
    pub push: Push,
    /// How a release is built.
    pub build: Build,
    /// What runs it.
    pub service: Service,
    /// Its database, if a deployment has to care for one.
    pub database: Option<Database>,
    /// How its database is backed up.
    pub backup: Backup,
    /// Where backups are carried to, if they are.
    pub offsite: Option<Offsite>,
    /// What must agree before a deployment goes on.
    pub gates: Rules,
    /// How a release is tried on a copy of its database.
    pub rehearsal: Rehearsal,
    /// How to tell that it is healthy.
    pub probe: ProbePlan,
    /// How many releases are kept beside the live one.
    pub keep_releases: usize,
    /// Who is told about its deployments.
    pub notices: Notices,
}

/// Who is told about deployments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notices {
    /// What this server is for, as notices and the forge name it: "production".
    pub environment: String,
    /// After this time a notice that cannot be sent is given up.
    pub give_up: Duration,
    /// Each of them.
    pub all: Vec<Notice>,
}

/// Somebody who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Its name.
    pub name: NoticeName,
    /// Of which moments; a forge is told of all.
    pub on: Vec<Moment>,
    /// A file of root's with the password, token or address that nobody else may read.
    pub secret: Option<PathBuf>,
    /// How.
    pub channel: Channel,
}

/// How somebody is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channel {
    /// JSON, signed with the secret.
    Webhook {
        /// Where to.
        url: String,
    },
    /// A message in Slack or in what understands the same; the secret is the address.
    Slack,
    /// A message in Discord; the secret is the address.
    Discord,
    /// A message of a bot in Telegram; the secret is the bot's token.
    Telegram {
        /// The server of the interface for bots.
        url: String,
        /// The chat.
        chat: String,
    },
    /// A message of ntfy; the secret, if there is one, is the access token.
    Ntfy {
        /// The server with the topic.
        url: String,
    },
    /// Mail, through `sendmail` on this server.
    Mail {
        /// To whom.
        to: Vec<String>,
        /// From whom; sendmail decides if it is not named.
        from: Option<String>,
    },
    /// Deployments and statuses of commits in a forge; the secret is the access token.
    Forge {
        /// Which kind of forge.
        forge: Forge,
        /// Its interface.
        url: String,
        /// The repository, `owner/name`.
        repository: String,
    },
}

/// Where the code comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// `https://…`, `ssh://…`, `user@host:path` or `file:///…`.
    pub url: String,
    /// The branch that is deployed when none is named.
    pub branch: String,
    /// The private key for SSH, root's file; it reaches the step as a credential.
    pub key: Option<PathBuf>,
    /// Host keys that are accepted, root's file in the format of `known_hosts`.
    pub known_hosts: PathBuf,
    /// Time for the whole fetch.
    pub timeout: Duration,
}

/// What goes live by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The forge whose webhooks are taken.
    pub webhook: Option<Forge>,
    /// The repository as that forge names it.
    pub repository: String,
    /// How often the remote is asked.
    pub poll: Option<Duration>,
    /// Users of this server who may say that something was pushed.
    pub users: Vec<String>,
}

/// How a release is built.
#[derive(Debug, Clone, PartialEq)]
pub struct Build {
    /// Folder below the release in which all commands run; "" is the release itself.
    pub workdir: PathBuf,
    /// Where the virtual environment is made, below the release.
    pub venv: PathBuf,
    /// The interpreter: a name on PATH, or a path.
    pub python: String,
    /// What is installed.
    pub lock: Lock,
    /// Further requirements, pinned by the server's owner, as pip takes them.
    pub extra: Vec<String>,
    /// Whether the project itself is installed.
    pub project: Project,
    /// Refuse what would have to be compiled.
    pub wheels_only: bool,
    /// Environment of the build, without secrets.
    pub environment: BTreeMap<String, String>,
    /// Commands after the installation, in order, in `workdir`, with the environment's `bin` first on PATH.
    pub commands: Vec<Vec<String>>,
    /// Folders below `shared/` that are linked into each release: path in the release → folder below shared.
    pub shared: BTreeMap<PathBuf, String>,
    /// Time for the whole build.
    pub timeout: Duration,
}

/// What is installed into the environment.
#[derive(Debug, Clone, PartialEq)]
pub enum Lock {
    /// Whatever is there: `uv.lock`, else `requirements.txt`, else nothing.
    Auto,
    /// `uv.lock`.
    Uv,
    /// A requirements file, relative to the working directory; hashes are enforced where it has any.
    Requirements(PathBuf),
    /// A command that installs by itself, run with the environment's `bin` first on PATH.
    Command(Vec<String>),
    /// No environment at all.
    None,
}

/// Whether the project itself is installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Project {
    /// Only its dependencies.
    No,
    /// As a package, without looking at dependencies again.
    Package,
    /// As a package that points at the release.
    Editable,
}

/// What runs the application.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// The unix user it runs as.
    pub user: String,
    /// Its units, in the order in which they are started; stopped in the reverse order.
    pub units: Vec<Unit>,
    /// How a release takes over, and what the launcher serves.
    pub serve: Serve,
    /// Folders below `/srv/<app>/shared` that belong to it, for example `uploads` and `logs`.
    pub state: Vec<String>,
    /// Those of them that everybody on the server may read.
    pub public: Vec<String>,
    /// Time for all units to stop.
    pub stop_timeout: Duration,
}

/// One unit of the application.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// Its name.
    pub name: UnitName,
    /// What it is for.
    pub role: Role,
}

/// What a unit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Answers requests: started first, probed before the commit point.
    Web,
    /// Works in the background: started only when the release is open.
    Worker,
    /// Starts something by the clock; started last.
    Timer,
}

/// The application's database in PostgreSQL on this server.
#[derive(Debug, Clone, PartialEq)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// The role the application connects with, which owns it.
    pub owner: String,
    /// The lane for pending migrations.
    pub lane: MigrationLane,
    /// How to find and run migrations.
    pub migrations: Migrations,
    /// Time for all migrations.
    pub timeout: Duration,
    /// Whether a backup is made before pending migrations; otherwise a recent one that is proven must be there.
    pub backup: bool,
    /// Whether pending migrations are rehearsed.
    pub rehearse: bool,
    /// How long a migration may hold a lock that somebody may wait for, while the old release serves.
    pub lock_budget: Duration,
    /// How long production may stand still for a deployment that no person has typed; `None`: as long as it takes.
    pub max_window: Option<Duration>,
    /// Days a quarantined database is kept.
    pub quarantine_days: u32,
}

/// When the database is backed up, and which backups are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// When, as systemd's `OnCalendar=` has it; `None`: only when somebody asks.
    pub schedule: Option<String>,
    /// Days for which one backup of each day is kept.
    pub keep_days: u32,
    /// Backups that are kept however old they are.
    pub min_keep: usize,
    /// Bytes that all backups may take, where there is a limit.
    pub max_bytes: Option<u64>,
    /// Recipients of age for whom backups are encrypted; none: they are not.
    pub encrypt_to: Vec<String>,
    /// Folders below the shared ones that belong to a backup.
    pub folders: Vec<String>,
    /// Tables that are larger, in bytes, are counted and not hashed.
    pub hash_limit: u64,
    /// How old the newest proven backup may be before `check` warns; `None`: it never does.
    pub alarm: Option<Duration>,
    /// How old the newest proven backup may be when a deployment that makes none migrates.
    pub max_age: Duration,
}

/// How a release is tried on a copy of its database.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsal {
    /// The command that answers the configured probes; without it no release is started.
    pub serve: Option<Vec<String>>,
    /// The command that tells whether a release lives on a schema; without it nothing is migrated while one serves.
    pub smoke: Option<Vec<String>>,
    /// Variables in the place of the application's own.
    pub environment: BTreeMap<String, String>,
    /// Time for one smoke test.
    pub timeout: Duration,
}

/// A store elsewhere that speaks S3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offsite {
    /// The bucket.
    pub bucket: String,
    /// What every name in it begins with; may be empty.
    pub prefix: String,
    /// The URL of the server.
    pub endpoint: String,
    /// The region, which requests are signed for.
    pub region: String,
    /// Root's file with the credentials; it reaches the step as a credential.
    pub credentials: PathBuf,
}

/// The lane for pending migrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationLane {
    /// Online where a rehearsal proves that nothing speaks against it, else as `Fenced`.
    Auto,
    /// Door, fence and twin.
    Fenced,
    /// Stop, back up, migrate, start: weaker.
    Stop,
}

/// How to find and run migrations.
#[derive(Debug, Clone, PartialEq)]
pub enum Migrations {
    /// Alembic, with this file relative to the working directory.
    Alembic {
        /// `alembic.ini`.
        ini: PathBuf,
        /// The table that holds the revision, perhaps with a schema.
        table: String,
        /// Commands before and after Alembic's own, in order: `None` is Alembic's place.
        before: Vec<Vec<String>>,
        /// Commands after it.
        after: Vec<Vec<String>>,
    },
    /// Django, through this `manage.py`.
    Django {
        /// `manage.py`, relative to the working directory.
        manage: PathBuf,
        /// Commands before Django's own.
        before: Vec<Vec<String>>,
        /// Commands after it.
        after: Vec<Vec<String>>,
    },
    /// Any tool: `pending` exits 0 if nothing is pending, 1 if something is; `run` are the commands in order.
    Commands {
        /// Tells whether something is pending; its lines of output name it.
        pending: Vec<String>,
        /// The migration.
        run: Vec<Vec<String>>,
    },
}

impl Migrations {
    /// The table in which the tool keeps its books, perhaps with a schema.
    #[must_use]
    pub fn books(&self) -> Option<&str> {
        match self {
            Self::Alembic { table, .. } => Some(table),
            Self::Django { .. } => Some("django_migrations"),
            Self::Commands { .. } => None,
        }
    }

    /// Whether all of it is the tool's own work in transactions, so that an equal schema after a failure proves
    /// that nothing stayed behind. Commands around it may change rows, which no fingerprint sees.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        matches!(self, Self::Alembic { before, after, .. } if before.is_empty() && after.is_empty())
    }
}

impl Settings {
    /// A name for everything these settings say: what is said otherwise has another name. It holds for one version of
    /// the agent, for another may know more settings.
    #[must_use]
    pub fn digest(&self) -> String {
        let hash = Sha256::digest(format!("{self:?}"));
        hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Units with this role, in order.
    pub fn units(&self, role: Role) -> impl Iterator<Item = &UnitName> {
        self.service.units.iter().filter(move |unit| unit.role == role).map(|unit| &unit.name)
    }

    /// All units, in the order in which they are started.
    pub fn all_units(&self) -> impl Iterator<Item = &UnitName> {
        self.service.units.iter().map(|unit| &unit.name)
    }
}

//! A real PostgreSQL server for tests: one for the whole test run, each test with databases of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use super::{AGENT, Cluster, MAINTENANCE, quote, roles_sql};

/// The port names the socket; nothing listens on the network.
const PORT: u16 = 5432;
/// Serializes what PostgreSQL cannot do at the same time: changes to the roles that all tests share.
const ROLES: i64 = 42;

/// The server.
pub(crate) struct Server {
    socket_dir: PathBuf,
}

/// A database of one test: `name`, owned by role `<name>_app`, with the agent's roles.
pub(crate) struct Scratch {
    pub server: &'static Server,
    pub name: String,
    pub owner: String,
    pub cluster: Cluster,
}

impl Server {
    /// The server of this test run. The first test that needs it starts it; it is stopped and removed when the run
    /// is over, however it ends.
    pub fn shared() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(|| {
            // nextest gives each test a process of its own, so the run is what they have in common.
            let (run, watched) = match std::env::var("NEXTEST_RUN_ID") {
                Ok(id) => (id, std::os::unix::process::parent_id()),
                Err(_) => (std::process::id().to_string(), std::process::id()),
            };
            let home = std::env::temp_dir().join(format!("tsh-agent-pg-{run}"));
            let lock = fs::File::create(home.with_extension("lock")).unwrap();
            lock.lock().unwrap();
            if !home.join("ready").exists() {
                start(&home, watched);
                fs::write(home.join("ready"), "").unwrap();
            }
            Self { socket_dir: home }
        })
    }

    /// The server as one role sees it.
    pub fn cluster(&self, role: &str) -> Cluster {
        Cluster::at(&self.socket_dir, PORT, role)
    }

    /// A connection of any role, as an application or a person would have it.
    pub async fn connect(&self, role: &str, db: &str) -> Result<PgConnection, sqlx::Error> {
        let options = PgConnectOptions::new_without_pgpass().socket(&self.socket_dir).port(PORT);
        PgConnection::connect_with(&options.username(role).database(db).application_name("test")).await
    }

    /// Runs SQL and gives the first column of each row as text.
    pub async fn rows(&self, role: &str, db: &str, sql: &str) -> Vec<Option<String>> {
        let mut connection = self.connect(role, db).await.unwrap();
        let rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut connection).await;
        connection.close().await.unwrap();
        rows.unwrap_or_else(|error| panic!("{sql}: {error}")).iter().map(first).collect()
    }

    /// The folder of the socket.
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }
}

fn first(row: &PgRow) -> Option<String> {
    if row.is_empty() { None } else { row.try_get_unchecked(0).unwrap() }
}

impl Scratch {
    /// Makes the database as `init` and an application would.
    pub async fn new(name: &str) -> Self {
        let server = Server::shared();
        let owner = format!("{name}_app");
        let mut root = server.connect("postgres", MAINTENANCE).await.unwrap();
        sqlx::query("select pg_advisory_lock($1)").bind(ROLES).execute(&mut root).await.unwrap();
        for sql in [
            format!("create role {} login", quote(&owner)),
            format!("create database {} owner {}", quote(name), quote(&owner)),
            roles_sql(name, &owner),
        ] {
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut root).await.unwrap();
        }
        root.close().await.unwrap();
        let scratch = Self { server, name: name.to_owned(), owner, cluster: server.cluster(AGENT) };
        scratch.app("create table item (id int primary key generated always as identity, name text)").await;
        scratch
    }

    /// Runs SQL as the application.
    pub async fn app(&self, sql: &str) -> Vec<Option<String>> {
        self.server.rows(&self.owner, &self.name, sql).await
    }

    /// Runs SQL as the migration.
    pub async fn migrator(&self, sql: &str) -> Vec<Option<String>> {
        self.server.rows(super::MIGRATOR, &self.name, sql).await
    }

    /// Runs SQL as a superuser in the database `postgres`.
    pub async fn root(&self, sql: &str) -> Vec<Option<String>> {
        self.server.rows("postgres", MAINTENANCE, sql).await
    }

    /// Whether a role gets in.
    pub async fn lets_in(&self, role: &str) -> bool {
        match self.server.connect(role, &self.name).await {
            Ok(connection) => {
                connection.close().await.unwrap();
                true
            }
            Err(_) => false,
        }
    }
}

/// Where the server's programs are.
pub(crate) fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().filter_map(Result::ok);
    versions.map(|version| version.path().join("bin")).filter(|bin| bin.join("initdb").exists()).max().unwrap_or_else(
        || panic!("these tests need a PostgreSQL server: apt-get install postgresql (nothing of it has to run)"),
    )
}

fn start(home: &Path, watched: u32) {
    let bin = programs();
    fs::create_dir(home).unwrap();
    fs::set_permissions(home, fs::Permissions::from_mode(0o777)).unwrap();
    let data = home.join("data");
    succeed(
        server_user(&bin.join("initdb"))
            .args(["-A", "trust", "-U", "postgres", "-N", "-E", "UTF8", "--locale=C.UTF-8", "-D"])
            .arg(&data),
    );
    let settings = format!(
        "listen_addresses = ''\nport = {PORT}\nunix_socket_directories = '{}'\nfsync = off\nfull_page_writes = off\n\
         wal_level = logical\nmax_prepared_transactions = 4\nshared_buffers = 32MB\nmax_connections = 200\n",
        home.display()
    );
    let file = data.join("postgresql.conf");
    fs::write(&file, fs::read_to_string(&file).unwrap() + &settings).unwrap();
    succeed(
        server_user(&bin.join("pg_ctl")).args(["-w", "-l"]).arg(home.join("log")).arg("-D").arg(&data).arg("start"),
    );
    let farewell = format!(
        "while kill -0 {watched}; do sleep 0.3; done; kill -QUIT $(head -1 {0}/data/postmaster.pid); sleep 1; rm -rf {0} {0}.lock",
        home.display()
    );
    succeed(Command::new("setsid").args(["--fork", "sh", "-c", &farewell]));
}

/// The server refuses to run as root, so root runs it as the user the package made for it.
fn server_user(program: &Path) -> Command {
    if !nix::unistd::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program).current_dir("/");
    command
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

fn succeed(command: &mut Command) {
    let status = quiet(command).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

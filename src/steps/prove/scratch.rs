//! A cluster that lives as long as one proof or one rehearsal: its own `initdb`, a unix socket in a folder of its own, no network, and
//! nothing of it durable.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::database::Cluster;
use crate::model::journal::Cause;
use crate::steps::child::Command;
use crate::steps::files;
use crate::steps::postgres::program;

/// The first role of the cluster. No role of the backup has this name, or the backup could not be restored.
const ROOT: &str = "tsh_agent_scratch";
/// The port only names the socket.
pub const PORT: u16 = 5432;
/// Time to start.
const START: Duration = Duration::from_secs(60);
/// Time to stop.
const STOP: Duration = Duration::from_secs(30);

/// Nothing here must survive, so nothing is synchronised. Without just-in-time compilation, which needs memory that can
/// be written and run.
const SETTINGS: &str = "listen_addresses = ''\nfsync = off\nsynchronous_commit = off\nfull_page_writes = off\n\
    wal_level = minimal\nmax_wal_senders = 0\nmax_wal_size = '2GB'\ncheckpoint_timeout = '1h'\nautovacuum = off\n\
    shared_buffers = '128MB'\nmaintenance_work_mem = '128MB'\nmax_connections = 20\nmax_locks_per_transaction = 1024\n\
    jit = off\nlogging_collector = off\nunix_socket_permissions = 0700\n";

/// A running cluster.
pub struct Scratch {
    room: PathBuf,
    child: tokio::process::Child,
    /// The way to it, as its superuser.
    pub cluster: Cluster,
}

impl Scratch {
    /// Makes it in the empty folder `room`, and starts it. `wrap` are words before each of its commands.
    pub async fn start(room: &Path, server: u32, wrap: &[String]) -> Result<Self, Cause> {
        let data = room.join("data");
        let words = |program: &Path| wrap.iter().cloned().chain([program.display().to_string()]);
        let initdb = words(&program(server, "initdb")?)
            .chain(["-A", "trust", "-U", ROOT, "-N", "-E", "UTF8", "--locale=C", "-D"].map(str::to_owned));
        Command::new(initdb.chain([data.display().to_string()]))
            .env([("LC_ALL", "C.UTF-8")])
            .dir("/")
            .quiet()
            .run()
            .await?;
        let conf = data.join("postgresql.conf");
        let text = fs::read_to_string(&conf).map_err(files::on(&conf))?;
        let socket = format!("unix_socket_directories = '{}'\nport = {PORT}\n", room.display());
        fs::write(&conf, text + "\n" + SETTINGS + &socket).map_err(files::on(&conf))?;

        let log = room.join("log");
        let out = File::create(&log).map_err(files::on(&log))?;
        let mut argv = words(&program(server, "postgres")?);
        let mut command = tokio::process::Command::new(argv.next().unwrap_or_default());
        command.args(argv).arg("-D").arg(&data).current_dir("/").env("LC_ALL", "C.UTF-8").kill_on_drop(true);
        command.stdin(std::process::Stdio::null());
        command.stderr(out.try_clone().map_err(files::on(&log))?).stdout(out);
        let child = command.spawn().map_err(|error| Cause::new(format!("cannot start postgres: {error}")))?;
        let scratch = Self { room: room.to_owned(), child, cluster: Cluster::at(room, PORT, ROOT) };
        if let Err(error) = scratch.cluster.wait(START).await {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            let tail = lines[lines.len().saturating_sub(10)..].to_vec();
            scratch.stop().await;
            return Err(Cause { tail, ..Cause::new(format!("the scratch cluster does not start: {error}")) });
        }
        Ok(scratch)
    }

    /// The folder of its socket.
    #[must_use]
    pub fn room(&self) -> &Path {
        &self.room
    }

    /// Runs a file of SQL as the superuser, to its end or its first error.
    pub async fn psql(&self, psql: &Path, file: &Path) -> Result<(), Cause> {
        let mut argv = vec![psql.display().to_string()];
        argv.extend(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-f"].map(str::to_owned));
        argv.push(file.display().to_string());
        argv.extend(self.cluster.options());
        let run = Command::new(argv).dir("/").quiet().run().await;
        run.map(|_| ()).map_err(|cause| {
            let said = cause.tail.iter().find(|line| line.contains("ERROR")).cloned().unwrap_or_default();
            Cause { what: format!("the roles and settings cannot be made again: {said}"), ..cause }
        })
    }

    /// Free bytes where it lives.
    pub fn free(&self) -> u64 {
        free(&self.room)
    }

    /// Stops it at once: nothing of it is needed.
    pub async fn stop(mut self) {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGQUIT);
        }
        if tokio::time::timeout(STOP, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

/// Makes the folder empty, and nobody else's to look into.
pub fn clear(room: &Path) -> io::Result<()> {
    match fs::remove_dir_all(room) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    DirBuilder::new().mode(0o700).create(room)
}

/// Free bytes in a folder.
pub fn free(room: &Path) -> u64 {
    nix::sys::statvfs::statvfs(room).map_or(u64::MAX, |stat| stat.blocks_available() * stat.fragment_size())
}

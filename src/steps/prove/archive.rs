//! Reading a dump back.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::model::backup as model;
use crate::model::journal::Cause;
use crate::model::size::size;
use crate::steps::advance::Metered;
use crate::steps::backup::DUMP;
use crate::steps::child::plain;
use crate::steps::files;
use crate::steps::sealed::{self, Keys};

/// Lines of a program that are kept.
const TAIL: usize = 20;

/// A dump, and the program that reads it.
#[derive(Clone)]
pub struct Reader {
    /// The file.
    pub dump: PathBuf,
    /// `pg_restore` of the right version.
    pub program: PathBuf,
    /// How long the archive is.
    pub raw_bytes: u64,
    /// What opens it.
    pub keys: Keys,
}

/// Whether the file is what was written.
pub fn checksum(path: &Path, file: &model::File) -> Result<(), Cause> {
    let found = sealed::measure(File::open(path).map_err(files::on(path))?).map_err(files::on(path))?;
    if found.bytes != file.bytes {
        let (path, found) = (path.display(), found.bytes);
        return Err(Cause::new(format!("{path} has {found} bytes in place of {}", file.bytes)));
    }
    if found.sha256 != file.sha256 {
        return Err(Cause::new(format!("{} is not what was written: its SHA-256 is another one", path.display())));
    }
    Ok(())
}

impl Reader {
    /// A reader of the backup in `folder`.
    pub fn of(folder: &Path, manifest: &model::Manifest, program: PathBuf, keys: &Keys) -> Self {
        let dump = folder.join(manifest.named(DUMP));
        Self { dump, program, raw_bytes: manifest.raw_bytes, keys: keys.clone() }
    }

    /// Decompresses all of it into the program, which must like all of it.
    pub fn read(&self, arguments: &[String]) -> Result<(), Cause> {
        let cannot = |error| Cause::new(format!("cannot start {}: {error}", self.program.display()));
        let into_database = arguments.iter().any(|argument| argument.starts_with("--dbname="));
        let doing = if into_database { "restored" } else { "decoded" };
        let mut child = Command::new(&self.program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(cannot)?;
        let errors = child.stderr.take();
        let listener = std::thread::spawn(move || {
            let lines = errors.into_iter().flat_map(|errors| BufReader::new(errors).split(b'\n').map_while(Result::ok));
            let mut lines: Vec<String> = lines.map(|line| plain(&String::from_utf8_lossy(&line))).collect();
            lines.drain(..lines.len().saturating_sub(TAIL));
            lines
        });
        let piped = match child.stdin.take() {
            Some(stdin) => self.pipe(stdin, doing),
            None => Err(Pipe::From(io::Error::other("pg_restore has no input"))),
        };
        if piped.is_err() {
            let _ = child.kill();
        }
        let status = child.wait().map_err(|error| Cause::new(format!("lost pg_restore: {error}")))?;
        let tail = listener.join().unwrap_or_default();
        let said =
            tail.iter().find_map(|line| line.strip_prefix("pg_restore: error: ")).unwrap_or("it does not say why");
        let dump = self.dump.display();
        let what = match piped {
            Err(Pipe::From(error)) => format!("{dump} cannot be decompressed: {error}"),
            // Its reader has gone, which has its reason.
            Err(Pipe::To(_)) => format!("pg_restore does not read {dump}: {said}"),
            Ok(_) if !status.success() => format!("pg_restore does not read {dump} ({status}): {said}"),
            Ok(bytes) if bytes != self.raw_bytes => {
                format!("{dump} has {bytes} bytes inside in place of {}", self.raw_bytes)
            }
            Ok(_) => return Ok(()),
        };
        Err(Cause { tail, ..Cause::new(what) })
    }

    fn pipe(&self, mut to: impl Write, doing: &'static str) -> Result<u64, Pipe> {
        let from = self.keys.decompressed(&self.dump).map_err(Pipe::From)?;
        let mut from = Metered::new(from, doing, size(self.raw_bytes));
        let (mut buffer, mut bytes) = (vec![0; 1 << 18], 0);
        loop {
            let count = from.read(&mut buffer).map_err(Pipe::From)?;
            if count == 0 {
                return Ok(bytes);
            }
            to.write_all(&buffer[..count]).map_err(Pipe::To)?;
            bytes += count as u64;
        }
    }
}

/// Which end of the pipe failed.
enum Pipe {
    From(io::Error),
    To(#[expect(dead_code, reason = "only that it failed counts; why, the program says")] io::Error),
}

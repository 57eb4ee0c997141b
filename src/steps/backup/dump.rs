//! The dump: compressed and hashed while it is read.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use zstd::stream::write::Encoder;

use crate::model::backup as model;
use crate::model::journal::Cause;
use crate::model::size::size as words;
use crate::steps::advance::Metered;
use crate::steps::child::plain;
use crate::steps::output::say;
use crate::steps::sealed::{Seal, Sink};

/// What an archive of `pg_dump -Fc` begins with.
const MAGIC: &[u8] = b"PGDMP";

/// What came out of the chain of program, compressor and disk.
pub struct Written {
    /// Size before compression, in bytes.
    pub raw_bytes: u64,
    /// The file.
    pub file: model::File,
    /// Whether it begins as an archive does.
    archive: bool,
}

/// Runs `pg_dump` into the file, and looks at every member of the chain. `size` is that of the database on disk, in bytes,
/// which tells about how long the dump will be.
pub fn dump(
    program: &Path,
    arguments: &[String],
    out: File,
    seal: &Seal,
    db: &str,
    size: u64,
) -> Result<Written, Cause> {
    let mut child = Command::new(program)
        .args(["--format=custom", "--compress=0", "--lock-wait-timeout=10s", "--no-password"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Cause::new(format!("cannot start {}: {error}", program.display())))?;
    let errors = child.stderr.take();
    // Both pipes are read at once: a full one would stop pg_dump for ever.
    let listener = std::thread::spawn(move || {
        let lines = errors.into_iter().flat_map(|errors| BufReader::new(errors).split(b'\n').map_while(Result::ok));
        let lines = lines.map(|line| plain(&String::from_utf8_lossy(&line)));
        lines.inspect(|line| say(line)).collect::<Vec<_>>()
    });
    let written = match child.stdout.take() {
        Some(stdout) => seal
            .compressed(out)
            .and_then(|encoder| pipe(Metered::new(stdout, "dumped", format!("~{}", words(size))), encoder)),
        None => Err(std::io::Error::other("pg_dump has no output")),
    };
    if written.is_err() {
        // Nobody reads any more what it writes, so it would not end by itself.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| Cause::new(format!("lost pg_dump: {error}")))?;
    let tail = listener.join().unwrap_or_default();
    let said = tail.iter().find_map(|line| line.strip_prefix("pg_dump: error: ")).unwrap_or("it does not say why");
    let what = match written {
        Err(error) => format!("cannot write the backup of database {db}: {error}"),
        Ok(_) if !status.success() => format!("pg_dump of database {db} failed ({status}): {said}"),
        Ok(written) if !written.archive => format!("what pg_dump wrote of database {db} is not an archive"),
        Ok(written) => return Ok(written),
    };
    Err(Cause { tail, ..Cause::new(what) })
}

/// Compresses, encrypts and hashes everything in one pass, until it is on the disk.
fn pipe(mut from: impl Read, mut encoder: Encoder<'static, Sink>) -> std::io::Result<Written> {
    let mut head = Vec::new();
    from.by_ref().take(MAGIC.len() as u64).read_to_end(&mut head)?;
    encoder.write_all(&head)?;
    let rest = std::io::copy(&mut BufReader::with_capacity(1 << 20, from), &mut encoder)?;
    let (file, written) = encoder.finish()?.finish()?;
    file.sync_all()?;
    Ok(Written { raw_bytes: head.len() as u64 + rest, file: written, archive: head == MAGIC })
}

//! What lies in a backup, on its way to the disk and back: compressed, encrypted where the settings want that, counted
//! and hashed, in one pass. Nothing is on the disk in between.
//!
//! Encryption is age's: whoever has one of the identities reads every file with the `age` program as well. To write only
//! recipients are needed, so a server can make backups that it cannot read.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use age::secrecy::ExposeSecret;
use age::stream::StreamWriter;
use sha2::{Digest, Sha256};

use super::files::{hex, on};
use crate::model::backup as model;
use crate::model::journal::Cause;

/// Level 3 of zstd: 4.9 s and 214 MB where pg_dump's own compression took 16.3 s and 274 MB.
const LEVEL: i32 = 3;
/// What an encrypted file begins with.
const AGE: &[u8] = b"age-encryption.org/";
/// The name under which systemd hands over the identity.
const CREDENTIAL: &str = "identity";
/// What a secret key begins with, in the file of an identity.
const SECRET: &str = "AGE-SECRET-KEY-";

/// For whom a backup is written.
#[derive(Clone, Default)]
pub struct Seal(Vec<Arc<age::x25519::Recipient>>);

impl Seal {
    /// For these recipients; for everybody who can read the file, if there are none.
    ///
    /// # Errors
    /// If one is no recipient.
    pub fn to(recipients: &[String]) -> Result<Self, Cause> {
        let one = |text: &String| {
            let parsed = text.parse::<age::x25519::Recipient>().map(Arc::new);
            parsed.map_err(|why| Cause::new(format!("{text} is not a recipient: {why}")))
        };
        recipients.iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// Whether it hides anything.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.0.is_empty()
    }

    /// The way into a new file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn onto(&self, file: File) -> io::Result<Sink> {
        let measured = Measured { file, digest: Sha256::new(), bytes: 0 };
        if !self.is_closed() {
            return Ok(Sink::Plain(measured));
        }
        let recipients = self.0.iter().map(|recipient| &**recipient as &dyn age::Recipient);
        let encryptor = age::Encryptor::with_recipients(recipients).map_err(io::Error::other)?;
        Ok(Sink::Closed(Box::new(encryptor.wrap_output(measured)?)))
    }

    /// The same, compressed.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn compressed(&self, file: File) -> io::Result<zstd::stream::write::Encoder<'static, Sink>> {
        let mut encoder = zstd::stream::write::Encoder::new(self.onto(file)?, LEVEL)?;
        encoder.include_checksum(true)?;
        Ok(encoder)
    }
}

/// Counts and hashes what goes to a file.
pub struct Measured {
    file: File,
    digest: Sha256,
    bytes: u64,
}

impl Write for Measured {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let count = self.file.write(data)?;
        self.digest.update(&data[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The way into a file.
pub enum Sink {
    /// As it is.
    Plain(Measured),
    /// Encrypted.
    Closed(Box<StreamWriter<Measured>>),
}

impl Sink {
    /// What was written, which is on the disk only when the file is synchronised.
    ///
    /// # Errors
    /// If the rest cannot be written.
    pub fn finish(self) -> io::Result<(File, model::File)> {
        let Measured { file, digest, bytes } = match self {
            Self::Plain(measured) => measured,
            Self::Closed(writer) => writer.finish()?,
        };
        Ok((file, model::File { bytes, sha256: hex(&digest.finalize()) }))
    }
}

impl Write for Sink {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(measured) => measured.write(data),
            Self::Closed(writer) => writer.write(data),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(measured) => measured.flush(),
            Self::Closed(writer) => writer.flush(),
        }
    }
}

/// What opens backups here; nothing, where only recipients are on the server.
#[derive(Clone, Default)]
pub struct Keys(Vec<Arc<age::x25519::Identity>>);

impl Keys {
    /// What systemd hands over to this step, if it does.
    ///
    /// # Errors
    /// If it is no identity.
    pub fn handed_over(credentials: Option<&Path>) -> Result<Self, Cause> {
        match credentials.map(|folder| folder.join(CREDENTIAL)).filter(|path| path.exists()) {
            Some(path) => Self::read(&path),
            None => Ok(Self::default()),
        }
    }

    /// The identities in a file as `age-keygen` writes it; an empty one has none.
    ///
    /// # Errors
    /// If it cannot be read, or what it holds is none.
    pub fn read(path: &Path) -> Result<Self, Cause> {
        let text = std::fs::read_to_string(path).map_err(on(path))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        // What stands there is secret, so it is not repeated.
        let bad = || {
            Cause::new(format!("{} holds something that is not an age identity", path.display()))
                .hint(format!("each line is {SECRET}1…, or a comment"))
        };
        lines.map(|line| line.parse().map(Arc::new).map_err(|_| bad())).collect::<Result<_, _>>().map(Self)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// For whom one writes that they open.
    #[must_use]
    pub fn recipients(&self) -> Vec<String> {
        self.0.iter().map(|identity| identity.to_public().to_string()).collect()
    }

    /// Whether one of them opens what is written for these.
    #[must_use]
    pub fn open_any(&self, recipients: &[String]) -> bool {
        self.recipients().iter().any(|ours| recipients.contains(ours))
    }

    /// What is in a file, decrypted if it is encrypted.
    ///
    /// # Errors
    /// If it cannot be read, or none of the keys opens it.
    pub fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        let mut file = BufReader::with_capacity(1 << 17, File::open(path)?);
        if !file.fill_buf()?.starts_with(AGE) {
            return Ok(Box::new(file));
        }
        let refuse = |why: String| io::Error::new(io::ErrorKind::PermissionDenied, why);
        if self.is_empty() {
            return Err(refuse("it is encrypted, and there is no identity to open it".to_owned()));
        }
        let decryptor = age::Decryptor::new_buffered(file).map_err(io::Error::other)?;
        let identities = self.0.iter().map(|identity| &**identity as &dyn age::Identity);
        match decryptor.decrypt(identities) {
            Ok(reader) => Ok(Box::new(reader)),
            Err(age::DecryptError::NoMatchingKeys) => {
                let ours = self.recipients().join(", ");
                Err(refuse(format!("it is encrypted for others: the identity here is that of {ours}")))
            }
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// The same, decompressed.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn decompressed(&self, path: &Path) -> io::Result<impl Read + Send + use<>> {
        zstd::stream::read::Decoder::new(self.open(path)?)
    }
}

/// A new identity as lines for its file, and its recipient.
#[must_use]
pub fn new_identity(what: &str) -> (String, String) {
    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let secret = identity.to_string();
    (format!("# {what}\n# public key: {recipient}\n{}\n", secret.expose_secret()), recipient)
}

/// A new key of 256 bits, as a line of text.
///
/// # Errors
/// If the kernel gives no random bytes.
pub fn new_key() -> io::Result<String> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(hex(&bytes) + "\n")
}

/// A new file of a backup: its group may read it, nobody else.
///
/// # Errors
/// If it cannot be made, for example because it is there.
pub fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o640).open(path)
}

/// Counts and hashes what can be read.
///
/// # Errors
/// If it cannot be read.
pub fn measure(mut from: impl Read) -> io::Result<model::File> {
    let (mut digest, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 18]);
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(model::File { bytes, sha256: hex(&digest.finalize()) }),
            Ok(count) => {
                digest.update(&buffer[..count]);
                bytes += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

//! The other end: its address, the proof that it is the right one, our key, and what went wrong with it.

use std::cell::RefCell;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use git2::cert::Cert;
use git2::{
    AutotagOption, CertificateCheckStatus, Cred, CredentialType, Direction, ErrorClass, ErrorCode, FetchOptions,
    Progress, ProxyOptions, Remote, RemoteCallbacks, RemoteUpdateFlags, Repository,
};
use sha2::{Digest, Sha256};

use super::known_hosts::{Judgement, Known};
use super::{Plan, Trouble, too_long};
use crate::config::Source;
use crate::model::journal::Cause;
use crate::model::names::Sha;
use crate::model::size::size;
use crate::steps::advance::Advance;
use crate::steps::files::on;
use crate::steps::output::say;

/// Everything the server has, with what it has deleted deleted here as well.
const REFSPECS: [&str; 2] = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
/// A server that is silent for so long has hung; libgit2 by itself would wait for ever.
const SILENCE_MS: i32 = 30_000;

/// Sets libgit2's global options. `home` is where it looks for `.ssh/known_hosts`.
#[expect(unsafe_code, reason = "libgit2's options are global C variables, and two of them have no wrapper")]
pub fn set_options(home: &Path) -> Result<(), Cause> {
    let refused = |error: git2::Error| Cause::new(format!("libgit2 refuses an option: {}", error.message()));
    let home = CString::new(home.as_os_str().as_bytes()).map_err(|error| Cause::new(error.to_string()))?;
    // SAFETY: the step is the only user of libgit2 in this process, and this is its first use of it, so that no
    // other thread reads the options meanwhile. The arguments are what the options take: an int and a C string,
    // which libgit2 copies.
    let done = unsafe {
        git2::opts::set_server_connect_timeout_in_milliseconds(SILENCE_MS).map_err(refused)?;
        git2::opts::set_server_timeout_in_milliseconds(SILENCE_MS).map_err(refused)?;
        // A repository on this server belongs to somebody else. libgit2 runs no hooks and no commands from a
        // repository's configuration, which is what the check of its owner is for.
        git2::opts::set_verify_owner_validation(false).map_err(refused)?;
        // Without it a power cut leaves packs and references of 0 bytes.
        let fsync = libgit2_sys::git_libgit2_opts(libgit2_sys::GIT_OPT_ENABLE_FSYNC_GITDIR as _, 1);
        fsync.min(libgit2_sys::git_libgit2_opts(libgit2_sys::GIT_OPT_SET_HOMEDIR as _, home.as_ptr()))
    };
    if done < 0 { Err(Cause::new("libgit2 refuses an option")) } else { Ok(()) }
}

/// The SSH server and what is known about it; `None` for other kinds of addresses.
pub type Hosts = Option<(Address, Known)>;

/// Reads the host keys that are accepted, and leaves them where libgit2 looks for the kinds of keys to ask for:
/// a server that has several shows the one that is asked for.
pub fn trusted_hosts(source: &Source, home: &Path) -> Result<Hosts, Cause> {
    let Some(address) = ssh_address(&source.url) else { return Ok(None) };
    let text = std::fs::read_to_string(&source.known_hosts).map_err(|error| {
        Cause::new(format!("the host keys cannot be read: {}: {error}", source.known_hosts.display()))
            .hint(scan_hint(&address, source))
    })?;
    let known = Known::read(&text, &address.host, address.port);
    let folder = home.join(".ssh");
    std::fs::create_dir_all(&folder).map_err(on(&folder))?;
    let lines: String = known
        .accepted
        .iter()
        .map(|key| {
            let blob = base64::engine::general_purpose::STANDARD.encode(&key.blob);
            format!("[{}]:{} {} {blob}\n", address.host, address.port, key.kind)
        })
        .collect();
    let file = folder.join("known_hosts");
    std::fs::write(&file, lines).map_err(on(&file))?;
    Ok(Some((address, known)))
}

/// Where an SSH server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
}

/// The server of `ssh://user@host:port/path` or `user@host:path`.
fn ssh_address(url: &str) -> Option<Address> {
    let (authority, port) =
        if let Some(rest) = ["ssh://", "ssh+git://", "git+ssh://"].iter().find_map(|s| url.strip_prefix(s)) {
            let authority = rest.split('/').next().unwrap_or(rest);
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            match host.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?))) {
                Some((host, port)) => (host, port),
                None => (host, 22),
            }
        } else if url.contains("://") || url.starts_with('/') {
            return None;
        } else {
            let (authority, _) = url.split_once(':')?;
            (authority.rsplit_once('@').map_or(authority, |(_, host)| host), 22)
        };
    Some(Address { host: authority.trim_matches(['[', ']']).to_owned(), port })
}

/// Brings the mirror up to date.
pub fn update(mirror: &Repository, plan: &Plan, hosts: &Hosts) -> Result<(), Trouble> {
    let talk = Talk { plan, hosts, cause: RefCell::default(), asked: RefCell::default() };
    let mut remote = mirror.remote_anonymous(&plan.source.url).map_err(|error| talk.explain(&error))?;
    say(&format!("fetching from {}", shown(&plan.source.url)));
    // Apart from the download, so that whatever goes wrong here is not the mirror's fault.
    let mut connection = remote
        .connect_auth(Direction::Fetch, Some(talk.callbacks()), Some(proxy()))
        .map_err(|error| talk.explain(&error))?;
    let remote = connection.remote();
    let mut options = FetchOptions::new();
    options.remote_callbacks(talk.callbacks()).proxy_options(proxy()).download_tags(AutotagOption::None);
    remote.download(&REFSPECS, Some(&mut options)).map_err(|error| talk.judge(error))?;
    remote.update_tips(None, RemoteUpdateFlags::empty(), AutotagOption::None, None)?;
    remote.prune(None)?;
    Ok(())
}

/// Where the branch points to at the remote.
pub fn head(plan: &Plan, hosts: &Hosts) -> Result<Sha, Cause> {
    let talk = Talk { plan, hosts, cause: RefCell::default(), asked: RefCell::default() };
    let explain = |error: git2::Error| talk.explain(&error);
    let mut remote = Remote::create_detached(plan.source.url.as_str()).map_err(explain)?;
    let connection = remote.connect_auth(Direction::Fetch, Some(talk.callbacks()), Some(proxy())).map_err(explain)?;
    let branch = &plan.source.branch;
    let name = format!("refs/heads/{branch}");
    let tips = connection.list().map_err(explain)?;
    let tip = tips.iter().find(|tip| tip.name() == name).ok_or_else(|| {
        Cause::new(format!("there is no branch {branch} at {}", shown(&plan.source.url)))
            .hint("`source.branch` says which one is deployed")
    })?;
    tip.oid().to_string().parse().map_err(|_| Cause::new("only SHA-1 repositories are supported"))
}

fn proxy<'a>() -> ProxyOptions<'a> {
    let mut proxy = ProxyOptions::new();
    proxy.auto();
    proxy
}

/// One conversation with the server; libgit2 keeps only a poor error of what our side decided.
struct Talk<'a> {
    plan: &'a Plan,
    hosts: &'a Hosts,
    cause: RefCell<Option<Cause>>,
    asked: RefCell<bool>,
}

impl Talk<'_> {
    fn callbacks(&self) -> RemoteCallbacks<'_> {
        let mut callbacks = RemoteCallbacks::new();
        callbacks.credentials(|_, user, kinds| self.credentials(user, kinds));
        callbacks.certificate_check(|cert, _| self.certificate(cert));
        let mut advance = Advance::begin();
        callbacks.transfer_progress(move |progress| {
            advance.tell(|| far(&progress));
            self.in_time()
        });
        callbacks.sideband_progress(|_| self.in_time());
        callbacks
    }

    fn in_time(&self) -> bool {
        let in_time = Instant::now() < self.plan.deadline;
        if !in_time {
            self.cause.replace(Some(too_long(self.plan.source.timeout)));
        }
        in_time
    }

    fn refuse<T>(&self, cause: Cause) -> Result<T, git2::Error> {
        let error = git2::Error::new(ErrorCode::User, ErrorClass::Callback, &cause.what);
        self.cause.replace(Some(cause));
        Err(error)
    }

    fn credentials(&self, user: Option<&str>, kinds: CredentialType) -> Result<Cred, git2::Error> {
        let user = user.unwrap_or("git");
        if kinds.contains(CredentialType::USERNAME) {
            return Cred::username(user);
        }
        let url = shown(&self.plan.source.url);
        if !kinds.contains(CredentialType::SSH_KEY) {
            return self.refuse(
                Cause::new(format!("{url} asks for a user name and a password"))
                    .hint("the repository is private or does not exist; use an ssh:// address and a deploy key"),
            );
        }
        let Some(key) = &self.plan.key else {
            return self.refuse(
                Cause::new(format!("{url} asks for a key, and none is configured"))
                    .hint("make a deploy key and name it as `source.key`"),
            );
        };
        if let Err(error) = std::fs::File::open(key) {
            return self.refuse(Cause::new(format!("the deploy key cannot be read: {}: {error}", key.display())));
        }
        if self.asked.replace(true) {
            // libgit2 asks again and again until something else happens.
            return self.refuse(
                Cause::new(format!("{url} does not accept the deploy key {} for user {user}", self.key_name()))
                    .hint(format!("add the public part of {} to the repository's deploy keys", self.key_name())),
            );
        }
        Cred::ssh_key(user, None, key, None)
    }

    /// The key as its owner knows it, which is not the name of the credential.
    fn key_name(&self) -> String {
        let key = self.plan.source.key.as_ref().or(self.plan.key.as_ref());
        key.map_or_else(String::new, |key| key.display().to_string())
    }

    fn certificate(&self, cert: &Cert<'_>) -> Result<CertificateCheckStatus, git2::Error> {
        let Some(shown) = cert.as_hostkey() else { return Ok(CertificateCheckStatus::CertificatePassthrough) };
        let (Some((address, known)), Some(blob)) = (self.hosts, shown.hostkey()) else {
            return self.refuse(Cause::new("the server shows no host key"));
        };
        let (host, port) = (&address.host, address.port);
        let print = format!("{} SHA256:{}", kind(blob), STANDARD_NO_PAD.encode(Sha256::digest(blob)));
        let file = self.plan.source.known_hosts.display();
        let cause = match known.judge(blob) {
            Judgement::Good => {
                // Now the server may ask for our key, once in this connection.
                self.asked.replace(false);
                return Ok(CertificateCheckStatus::CertificateOk);
            }
            Judgement::Unknown => Cause::new(format!("the host key of {host}:{port} is not known: it shows {print}"))
                .hint(scan_hint(address, &self.plan.source)),
            Judgement::Changed => Cause::new(format!("{host}:{port} shows another host key than it should: {print}"))
                .hint(format!("somebody may be in between; if the server has a new key, put it into {file}")),
            Judgement::Revoked => Cause::new(format!("{host}:{port} shows a revoked host key: {print}"))
                .hint(format!("{file} says that this key must not be used any more")),
        };
        self.refuse(cause)
    }

    /// An error while data came in: the server's, or the mirror's.
    fn judge(&self, error: git2::Error) -> Trouble {
        let theirs = matches!(
            error.class(),
            ErrorClass::Net | ErrorClass::Ssh | ErrorClass::Http | ErrorClass::Ssl | ErrorClass::Callback
        );
        if theirs || self.cause.borrow().is_some() {
            Trouble::Final(self.explain(&error))
        } else {
            Trouble::Mirror(error)
        }
    }

    /// What an error of the server means.
    fn explain(&self, error: &git2::Error) -> Cause {
        if let Some(cause) = self.cause.take() {
            return cause;
        }
        let (url, said) = (shown(&self.plan.source.url), error.message().trim());
        let lower = said.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
        if has(&["resolve address"]) {
            Cause::new(format!("the server of {url} has no address: {said}"))
                .hint("check the host name and the DNS of this server")
        } else if has(&["connect", "timed out", "network is unreachable"]) {
            Cause::new(format!("the server of {url} cannot be reached: {said}"))
                .hint("check the address, and that this server may connect to it")
        } else if error.class() == ErrorClass::Ssl || error.code() == ErrorCode::Certificate {
            Cause::new(format!("the certificate of {url} is not valid: {said}"))
        } else if has(&["callback returned unsupported credentials", "authenticat", "publickey", "private key"]) {
            Cause::new(format!("{url} does not accept the deploy key {}: {said}", self.key_name()))
                .hint("add its public part to the repository's deploy keys; it must have no passphrase")
        } else if error.code() == ErrorCode::NotFound
            || has(&["not found", "404", "does not appear to be a git", "does not exist", "no such file", "eof"])
        {
            Cause::new(format!("there is no repository at {url}: {said}"))
                .hint("check `source.url`; a private repository looks the same to a key that may not read it")
        } else {
            Cause::new(format!("fetching from {url} failed: {said}"))
        }
    }
}

/// The kind of a host key, which stands at its beginning.
fn kind(blob: &[u8]) -> &str {
    let length = blob.first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes) as usize);
    blob.get(4..4 + length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or("key")
}

fn scan_hint(address: &Address, source: &Source) -> String {
    let Address { host, port } = address;
    format!(
        "get the key with `ssh-keyscan -p {port} {host}`, compare it with what the server's owner says, and put it into {}",
        source.known_hosts.display()
    )
}

fn far(progress: &Progress<'_>) -> String {
    let (done, all) = (progress.received_objects(), progress.total_objects());
    match (progress.indexed_deltas(), progress.total_deltas()) {
        (resolved, deltas) if done == all && deltas > 0 => format!("{resolved} of {deltas} differences resolved"),
        _ => format!("{done} of {all} objects, {}", size(progress.received_bytes() as u64)),
    }
}

/// The address without a password that somebody may have put into it.
fn shown(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let Some((user, host)) = authority.rsplit_once('@') else { return url.to_owned() };
            let user = user.split(':').next().unwrap_or(user);
            if scheme.starts_with("http") {
                format!("{scheme}://{host}{path}")
            } else {
                format!("{scheme}://{user}@{host}{path}")
            }
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_of_an_address() {
        let at = |host: &str, port| Some(Address { host: host.to_owned(), port });
        assert_eq!(ssh_address("ssh://git@example.org/a/b.git"), at("example.org", 22));
        assert_eq!(ssh_address("ssh://git@example.org:2222/a"), at("example.org", 2222));
        assert_eq!(ssh_address("ssh://[::1]:2222/a"), at("::1", 2222));
        assert_eq!(ssh_address("git@example.org:a/b.git"), at("example.org", 22));
        assert_eq!(ssh_address("https://example.org/a.git"), None);
        assert_eq!(ssh_address("file:///srv/git/a.git"), None);
        assert_eq!(ssh_address("/srv/git/a:b.git"), None);
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(shown("https://user:secret@example.org/a@b.git"), "https://example.org/a@b.git");
        assert_eq!(shown("ssh://git:secret@example.org/a.git"), "ssh://git@example.org/a.git");
        assert_eq!(shown("git@example.org:a.git"), "git@example.org:a.git");
    }
}

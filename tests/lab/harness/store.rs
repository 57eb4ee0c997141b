//! A store that speaks S3, outside of every machine, and the way to it, which is counted and can be held up.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use super::machine::Machine;
use super::wait::{seconds, until};

/// Where `scripts/lib/host.sh` puts it.
const PYTHON: &str = "/var/cache/tsh-agent-tests/store/venv/bin/python";
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/store");

/// A store with a bucket `backups`, and a user who may list, read and write there, and not delete.
pub struct Store {
    child: Child,
    /// As the machine reaches it.
    pub endpoint: String,
    /// What [offsite] calls credentials.
    pub credentials: String,
    way: Arc<Mutex<Way>>,
}

#[derive(Default)]
struct Way {
    /// Bytes that went to the store.
    carried: u64,
    /// After so many bytes, whatever would go on is held up.
    until: Option<u64>,
    held: bool,
}

impl Store {
    /// The store, as long as the machine has its address.
    pub fn start(machine: &Machine) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut child = Command::new(PYTHON)
            .args([PROGRAM, &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("scripts/test installs the store");
        let mut keys = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut keys).unwrap();
        let [access, secret, ..] = keys.split_whitespace().collect::<Vec<_>>()[..] else { panic!("no keys: {keys}") };
        let credentials = format!("access_key_id = \"{access}\"\nsecret_access_key = \"{secret}\"");
        // This computer's end of the machine's one wire.
        let theirs: Ipv4Addr = machine.lab("ip", &[]).ok().parse().unwrap();
        let gate = TcpListener::bind((Ipv4Addr::from_bits(theirs.to_bits() - 1), 0)).unwrap();
        let endpoint = format!("http://{}", gate.local_addr().unwrap());
        let way = Arc::<Mutex<Way>>::default();
        let ways = Arc::clone(&way);
        thread::spawn(move || {
            for client in gate.incoming().map_while(Result::ok) {
                let (way, store) = (Arc::clone(&ways), TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap());
                let (from, to) = (store.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || pass(from, to, &Arc::default()));
                thread::spawn(move || pass(client, store, &way));
            }
        });
        Self { child, endpoint, credentials, way }
    }

    /// Bytes that went to the store so far.
    pub fn carried(&self) -> u64 {
        self.way.lock().unwrap().carried
    }

    /// Lets only so many more bytes pass.
    pub fn hold_after(&self, bytes: u64) {
        let mut way = self.way.lock().unwrap();
        way.until = Some(way.carried + bytes);
    }

    /// Waits until something is held up.
    pub fn is_held(&self) {
        until("something is held up", seconds(60), || self.way.lock().unwrap().held.then_some(()));
    }

    /// Lets everything pass; what was held up is lost.
    pub fn release(&self) {
        let mut way = self.way.lock().unwrap();
        (way.until, way.held) = (None, false);
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Carries bytes from one to the other, until either is gone.
fn pass(mut from: TcpStream, mut to: TcpStream, way: &Mutex<Way>) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(some @ 1..) = from.read(&mut bytes) {
        let mut was_held = false;
        loop {
            let mut way = way.lock().unwrap();
            if way.until.is_none_or(|until| way.carried < until) {
                way.carried += some as u64;
                break;
            }
            (way.held, was_held) = (true, true);
            drop(way);
            thread::sleep(std::time::Duration::from_millis(20));
        }
        if was_held || to.write_all(&bytes[..some]).is_err() {
            break;
        }
    }
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
}

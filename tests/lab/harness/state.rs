//! The state every scenario starts from: the agent installed as an operator would, the first release live.
//! It is made once for what is being tested, and kept as a saved state of `scripts/lab`.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::agent::SETTINGS;
use super::machine::{Machine, lock};
use super::verify::{Baseline, Release};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The program, as built here or, where that would not start in the lab, as `scripts/test` says.
pub fn program() -> PathBuf {
    std::env::var_os("TSH_LAB_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_tsh-agent").into(), PathBuf::from)
}

/// What goes into the machine, and so into the name of the state.
const PARTS: [&str; 6] = ["units", "packaging", "scripts/install", "scripts/lab", "tests/lab", "config/tsh-erp.toml"];

/// Packages from the wheelhouse: the machine has no internet.
pub const PACKAGES: &str = r#"{ PIP_NO_INDEX = "1", PIP_FIND_LINKS = "/opt/wheelhouse", UV_OFFLINE = "1", UV_FIND_LINKS = "/opt/wheelhouse", UV_CONFIG_FILE = "/etc/uv.toml" }"#;
/// With short times.
const TEST_SETTINGS: [(&str, &str); 4] =
    [("bake", "\"2s\""), ("deadline", "\"15s\""), ("environment", PACKAGES), ("commands", "[[\"bin/build\"]]")];

/// A server on which the first release is live, lent to one test.
pub struct Server {
    machine: Machine,
    pub base: Baseline,
}

impl Deref for Server {
    type Target = Machine;
    fn deref(&self) -> &Machine {
        &self.machine
    }
}

impl Server {
    /// A server of one's own, as good as new.
    pub fn ready() -> Self {
        let machine = Machine::lend();
        let state = saved_state();
        let mut said = machine.lab("reset", &["--to", &state.name]);
        if said.code != 0 && said.err.contains("no saved state") {
            // Somebody emptied the place where machines live.
            std::fs::remove_file(&state.stamp).ok();
            said = machine.lab("reset", &["--to", &saved_state().name]);
        }
        said.ok();
        let base = Baseline::of(&machine);
        Self { machine, base }
    }

    /// The release that was live from the start.
    pub fn old(&self) -> &Release {
        &self.base.release
    }
}

struct State {
    name: String,
    stamp: PathBuf,
}

/// Makes the state, unless that was done.
fn saved_state() -> State {
    let checkout = digits(Sha256::new_with_prefix(ROOT), 4);
    let stamp = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("lab-state-{checkout}"));
    let state = State { name: format!("t-{checkout}-{}", key()), stamp };
    let _lock = lock(&state.stamp.with_extension("lock"));
    let before = std::fs::read_to_string(&state.stamp).unwrap_or_default();
    if before != state.name {
        let machine = Machine::named(&format!("t-{checkout}"));
        if !before.is_empty() {
            machine.lab("forget", &[&before]);
        }
        make(&machine, &state.name);
        std::fs::write(&state.stamp, &state.name).unwrap();
    }
    state
}

/// A hash of everything the state is made of.
fn key() -> String {
    let mut hash = Sha256::new();
    hash.update(std::fs::read(program()).unwrap());
    for part in PARTS {
        add(&mut hash, &Path::new(ROOT).join(part));
    }
    // How it is made counts as well.
    hash.update(include_bytes!("state.rs"));
    digits(hash, 6)
}

fn digits(hash: Sha256, bytes: usize) -> String {
    hash.finalize().iter().take(bytes).map(|byte| format!("{byte:02x}")).collect()
}

fn add(hash: &mut Sha256, path: &Path) {
    if path.is_dir() {
        let mut inside: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        inside.sort();
        inside.iter().for_each(|path| add(hash, path));
    } else if path.extension().is_none_or(|extension| extension != "rs") {
        hash.update(path.to_str().unwrap());
        hash.update(std::fs::read(path).unwrap());
    }
}

/// The users, the units, the database, the repository, and the agent, with nothing configured.
pub fn install(machine: &Machine) {
    for part in PARTS {
        machine.put(&Path::new(ROOT).join(part), &format!("/opt/tsh-agent/{part}"));
    }
    machine.put(&program(), "/opt/tsh-agent/tsh-agent");
    machine.ok("ln -s tsh-agent/tests/lab /opt/tests-lab && /opt/tests-lab/provision");
    machine.ok("/opt/tsh-agent/scripts/install --binary /opt/tsh-agent/tsh-agent");
    machine.ok("echo 'no-index = true' > /etc/uv.toml");
}

/// Does what an operator does, from an empty server to the first release.
fn make(machine: &Machine, state: &str) {
    machine.lab("reset", &[]).ok();
    install(machine);
    machine.ok(&format!("cp /opt/tsh-agent/config/tsh-erp.toml {SETTINGS}"));
    for (key, value) in TEST_SETTINGS {
        machine.set(key, value);
    }
    machine.ok("tsh-agent init tsh-erp");
    operator(machine);
    machine.agent("deploy").ok();
    machine.lab("save", &[state]).ok();
    machine.lab("down", &[]).ok();
}

/// Olga may operate deployments, and comes over ssh.
fn operator(machine: &Machine) {
    machine.ok("usermod -aG tsh-ops olga
        ssh-keygen -q -t ed25519 -N '' -f /root/olga
        install -d -m 0700 -o olga -g olga /home/olga/.ssh
        install -m 0600 -o olga -g olga /root/olga.pub /home/olga/.ssh/authorized_keys");
}

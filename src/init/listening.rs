//! Who listens on which port.

use super::machine::{Failure, run};

/// Who listens: the program's name, its process, its unit.
#[derive(Debug, PartialEq, Eq)]
pub struct Listener {
    /// The port.
    pub port: u16,
    /// The program's name.
    pub program: String,
    /// Its process.
    pub pid: u32,
    /// The unit that it belongs to.
    pub unit: Option<String>,
}

/// Everybody who listens on this port, or on any; whether somebody does is told to all, who it is only to root.
///
/// # Errors
/// `ss` is not there.
pub fn listeners(port: Option<u16>) -> Result<(Vec<Listener>, bool), Failure> {
    let filter = port.map(|port| format!("sport = :{port}"));
    let mut argv = vec!["ss", "-Hltnp"];
    argv.extend(filter.as_deref());
    let said = run(&argv, "")?;
    Ok((read(&said, unit_of), !said.trim().is_empty()))
}

/// From `LISTEN 0 2048 127.0.0.1:8000 0.0.0.0:* users:(("python",pid=1028,fd=6),…)`.
fn read(said: &str, unit_of: impl Fn(u32) -> Option<String>) -> Vec<Listener> {
    let mut found = Vec::new();
    for line in said.lines() {
        let Some(port) = line.split_whitespace().nth(3).and_then(|at| at.rsplit_once(':')?.1.parse().ok()) else {
            continue;
        };
        let Some((_, users)) = line.split_once("((") else { continue };
        for entry in users.split("),(") {
            let program = entry.split('"').nth(1);
            let pid = entry.split("pid=").nth(1).and_then(|rest| rest.split(',').next()?.parse().ok());
            if let (Some(program), Some(pid)) = (program, pid) {
                found.push(Listener { port, program: program.to_owned(), pid, unit: unit_of(pid) });
            }
        }
    }
    found
}

/// The unit in whose cgroup a process is.
fn unit_of(pid: u32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let ends = |part: &&str| part.ends_with(".service") || part.ends_with(".socket");
    text.lines().find_map(|line| line.rsplit('/').find(ends)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_process_of_a_line_listens() {
        let said = "LISTEN 0 2048 127.0.0.1:8000 0.0.0.0:* users:((\"python\",pid=1028,fd=6),(\"python\",pid=1030,fd=6))\n\
                    LISTEN 0 5 [::1]:22 [::]:* users:((\"sshd\",pid=7,fd=3))\nLISTEN 0 5 *:80 *:*\n";
        let found = read(said, |pid| (pid == 7).then(|| "ssh.service".to_owned()));
        let told: Vec<_> = found.iter().map(|one| (one.port, one.pid, one.unit.as_deref())).collect();
        assert_eq!(told, [(8000, 1028, None), (8000, 1030, None), (22, 7, Some("ssh.service"))]);
    }
}

//! Harm at one exact moment of a deployment.

use std::process::{Command, Stdio};

use super::machine::Said;
use super::state::Server;

/// What the striker says when the step was over before it could do anything.
const MISSED: i32 = 3;

/// Does `harm` during `step` of what `order` begins; the number of the deployment, or `None` if the step was over too
/// soon (or never came).
pub fn strike(server: &Server, order: &str, step: &str, harm: &str) -> Option<u32> {
    let child = urgent(server.command("exec", &["--", "/opt/tests-lab/strike", step, harm]))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    server.agent(order).ok();
    let said = Said::of(&child.wait_with_output().unwrap());
    (said.code != MISSED).then(|| said.ok().parse().unwrap())
}

/// Some steps take a few tenths of a millisecond: who looks must not wait for a compiler to give up the processor. This
/// has to be said outside of the machine; where it is not allowed it runs like everybody.
fn urgent(command: Command) -> Command {
    let prefix = ["chrt", "--fifo", "10"];
    if !Command::new(prefix[0])
        .args(&prefix[1..])
        .arg("true")
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|it| it.success())
    {
        return command;
    }
    let mut urgent = Command::new(prefix[0]);
    urgent.args(&prefix[1..]).arg(command.get_program()).args(command.get_args());
    urgent
}

/// Sets the scene and strikes. A strike that came too late has shown nothing: all of it is done again, on a new machine.
///
/// # Panics
/// If it came too late three times.
pub fn struck<T>(set: impl Fn() -> (T, Option<u32>)) -> (T, u32) {
    for _ in 0..3 {
        let (scene, id) = set();
        if let Some(id) = id {
            return (scene, id);
        }
        eprintln!("the step was over before the strike, or never came");
    }
    panic!("three strikes missed");
}

//! The command line itself: what it accepts, and what it says about itself.

use clap::{CommandFactory, Parser};
use insta::assert_snapshot;

use super::render::fixtures::look;
use super::{Cli, Failure};
use crate::api::client::Error;
use crate::api::{Kind, Refusal};
use crate::model::outcome::Exit;

fn help(verb: &str) -> String {
    let mut cli = Cli::command().term_width(80);
    cli.build();
    let command = if verb.is_empty() { &mut cli } else { cli.find_subcommand_mut(verb).unwrap() };
    command.render_long_help().to_string()
}

#[test]
fn the_arguments_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn the_help() {
    assert_snapshot!(help(""), @"
    Makes a new revision live on this server, and never leaves the server worse than
    it found it

    Usage: tsh-agent <COMMAND>

    Commands:
      plan         Show what a deployment would do. Changes nothing
      diff         Show how two deployments, releases or revisions differ
      deploy       Deploy a revision, and watch until it is live and verified
      rollback     Go back to a release that was live before, and watch until it is
                   verified
      status       Show what is live now, and whether it is well
      history      List the last deployments, newest first
      show         Show everything about one deployment
      logs         Show the journal of one deployment: the agent, its steps, and the
                   application as it started it
      watch        Watch a deployment until it ends; the exit code is its result
      abort        Stop a running deployment, and undo what it did
      where        Can I deploy now? Shows what every gate answers, and who can lift
                   it
      lock         Lock the application: nothing is deployed until `unlock`
      unlock       Take the lock away
      freeze       Freeze the application: nothing is deployed until a moment
      unfreeze     End the freeze before its time
      maintenance  Keep people out, or let them in again
      resume       Let triggers deploy again, which a rollback has paused
      forgive      Let triggers try a revision again that failed here
      approve      Approve a deployment that waits for it
      reject       Reject a deployment that waits for approval; it ends as refused
      pin          Keep a release on this server until `unpin`
      unpin        Let a pinned release go when its time comes
      audit        Show who did what; `audit verify` tells whether somebody has
                   changed it
      backup       Take, prove, list, restore and prune backups of the database
      metrics      Print numbers for a monitoring system, in OpenMetrics
      check        Look at everything that a deployment needs, and name what mends
                   it. Changes nothing
      config       Show the settings in force, or explain one. Needs no agent
      init         Prepare this server for an application, as root
      adopt        Take over an application that runs from a checkout, as root,
                   while it runs
      push-hint    Say that something may have been pushed, for hooks/post-receive
                   of a repository on this server
      webhook      Show what to enter at the forge, or make a new secret. Root's
      key          Keys with which programs, such as a CI job, ask for deployments
                   and how they ended
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help
              Print help

      -V, --version
              Print version

    Exit codes:
      0  deployed and verified, or nothing to do
      1  failed before production was touched
      2  wrong usage or configuration
      3  failed, rolled back and verified
      4  needs an operator
      5  another deployment is running
      6  refused
      8  the result is not known (yet): detached, or the agent went away
      9  aborted and rolled back
    ");
}

#[test]
fn the_help_of_deploy() {
    assert_snapshot!(help("deploy"), @"
    Deploy a revision, and watch until it is live and verified.

    Whatever fails is undone. The deployment goes on if this terminal goes away or
    is left with Ctrl-C: `watch` comes back to it, `abort` stops it.

    Usage: tsh-agent deploy [OPTIONS] [REVISION]

    Arguments:
      [REVISION]
              Branch, tag or commit; the configured branch if none is named

    Options:
          --app <APP>
              The application; needed only where there are several

          --force
              Deploy it again even if it is live already

          --override <GATE>
              Pass this gate whatever it answers; with a --reason each, which is put
              on record

          --reason <TEXT>
              Why the gate is passed

          --detach
              Do not watch. Exit code 0 then only means that the deployment was
              accepted

      -v, --verbose
              Show what the steps say

      -h, --help
              Print help (see a summary with '-h')
    ");
}

#[test]
fn every_verb_is_explained() {
    for verb in Cli::command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
        assert!(verb.get_about().is_some(), "{}", verb.get_name());
        let bare = verb.get_arguments().find(|arg| arg.get_help().is_none());
        assert!(bare.is_none(), "{} {bare:?}", verb.get_name());
    }
}

#[test]
fn a_bad_name_is_refused_with_its_rule() {
    let error = Cli::try_parse_from(["tsh-agent", "deploy", "--app", "Erp", "main"]).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("lower-case letters"), "{error}");
    assert!(Cli::try_parse_from(["tsh-agent", "deploy", "a..b"]).is_err());
    assert!(Cli::try_parse_from(["tsh-agent", "rollback", "--to", "x"]).is_err());
}

#[test]
fn every_refusal_has_its_exit_code() {
    let codes = Kind::ALL.map(|kind| Failure::from(Error::Refused(Refusal::new(kind, "no"))).exit as u8);
    assert_eq!(codes, [2, 2, 6, 5, 2, 1, 4, 4]);
}

#[test]
fn failures_say_what_to_do() {
    let refusal =
        Refusal::new(Kind::Busy, "deployment 41 of tsh-erp is running").hint("`tsh-agent watch 41` follows it");
    let lost = Failure::from(Error::Lost);
    assert_eq!(lost.exit, Exit::Unknown);
    let all = [Error::Refused(refusal), Error::NotRunning, Error::Lost].map(|error| Failure::from(error).text(&look()));
    assert_snapshot!(all.concat(), @"
    error: deployment 41 of tsh-erp is running
      hint:       `tsh-agent watch 41` follows it
    error: the agent is not running
      now:        nothing was asked; the application does not need the agent to run
      hint:       `systemctl status tsh-agent` says why
    error: the agent went away before it answered
      now:        what was asked may have been done
      hint:       `systemctl status tsh-agent`, then `tsh-agent history`
    ");
    let denied = Failure::from(Error::Denied).hint.unwrap();
    assert!(denied.contains("sudo usermod -aG tsh-ops ") || denied.contains("log out and in"), "{denied}");
}

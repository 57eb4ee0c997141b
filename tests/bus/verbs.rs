//! The program, run as an operator runs it.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tsh_agent::api::{self, Kind};

use crate::support::{Bus, Said, Script, until, view};

const FETCHED: (&str, &str) = ("fetch", "done");

#[tokio::test]
async fn deploy_shows_every_step_once_and_the_end() {
    let bus = Bus::start();
    let core = Script::of([
        view(None, &[FETCHED, ("build", "running")]),
        view(None, &[FETCHED, ("build", "done"), ("seal", "running")]),
        view(Some("deployed"), &[FETCHED, ("build", "done"), ("seal", "done")]),
    ]);
    let connection = bus.serve(&core).await;
    let run = tokio::spawn(bus.command(&["deploy", "main", "--force"]).output());
    // Woken by the signal, it looks three times long before it would by itself.
    let signals = async {
        loop {
            api::changed(
                &connection,
                &"tsh-erp".parse().unwrap(),
                tsh_agent::model::names::DeploymentId(42),
                "running",
            )
            .await
            .unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let said = tokio::select! {
        said = run => Said::of(said.unwrap().unwrap()),
        () = signals => unreachable!(),
    };
    assert_eq!(said.code, 0, "{said:?}");
    let words: Vec<_> = said.out.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(words, ["42", "fetch", "build", "seal", "tsh-erp"], "{}", said.out);
    assert!(said.out.ends_with("deployed tsh-erp 3f3f3f3f as release 42 in 12 s\n"), "{}", said.out);
    assert_eq!((said.out.contains('\u{1b}'), said.err.as_str()), (false, ""));
    assert_eq!(core.asked(), ["me: deploy tsh-erp main true"]);
}

#[tokio::test]
async fn the_exit_code_is_the_verdict() {
    let codes = [
        ("deployed", 0),
        ("failed", 1),
        ("rolled-back", 3),
        ("needs-operator", 4),
        ("refused", 6),
        ("superseded", 9),
        ("aborted", 9),
    ];
    for (verdict, code) in codes {
        let bus = Bus::start();
        let _core = bus.serve(&Script::of([view(Some(verdict), &[FETCHED])])).await;
        let said = bus.run(&["watch", "42"]).await;
        assert_eq!(said.code, code, "{said:?}");
        assert_eq!(said.err.starts_with("error: tsh-erp "), code != 0, "{said:?}");
    }
}

#[tokio::test]
async fn a_refusal_keeps_its_sentence_its_hint_and_its_code() {
    let bus = Bus::start();
    let _core = bus.serve(&Script::of([])).await;
    for kind in Kind::ALL {
        let said = bus.run(&["deploy", &format!("refuse/{kind:?}")]).await;
        assert_eq!(said.code, kind.exit() as i32, "{said:?}");
        assert_eq!(said.err, format!("error: {kind:?} it is\n  hint:       look elsewhere\n"));
        assert_eq!(said.out, "");
    }
    let said = bus.run(&["show", "7"]).await;
    assert_eq!((said.code, said.err.lines().next()), (2, Some("error: there is no deployment 7")));
    let said = bus.run(&["status", "--app", "tsh-epr"]).await;
    assert!(said.code == 2 && said.err.contains("did you mean tsh-erp?"), "{said:?}");
}

#[tokio::test]
async fn without_an_agent_and_without_permission_it_says_what_to_do() {
    let bus = Bus::start();
    let said = bus.run(&["status"]).await;
    assert!(said.code == 1 && said.err.contains("`systemctl status tsh-agent`"), "{said:?}");

    let bus = Bus::with_rule("<deny send_destination='sale.tsh.Agent1'/>");
    let _core = bus.serve(&Script::of([])).await;
    let said = bus.run(&["status"]).await;
    assert!(said.code == 6 && said.err.contains("tsh-ops"), "{said:?}");

    let mut command = bus.command(&["status"]);
    command.env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus");
    let said = Said::of(command.output().await.unwrap());
    assert!(said.code == 1 && said.err.starts_with("error: the system bus cannot be reached"), "{said:?}");
}

#[tokio::test]
async fn an_agent_that_comes_back_is_watched_on() {
    let bus = Bus::start();
    let core = Script::of([view(None, &[FETCHED, ("build", "running")])]);
    let connection = bus.serve(&core).await;
    let run = tokio::spawn(bus.command(&["deploy"]).output());
    until(|| !core.asked().is_empty()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    connection.close().await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    let _core = bus.serve(&Script::of([view(Some("deployed"), &[FETCHED, ("build", "done")])])).await;
    let said = Said::of(run.await.unwrap().unwrap());
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("the agent is away"), "{said:?}");
    assert_eq!(said.out.matches("fetch").count(), 1, "{said:?}");
    assert_eq!(core.asked().len(), 1, "it must not ask twice");
}

#[tokio::test]
async fn ctrl_c_detaches_and_nothing_is_aborted() {
    for signal in [Signal::SIGINT, Signal::SIGHUP, Signal::SIGTERM] {
        let bus = Bus::start();
        let core = Script::of([view(None, &[FETCHED, ("build", "running")])]);
        let _connection = bus.serve(&core).await;
        let child = bus.command(&["deploy"]).spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
        until(|| !core.asked().is_empty()).await;
        kill(pid, signal).unwrap();
        let said = Said::of(child.wait_with_output().await.unwrap());
        assert_eq!(said.code, 8, "{said:?}");
        assert!(said.err.contains("`tsh-agent watch 42` to come back, `tsh-agent abort 42` to stop it"), "{said:?}");
        assert_eq!(core.asked(), ["me: deploy tsh-erp - false"]);
    }
}

#[tokio::test]
async fn a_reader_that_goes_away_does_not_change_the_result() {
    let bus = Bus::start();
    let _core = bus.serve(&Script::of([view(Some("rolled-back"), &[FETCHED])])).await;
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = bus.command(&["deploy"]);
    command.stdout(writer.try_clone().unwrap()).stderr(writer);
    assert_eq!(command.status().await.unwrap().code(), Some(3));
}

#[tokio::test]
async fn verbose_shows_what_the_steps_say() {
    let bus = Bus::start();
    let mut core = Script::of([
        view(None, &[FETCHED, ("build", "running")]),
        view(Some("deployed"), &[FETCHED, ("build", "done"), ("seal", "done")]),
    ]);
    std::sync::Arc::get_mut(&mut core).unwrap().output =
        "Resolved 46 packages\n\u{1b}[2Jno newline, then the report\n\u{1e}{\"report\":1}\n";
    let _connection = bus.serve(&core).await;
    let said = bus.run(&["watch", "-v"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let lines: Vec<_> = said.out.lines().map(str::trim).filter(|line| line.starts_with('|')).collect();
    assert_eq!(lines, ["| Resolved 46 packages", "| no newline, then the report"], "{}", said.out);
    let at = |text: &str| said.out.find(text).unwrap();
    assert!(at("fetch") < at("Resolved") && at("then the report") < at("build"), "{}", said.out);
}

#[tokio::test]
async fn the_other_verbs_ask_for_what_they_show() {
    let bus = Bus::start();
    let mut core = Script::of([view(Some("deployed"), &[FETCHED])]);
    std::sync::Arc::get_mut(&mut core).unwrap().apps = vec!["tsh-erp", "shop"];
    let _connection = bus.serve(&core).await;

    let said = bus.run(&["status"]).await;
    assert!(said.code == 2 && said.err.contains("which application?"), "{said:?}");
    let said = bus.run(&["rollback", "--app", "shop", "--to", "40", "--detach"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.starts_with("shop: back to release 40 (91919191), nothing runs now\n"), "{}", said.out);
    assert!(said.out.ends_with("accepted as deployment 42; `tsh-agent watch 42` follows it\n"), "{}", said.out);
    assert_eq!(bus.run(&["rollback", "--app", "shop"]).await.code, 0);
    assert_eq!(bus.run(&["abort", "42"]).await.code, 0);
    assert_eq!(bus.run(&["history", "--app", "shop", "-n", "3"]).await.code, 0);
    assert_eq!(
        core.asked(),
        [
            "me: rollback shop Some(DeploymentId(40))",
            "me: rollback shop Some(DeploymentId(41))",
            "me: abort 42",
            "history Some(App(\"shop\")) 3"
        ]
    );

    let said = bus.run(&["status", "--app", "tsh-erp"]).await;
    assert!(said.code == 0 && said.out.contains("schema:     ab\n"), "{said:?}");
    for args in [&["status", "--app", "tsh-erp", "--json"][..], &["history", "--json"], &["show", "42", "--json"]] {
        let said = bus.run(args).await;
        assert!(serde_json::from_str::<serde_json::Value>(&said.out).is_ok(), "{said:?}");
    }
}

#[tokio::test]
async fn a_rollback_is_shown_without_doing_it() {
    for (output, code) in [("", 0), ("refused", 1)] {
        let bus = Bus::start();
        let mut core = Script::of([]);
        std::sync::Arc::get_mut(&mut core).unwrap().output = output;
        let _connection = bus.serve(&core).await;
        let said = bus.run(&["rollback", "--dry-run"]).await;
        assert_eq!(said.code, code, "{said:?}");
        assert!(said.out.contains("untouched (case 0)\n  because:"), "{said:?}");
        assert_eq!(
            said.err.contains("error: the schema is ahead\n  now:        nothing was done"),
            code == 1,
            "{said:?}"
        );
        let said = bus.run(&["rollback", "--dry-run", "--json"]).await;
        let view: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        assert_eq!((said.code, view["case"].as_u64()), (0, Some(0)));
        assert_eq!(core.asked(), [""; 0], "nothing was done");
    }
    let bus = Bus::start();
    assert_eq!(bus.run(&["rollback", "--json"]).await.code, 2, "what is done has no JSON");
}

#[tokio::test]
async fn a_plan_is_asked_for_and_shown_and_says_nothing_to_a_terminal_that_it_should_not() {
    let bus = Bus::start();
    let core = Script::of([]);
    let _core = bus.serve(&core).await;
    let said = bus.run(&["plan"]).await;
    assert!(
        said.code == 0 && said.out.starts_with("tsh-erp: main is 3f3f3f3f; release 41 (91919191) runs\n"),
        "{said:?}"
    );
    assert!(!said.out.contains('\u{1b}'), "{said:?}");
    let said = bus.run(&["plan", "v2", "--json"]).await;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&said.out).unwrap()["lane"], "code");
    assert_eq!(core.asked(), ["plan tsh-erp None", "plan tsh-erp Some(Wanted(\"v2\"))"]);
    assert_eq!(bus.run(&["plan", "a..b"]).await.code, 2);
}

#[tokio::test]
async fn a_difference_is_shown_and_a_pin_is_asked_for() {
    let bus = Bus::start();
    let core = Script::of([]);
    let _core = bus.serve(&core).await;
    let said = bus.run(&["diff", "v1", "main"]).await;
    assert!(said.code == 0 && said.out.starts_with("tsh-erp: from v1 (91919191) to main (3f3f3f3f)\n"), "{said:?}");
    let said = bus.run(&["diff", "41", "42", "--json"]).await;
    assert_eq!(serde_json::from_str::<serde_json::Value>(&said.out).unwrap()["compared"]["new"]["count"], 1);
    let said = bus.run(&["pin", "41", "--reason", "before the stocktaking"]).await;
    assert_eq!(said.out, "release 41 of tsh-erp is kept until `tsh-agent unpin 41`\n");
    assert_eq!(bus.run(&["pin", "40"]).await.code, 0);
    assert_eq!(bus.run(&["unpin", "41"]).await.out, "release 41 of tsh-erp is not pinned any more\n");
    assert_eq!(bus.run(&["pin", "../41"]).await.code, 2);
    let asked = [
        "diff tsh-erp v1 main",
        "diff tsh-erp 41 42",
        "me: pin tsh-erp 41 before the stocktaking",
        "me: pin tsh-erp 40 ",
        "me: unpin tsh-erp 41",
    ];
    assert_eq!(core.asked(), asked);
}

#[tokio::test]
async fn logs_becomes_journalctl() {
    let bus = Bus::start();
    let _core = bus.serve(&Script::of([view(Some("deployed"), &[FETCHED])])).await;
    let folder = tempfile::tempdir().unwrap();
    let journalctl = folder.path().join("journalctl");
    std::fs::write(&journalctl, "#!/bin/sh\necho \"$@\"; exit 7\n").unwrap();
    std::fs::set_permissions(&journalctl, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = bus.command(&["logs", "42"]);
    command.env("PATH", folder.path()).stdin(Stdio::null());
    let said = Said::of(command.output().await.unwrap());
    let asked = "--since=@1795266160 --until=@1795266175 TSH_DEPLOYMENT=42 \
                 + _PID=1 UNIT=tsh-agent-fetch@tsh-erp.service\n";
    assert_eq!((said.code, said.out.as_str()), (7, asked));
}

#[tokio::test]
async fn on_a_terminal_the_running_step_is_one_live_line() {
    let bus = Bus::start();
    let _core = bus
        .serve(&Script::of([
            view(None, &[FETCHED, ("build", "running")]),
            view(None, &[FETCHED, ("build", "running")]),
            view(Some("deployed"), &[FETCHED, ("build", "done")]),
        ]))
        .await;
    let pty = nix::pty::openpty(None, None).unwrap();
    let mut command = bus.command(&["watch", "42"]);
    command.env("TERM", "xterm").env_remove("NO_COLOR").stdout(pty.slave.try_clone().unwrap());
    // The terminal ends when the last process that has it ends.
    let mut child = command.spawn().unwrap();
    drop((command, pty.slave));
    let said = tokio::task::spawn_blocking(move || {
        let (mut terminal, mut said) = (std::fs::File::from(pty.master), Vec::new());
        // At its end a terminal answers EIO.
        let _ = std::io::Read::read_to_end(&mut terminal, &mut said);
        String::from_utf8(said).unwrap()
    });
    assert!(child.wait().await.unwrap().success());
    let said = said.await.unwrap();
    assert!(said.contains("\u{1b}[32m✓\u{1b}[0m fetch"), "{said:?}");
    // Drawn, drawn again, and replaced by the finished line.
    assert_eq!(said.matches("\r\u{1b}[K").count(), 2, "{said:?}");
    assert!(said.contains("\r\u{1b}[K  \u{1b}[32m✓\u{1b}[0m build"), "{said:?}");
    assert!(said.ends_with("as release 42 in 12 s\u{1b}[0m\r\n"), "{said:?}");
}

#[tokio::test]
async fn a_restore_is_confirmed_by_the_name_of_the_database_and_nothing_else() {
    let bus = Bus::start();
    let core = Script::of([view(Some("deployed"), &[("load", "done"), ("swap", "done")])]);
    let _served = bus.serve(&core).await;
    let name = "20261121T031500Z";
    let restore = async |more: &[&str]| bus.run(&[&["backup", "restore", name], more].concat()).await;
    for (more, code, said) in [
        (&[][..], 2, "there is no terminal to confirm at"),
        (&["--yes-restore", "yes"], 2, "the database is tsh_erp, and not \"yes\""),
        (&["--yes"], 2, "unexpected argument"),
    ] {
        let refused = restore(more).await;
        assert_eq!(refused.code, code, "{refused:?}");
        assert!(refused.err.contains(said), "{refused:?}");
    }
    let shown = restore(&["--dry-run"]).await;
    assert_eq!(shown.code, 0);
    assert!(shown.out.contains("3 rows leave the live database, 1 row come back"), "{shown:?}");
    assert!(restore(&["--dry-run", "--json"]).await.out.contains("\"live_schema\""));
    assert_eq!(core.asked(), Vec::<String>::new(), "something was done that nobody has confirmed");
    let done = restore(&["--yes-restore", "tsh_erp", "--release", "41"]).await;
    assert_eq!(done.code, 0, "{done:?}");
    let asked = core.asked();
    assert!(asked[0].ends_with(&format!("restore tsh-erp {name} tsh_erp Some(ReleaseId(41))")), "{asked:?}");
}

#[tokio::test]
async fn a_backup_is_shown_part_by_part_and_its_end_is_the_exit_code() {
    for (why, code) in [("", 0), ("it was restored, but table public.item is missing", 1)] {
        let bus = Bus::start();
        let mut core = Script::of([]);
        std::sync::Arc::get_mut(&mut core).unwrap().output = why;
        let _connection = bus.serve(&core).await;
        let said = bus.run(&["backup", "now"]).await;
        assert_eq!(said.code, code, "{said:?}");
        let words: Vec<_> = said.out.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
        let end: &[&str] = if code == 0 { &["backup", "prove", "20261121T031500Z"] } else { &["backup", "prove"] };
        assert_eq!(words, end, "{}", said.out);
        assert_eq!(code == 1, said.err.starts_with("error: 20261121T031500Z: it was restored, but"), "{said:?}");
        assert_eq!(core.asked(), ["me: Backup tsh-erp None"]);
    }
    let bus = Bus::start();
    let core = Script::of([]);
    let _connection = bus.serve(&core).await;
    let verify = ["backup", "verify", "20261121T031500Z", "--detach"];
    assert_eq!(bus.run(&verify).await.code, 0);
    assert_eq!(core.asked(), ["me: Verify tsh-erp Some(BackupName(\"20261121T031500Z\"))"]);
    assert_eq!(bus.run(&["backup", "verify", "../x"]).await.code, 2);
}

//! One request of a monitoring system, as systemd hands it over: the real program, the connection as its standard input.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Bus, Script};

/// What comes back, and whether the program ended well. The core answers in this thread, so another one waits.
async fn ask(address: &str, request: &'static [u8]) -> (String, bool) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_tsh-agent"))
        .args(["metrics", "answer"])
        .env("DBUS_SYSTEM_BUS_ADDRESS", address)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let talk = move || {
        let mut ours = ours;
        ours.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        // It may have answered and gone before everything was sent.
        let _ = ours.write_all(request);
        let mut answer = Vec::new();
        let _ = ours.read_to_end(&mut answer);
        (String::from_utf8_lossy(&answer).into_owned(), process.wait().unwrap().success())
    };
    tokio::task::spawn_blocking(talk).await.unwrap()
}

#[tokio::test]
async fn numbers_are_told_to_who_asks_for_them() {
    let bus = Bus::start();
    let core = Script::of([]);
    let _served = bus.serve(&core).await;
    let (answer, well) = ask(&bus.address, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(well && answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("\r\ncontent-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"));
    assert!(answer.contains("tsh_agent_build_info{version=\"0.1.0\"} 1\n") && answer.ends_with("# EOF\n"), "{answer}");
}

#[tokio::test]
async fn what_is_no_request_for_them_gets_a_short_no() {
    // There is no core, and none of these would ask it.
    let bus = Bus::start();
    for (request, status) in [
        (&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], "404"),
        (b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\nxxxx", "405"),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody", "400"),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "400"),
        (b"\x16\x03\x01\x02 what is this\r\n\r\n", "400"),
        (b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "503"),
    ] {
        let (answer, well) = ask(&bus.address, request).await;
        let head = format!("HTTP/1.1 {status} ");
        assert!(well && answer.starts_with(&head) && answer.len() < 400, "{status}: {answer}");
    }
    // Who says nothing is waited for, but not for long.
    assert_eq!(ask(&bus.address, b"GET /metr").await, (String::new(), true));
}

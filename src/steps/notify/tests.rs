//! Every shape, sent over a real socket to a small server that writes down what it was told.

use std::sync::{Arc, Mutex};

use insta::assert_snapshot;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

use super::*;
use crate::config::Settings;
use crate::model::names::ReleaseId;
use crate::model::notice::Moment;
use crate::model::outcome::Verdict;
use crate::model::step::Step;
use crate::steps::testing::Bench;

/// What a server answers: to requests that begin with this, a status and a body.
type Answer = (&'static str, u16, &'static str);

/// A server, and what it was told.
struct Server {
    url: String,
    told: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers as the list says, by the beginning of the request's first line; anything else with 200 and nothing.
    async fn answering(answers: &'static [Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let told = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&told);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let log = Arc::clone(&log);
                tokio::spawn(async move {
                    while let Some(request) = read(&mut stream).await {
                        let answer = answers.iter().find(|(start, ..)| request.starts_with(start));
                        let (_, status, body) = answer.copied().unwrap_or(("", 200, ""));
                        log.lock().unwrap().push(request);
                        // A server that does not answer at all.
                        if status == 0 {
                            std::future::pending::<()>().await;
                        }
                        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                        if stream.write_all(head.as_bytes()).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self { url, told }
    }

    /// All requests, with what is another each time taken out.
    fn told(&self) -> String {
        let text = self.told.lock().unwrap().join("\n----\n");
        let host = self.url.trim_start_matches("http://");
        text.replace(host, "SERVER").replace(env!("CARGO_PKG_VERSION"), "VERSION")
    }
}

/// One request: its first line, the headers that matter, its body.
async fn read(stream: &mut tokio::net::TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let header = |name: &str| head.lines().find_map(|line| line.to_lowercase().strip_prefix(name).map(str::to_owned));
    let length: usize = header("content-length: ").map_or(0, |length| length.parse().unwrap());
    while bytes.len() < end + 4 + length {
        stream.read_buf(&mut bytes).await.ok()?;
    }
    let body = String::from_utf8(bytes[end + 4..].to_vec()).unwrap();
    let dull = ["host:", "accept:", "content-length:", "user-agent:"];
    let mut lines: Vec<&str> = head.lines().collect();
    lines.retain(|line| !dull.iter().any(|dull| line.starts_with(dull)));
    Some(format!("{}\n{body}", lines.join("\n")))
}

const SECRET: &str = "s3cret";

fn message(moment: Moment) -> Message {
    let ended = matches!(moment, Moment::Ended(_));
    let bad = ended && moment != Moment::Ended(Verdict::Deployed);
    Message {
        moment,
        kind: "deploy".into(),
        revision: Some("3f2c1a9d".repeat(5).parse().unwrap()),
        subject: Some("Round <b>VAT</b> & tell @everyone".into()),
        release: ReleaseId(42),
        from: Some(ReleaseId(41)),
        by: "alice".into(),
        at: 1_795_266_206_000,
        took: ended.then_some(45_000),
        step: bad.then_some(Step::Probe),
        cause: bad.then(|| "GET http://127.0.0.1:8000/health: status 503, not 200".into()),
        serving: ended.then(|| if bad { "release 41, as before, verified" } else { "release 42, verified" }.into()),
        note: None,
        last_equal: false,
    }
}

/// The settings of one notice, and the folder with its secret.
fn bench(notice: &str) -> (Bench, Means) {
    let mut bench = Bench::new();
    let text = format!(
        "[source]\nurl = \"https://example.com/erp.git\"\nbranch = \"main\"\n[build]\n[service]\nuser = \"deploy\"\n\
         units = [{{ name = \"erp.service\", role = \"web\" }}]\n[[probe.tcp]]\naddress = \"127.0.0.1:8000\"\n\
         [notices]\nenvironment = \"production\"\n{notice}\n"
    );
    let settings: Settings = crate::config::parse(bench.app(), std::path::Path::new("erp.toml"), &text)
        .unwrap_or_else(|why| panic!("{why}"));
    bench.settings.notices = settings.notices;
    let secrets = bench.root().join("secrets");
    std::fs::create_dir(&secrets).unwrap();
    let means =
        Means { secrets, host: "erp1".into(), patience: Duration::from_secs(5), sendmail: bench.root().join("mail") };
    (bench, means)
}

fn keep(means: &Means, secret: &str) {
    std::fs::write(means.secrets.join("notice-it"), format!("{secret}\n")).unwrap();
}

async fn tell((bench, means): &(Bench, Means), message: Message) -> Outcome {
    let notice = "it".parse().unwrap();
    run_with(&bench.job(42, Work::Notify { notice, message: Box::new(message) }), means).await
}

const ROLLED_BACK: Moment = Moment::Ended(Verdict::RolledBack);
const DEPLOYED: Moment = Moment::Ended(Verdict::Deployed);

#[tokio::test]
async fn a_webhook_gets_everything_and_a_signature_that_fits() {
    let server = Server::answering(&[]).await;
    let bench = bench(&format!(
        "[[notices.webhook]]\nname = \"it\"\nsecret = \"/etc/x\"\nurl = \"{}/deployments\"",
        server.url
    ));
    keep(&bench.1, SECRET);
    tell(&bench, message(ROLLED_BACK)).await.unwrap();
    let told = server.told();
    let value = |name: &str| told.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
    let signature = value("tsh-signature: ");
    let body = told.lines().last().unwrap();
    let (time, given) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    assert!((jiff::Timestamp::now().as_second() - time.parse::<i64>().unwrap()).abs() < 60);
    assert_eq!(given, sign(SECRET, time.parse().unwrap(), body).unwrap());
    // A signature over something known, made by openssl dgst -sha256 -hmac s3cret.
    assert_eq!(sign(SECRET, 1, "{}").unwrap(), "3aef069923b329162e71de34136b0ef6ee4b9253867069748da3fc3680c71406");
    assert_snapshot!(told.replace(&signature, "SIGNATURE"));
}

#[tokio::test]
async fn messengers_get_their_shapes() {
    let server = Server::answering(&[]).await;
    let url = &server.url;
    let chats = [
        ("slack", String::new(), format!("{url}/services/T0/B0")),
        ("discord", String::new(), format!("{url}/api/webhooks/1")),
        ("telegram", format!("chat = \"-100\"\nurl = \"{url}\""), SECRET.to_owned()),
        ("ntfy", format!("url = \"{url}/erp\""), SECRET.to_owned()),
    ];
    for (kind, more, secret) in chats {
        let bench = bench(&format!("[[notices.{kind}]]\nname = \"it\"\nsecret = \"/etc/x\"\n{more}"));
        keep(&bench.1, &secret);
        tell(&bench, message(ROLLED_BACK)).await.unwrap();
    }
    assert_snapshot!(server.told());
}

#[tokio::test]
async fn a_forge_is_told_the_beginning_and_always_an_end() {
    const GITHUB: [Answer; 2] =
        [("GET /repos/o/erp/deployments?", 200, "[]"), ("POST /repos/o/erp/deployments HTTP", 201, "{\"id\": 7}")];
    const KNOWN: [Answer; 1] = [("GET /repos/o/erp/deployments?", 200, "[{\"id\": 7}]")];
    const GITLAB: [Answer; 2] = [
        (
            "GET /projects/o%2Ferp/deployments?",
            200,
            "[{\"id\": 9, \"sha\": \"3f2c1a9d3f2c1a9d3f2c1a9d3f2c1a9d3f2c1a9d\", \"status\": \"running\"},
              {\"id\": 8, \"sha\": \"3f2c1a9d3f2c1a9d3f2c1a9d3f2c1a9d3f2c1a9d\", \"status\": \"success\"}]",
        ),
        // What GitLab says when it is told the same twice.
        ("POST /projects/o%2Ferp/statuses/", 400, "{\"message\":\"Cannot transition status via :drop from :failed\"}"),
    ];
    let mut said = String::new();
    let cases: [(&str, &'static [Answer], Moment); 5] = [
        ("github", &GITHUB, Moment::Fetched),
        ("github", &KNOWN, ROLLED_BACK),
        ("gitlab", &[("GET ", 200, "[]")], Moment::Fetched),
        ("gitlab", &GITLAB, ROLLED_BACK),
        ("gitea", &[], DEPLOYED),
    ];
    for (kind, answers, moment) in cases {
        let server = Server::answering(answers).await;
        let bench = bench(&format!(
            "[[notices.{kind}]]\nname = \"it\"\nsecret = \"/etc/x\"\nrepository = \"o/erp\"\nurl = \"{}\"",
            server.url
        ));
        keep(&bench.1, SECRET);
        tell(&bench, message(moment)).await.unwrap();
        said += &format!("==== {kind}, {}\n{}\n", moment.word(), server.told());
    }
    assert_snapshot!(said);
}

#[tokio::test]
async fn every_end_is_a_terminal_state_in_every_forge() {
    for kind in ["github", "gitlab", "gitea"] {
        for verdict in Verdict::ALL {
            let server =
                Server::answering(&[("GET ", 200, "[]"), ("POST /repos/o/erp/deployments ", 201, "{\"id\":1}")]).await;
            let bench = bench(&format!(
                "[[notices.{kind}]]\nname = \"it\"\nsecret = \"/etc/x\"\nrepository = \"o/erp\"\nurl = \"{}\"",
                server.url
            ));
            keep(&bench.1, SECRET);
            tell(&bench, message(Moment::Ended(verdict))).await.unwrap();
            let told = server.told();
            let states: Vec<&str> = told
                .split("\"state\":\"")
                .chain(told.split("\"status\":\""))
                .filter_map(|rest| rest.split_once('"').map(|(state, _)| state))
                .filter(|state| state.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
                .collect();
            let terminal = ["success", "failure", "error", "failed", "canceled", "inactive"];
            assert!(!states.is_empty() && states.iter().all(|state| terminal.contains(state)), "{kind} {states:?}");
            assert_eq!(states.iter().all(|state| *state == "success"), verdict == Verdict::Deployed, "{states:?}");
        }
    }
}

#[tokio::test]
async fn without_a_revision_a_forge_has_no_place_for_it() {
    let server = Server::answering(&[]).await;
    let bench = bench(&format!(
        "[[notices.github]]\nname = \"it\"\nsecret = \"/etc/x\"\nrepository = \"o/erp\"\nurl = \"{}\"",
        server.url
    ));
    keep(&bench.1, SECRET);
    let message = Message { revision: None, ..message(Moment::Ended(Verdict::Failed)) };
    tell(&bench, message).await.unwrap();
    assert_eq!(server.told(), "");
}

#[tokio::test]
async fn mail_is_a_letter_that_sendmail_must_have_taken() {
    let bench = bench(
        "[[notices.mail]]\nname = \"it\"\nto = [\"ops@example.com\", \"eva@example.com\"]\nfrom = \"erp@example.com\"",
    );
    let missing = tell(&bench, message(ROLLED_BACK)).await.unwrap_err().what;
    assert!(missing.contains("tsh-mail.socket"), "{missing}");
    let listener = UnixListener::bind(&bench.1.sendmail).unwrap();
    let sendmail = tokio::spawn(async move {
        let mut letters = Vec::new();
        for answer in ["accepted\n", "", "postdrop: no space left\n"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut letter = String::new();
            stream.read_to_string(&mut letter).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            letters.push(letter);
        }
        letters.remove(0)
    });
    tell(&bench, message(ROLLED_BACK)).await.unwrap();
    let silent = tell(&bench, message(ROLLED_BACK)).await.unwrap_err();
    assert_eq!(silent.what, "notice it: sendmail did not take it");
    let full = tell(&bench, message(ROLLED_BACK)).await.unwrap_err();
    assert_eq!(full.what, "notice it: sendmail did not take it: postdrop: no space left");
    assert_snapshot!(sendmail.await.unwrap(), @"
    From: erp@example.com
    To: ops@example.com, eva@example.com
    Subject: [production] deployment 42 of erp rolled-back
    Auto-Submitted: auto-generated
    MIME-Version: 1.0
    Content-Type: text/plain; charset=utf-8
    Content-Transfer-Encoding: 8bit

    deployment 42 of erp rolled-back

    3f2c1a9d Round <b>VAT</b> & tell @everyone
    probe: GET http://127.0.0.1:8000/health: status 503, not 200
    now: release 41, as before, verified
    asked for by alice, took 45 s
    production on erp1: tsh-agent show 42
    ");
}

#[tokio::test]
async fn what_others_wrote_cannot_add_a_header() {
    let bench = bench("[[notices.mail]]\nname = \"it\"\nto = [\"ops@example.com\"]");
    let bad = "x\nBcc: all@example.com\n\nhello".to_owned();
    let message = Message { by: bad.clone(), subject: Some(bad.clone()), ..message(Moment::Accepted) };
    let (app, id) = (bench.0.app(), DeploymentId(42));
    let told = Told { app, id, message: &message, environment: "production", host: "erp1" };
    let letter = mail::letter(&told, &["ops@example.com".to_owned()], None);
    let head = letter.split("\n\n").next().unwrap();
    assert!(head.lines().all(|line| !line.starts_with("Bcc:")), "{head}");
}

#[tokio::test]
async fn a_service_that_does_not_take_it_is_told_of_without_its_secret() {
    let slack = |url: &str| {
        let bench = bench("[[notices.slack]]\nname = \"it\"\nsecret = \"/etc/x\"");
        keep(&bench.1, url);
        bench
    };
    let cases: [(&'static [Answer], &str); 4] = [
        (&[("POST", 500, "oh no\nsecond line")], "notice it: it answered 500: oh no"),
        (&[("POST", 429, "")], "notice it: it answered 429"),
        (&[("POST", 302, "")], "notice it: it answered 302"),
        (&[("POST", 0, "")], "notice it: no answer in time"),
    ];
    for (answers, why) in cases {
        let server = Server::answering(answers).await;
        let mut bench = slack(&format!("{}/services/T0/B0", server.url));
        bench.1.patience = Duration::from_millis(300);
        assert_eq!(tell(&bench, message(ROLLED_BACK)).await.unwrap_err().what, why);
    }
    // Nobody listens there.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bench = slack(&format!("http://{}/services/hidden", listener.local_addr().unwrap()));
    drop(listener);
    let down = tell(&bench, message(ROLLED_BACK)).await.unwrap_err().what;
    assert!(down.contains("refused") && !down.contains("hidden"), "{down}");
    // A service that tells the address back.
    let server = Server::answering(&[("POST", 404, "no such hook: s3cret")]).await;
    let bench =
        self::bench(&format!("[[notices.ntfy]]\nname = \"it\"\nsecret = \"/etc/x\"\nurl = \"{}/erp\"", server.url));
    keep(&bench.1, SECRET);
    assert_eq!(
        tell(&bench, message(ROLLED_BACK)).await.unwrap_err().what,
        "notice it: it answered 404: no such hook: …"
    );
}

#[tokio::test]
async fn without_its_secret_it_says_so() {
    let bench = bench("[[notices.slack]]\nname = \"it\"\nsecret = \"/etc/x\"");
    let cause = tell(&bench, message(DEPLOYED)).await.unwrap_err();
    assert!(cause.what.starts_with("the secret of notice it cannot be read"), "{}", cause.what);
    keep(&bench.1, "");
    assert_eq!(tell(&bench, message(DEPLOYED)).await.unwrap_err().what, "the secret of notice it is empty");
}

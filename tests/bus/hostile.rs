//! What nobody should send, and what may look like it.

use crate::door::{AFTER, GITEA, GITHUB, GITHUB_PING, GITLAB, KEY, Request, SECRET, hex, now, sign};
use crate::webhook::{changed, program, push};

/// Requests, each with its name and the status of its answer. 200 says that there is nothing to do about it.
pub fn hostile() -> Vec<(&'static str, u16, Vec<u8>)> {
    let good = hex(&sign(SECRET.as_bytes(), GITHUB.as_bytes()));
    let signature = |value: &str| push().with("X-Hub-Signature-256", value);
    let at = |line: &str| push().line(line);
    let deep = |depth: usize| format!("{{\"x\":{}{},{}", "[".repeat(depth), "]".repeat(depth), &GITHUB[1..]);
    let gitea = || Request::gitea(GITEA);
    let gitlab = || Request::gitlab(GITLAB);
    let signed = |ago: i64| Request::gitlab_signed(GITLAB, now() - ago);
    let length = GITHUB.len();
    let reference = "\"ref\": \"refs/heads/main\"";
    let many = (0..200).fold(push(), |request, number| request.add(&format!("X-{number}"), "x"));
    let requests = [
        // Signatures as GitHub makes them.
        ("no signature", 403, push().without("X-Hub-Signature-256")),
        ("an empty signature", 403, signature("")),
        ("an empty signature with its prefix", 403, signature("sha256=")),
        (
            "only the old SHA-1",
            403,
            push()
                .without("X-Hub-Signature-256")
                .add("X-Hub-Signature", "sha1=7d38cdd689735b008b3c702edd92eea23791c5f6"),
        ),
        ("SHA-1 under the new name", 403, signature("sha1=7d38cdd689735b008b3c702edd92eea23791c5f6")),
        ("another secret", 403, signature(&format!("sha256={}", hex(&sign(b"guessed", GITHUB.as_bytes()))))),
        ("an empty secret", 403, signature(&format!("sha256={}", hex(&sign(b"", GITHUB.as_bytes()))))),
        ("the signature of another body", 403, signature(&format!("sha256={}", hex(&sign(SECRET.as_bytes(), b"{}"))))),
        ("the signature of no body", 403, signature(&format!("sha256={}", hex(&sign(SECRET.as_bytes(), b""))))),
        ("no prefix", 403, signature(&good)),
        ("a prefix in capitals", 403, signature(&format!("SHA256={good}"))),
        ("digits in capitals", 403, signature(&format!("sha256={}", good.to_uppercase()))),
        ("a digit too few", 403, signature(&format!("sha256={}", &good[1..]))),
        ("a digit too many", 403, signature(&format!("sha256={good}0"))),
        ("half a signature", 403, signature(&format!("sha256={}", &good[..32]))),
        ("letters that are no digits", 403, signature(&format!("sha256={}", "g".repeat(64)))),
        ("a blank inside", 403, signature(&format!("sha256= {good}"))),
        ("two in one header", 403, signature(&format!("sha256={},sha256={good}", "0".repeat(64)))),
        (
            "two headers, the second is good",
            400,
            signature(&format!("sha256={}", "0".repeat(64))).add("X-Hub-Signature-256", &format!("sha256={good}")),
        ),
        ("two headers, both good", 400, push().add("x-hub-signature-256", &format!("sha256={good}"))),
        ("the secret in place of a signature", 403, signature(SECRET)),
        ("a changed body", 403, push().body(GITHUB.replacen("alice", "mallo", 1))),
        ("a line more in the body", 403, push().body(format!("{GITHUB}\n"))),
        ("another forge's signature", 403, push().without("X-Hub-Signature-256").add("X-Gitea-Signature", &good)),
        ("a token in place of a signature", 403, push().without("X-Hub-Signature-256").add("X-Gitlab-Token", SECRET)),
        // As Gitea and Forgejo make them.
        ("Gitea: none", 403, gitea().without("X-Gitea-Signature")),
        ("Gitea: with GitHub's prefix", 403, gitea().with("X-Gitea-Signature", &format!("sha256={good}"))),
        ("Gitea: of another body", 403, gitea().with("X-Gitea-Signature", &good)),
        ("Forgejo: a bad one of its own beside a good one", 403, gitea().add("X-Forgejo-Signature", &good)),
        // As GitLab has them.
        ("GitLab: no token", 403, gitlab().without("X-Gitlab-Token")),
        ("GitLab: an empty token", 403, gitlab().with("X-Gitlab-Token", "")),
        ("GitLab: another token", 403, gitlab().with("X-Gitlab-Token", "guessed")),
        ("GitLab: the beginning of the token", 403, gitlab().with("X-Gitlab-Token", &SECRET[..SECRET.len() - 1])),
        ("GitLab: more than the token", 403, gitlab().with("X-Gitlab-Token", &format!("{SECRET}="))),
        ("GitLab: the token twice", 400, gitlab().add("X-Gitlab-Token", SECRET)),
        (
            "GitLab: the signing key in place of the token",
            403,
            gitlab().with("X-Gitlab-Token", std::str::from_utf8(KEY).unwrap()),
        ),
        ("GitLab: an old signature again", 403, signed(3600)),
        ("GitLab: a signature from the future", 403, signed(-3600)),
        ("GitLab: a moment that is none", 403, signed(0).with("webhook-timestamp", "soon")),
        ("GitLab: a moment with a sign", 403, signed(0).with("webhook-timestamp", "+1795266161")),
        ("GitLab: an old signature with a new moment", 403, signed(3600).with("webhook-timestamp", &now().to_string())),
        ("GitLab: a signature for another id", 403, signed(0).with("webhook-id", "1")),
        ("GitLab: no id", 403, signed(0).without("webhook-id")),
        ("GitLab: no moment", 403, signed(0).without("webhook-timestamp")),
        ("GitLab: a version that is not known", 403, signed(0).with("webhook-signature", "v2,AAAA")),
        (
            "GitLab: a bad signature beside a good token",
            403,
            gitlab()
                .add("webhook-signature", "v1,AAAA")
                .add("webhook-id", "1")
                .add("webhook-timestamp", &now().to_string()),
        ),
        (
            "GitLab: the token of one event for another",
            400,
            gitlab().body(GITLAB.replacen("\"object_kind\": \"push\"", "\"object_kind\": \"tag_push\"", 1)),
        ),
        // What is signed, but not a push of the watched branch.
        ("another event", 200, Request::github("release", GITHUB)),
        ("no event", 400, push().without("X-GitHub-Event")),
        ("an event twice", 400, push().add("X-GitHub-Event", "push")),
        ("another branch", 200, changed("refs/heads/main", "refs/heads/feature")),
        ("a branch whose name begins like it", 200, changed("refs/heads/main", "refs/heads/main-2")),
        ("a branch whose name ends like it", 200, changed("refs/heads/main", "refs/heads/x/refs/heads/main")),
        ("a tag of the same name", 200, changed("refs/heads/main", "refs/tags/main")),
        ("the branch without its place", 200, changed("refs/heads/main", "main")),
        ("a pull request's head", 200, changed("refs/heads/main", "refs/pull/1/head")),
        ("a way out of the place", 200, changed("refs/heads/main", "refs/heads/../heads/main")),
        ("a deleted branch", 200, changed("\"deleted\": false", "\"deleted\": true")),
        (
            "a commit of zeros",
            200,
            changed(&format!("\"after\": \"{AFTER}\""), &format!("\"after\": \"{}\"", "0".repeat(40))),
        ),
        ("another repository", 403, changed("\"full_name\": \"acme/erp\"", "\"full_name\": \"mallory/erp\"")),
        (
            "a repository whose name begins like it",
            403,
            changed("\"full_name\": \"acme/erp\"", "\"full_name\": \"acme/erp-2\""),
        ),
        (
            "a commit that is an option",
            400,
            changed(&format!("\"after\": \"{AFTER}\""), "\"after\": \"--upload-pack=x\""),
        ),
        (
            "a commit in capitals",
            400,
            changed(&format!("\"after\": \"{AFTER}\""), &format!("\"after\": \"{}\"", AFTER.to_uppercase())),
        ),
        ("a short commit", 400, changed(&format!("\"after\": \"{AFTER}\""), "\"after\": \"0d1a26e6\"")),
        (
            "a commit with a line break",
            400,
            changed(&format!("\"after\": \"{AFTER}\""), &format!("\"after\": \"{AFTER}\\n\"")),
        ),
        ("a delivery that is none", 400, push().with("X-GitHub-Delivery", "../../x")),
        ("a delivery twice", 400, push().add("X-GitHub-Delivery", "1")),
        ("a ping with another secret", 403, Request::github("ping", GITHUB_PING).body(GITHUB)),
        // Bodies that can be read in several ways, or not at all.
        ("a key twice", 400, changed(reference, &format!("{reference}, {reference}"))),
        ("a key twice with another value", 400, changed(reference, &format!("\"ref\": \"refs/heads/x\", {reference}"))),
        (
            "a key twice, once escaped",
            400,
            changed(reference, &format!("\"\\u0072ef\": \"refs/heads/x\", {reference}")),
        ),
        ("a key twice deep inside", 400, changed("\"name\": \"erp\"", "\"name\": \"erp\", \"name\": \"x\"")),
        ("a key of another kind", 400, changed(reference, "\"ref\": [\"refs/heads/main\"]")),
        ("no repository", 400, changed("\"repository\": {", "\"repositories\": {")),
        ("nested a thousand deep", 400, Request::github("push", deep(1000))),
        ("nested half a million deep", 400, Request::github("push", deep(500_000))),
        (
            "text that is not UTF-8",
            400,
            Request::github("push", [&GITHUB.as_bytes()[..20], b"\xff\xfe", &GITHUB.as_bytes()[20..]].concat()),
        ),
        ("half a body", 400, Request::github("push", &GITHUB[..length / 2])),
        ("something after the body", 400, Request::github("push", format!("{GITHUB}{{}}"))),
        ("a list", 400, Request::github("push", "[]")),
        ("a number", 400, Request::github("push", "1e999999")),
        ("nothing", 400, Request::github("push", "")),
        ("zeros", 400, Request::github("push", [0; 64])),
        ("a mark before the body", 400, Request::github("push", format!("\u{feff}{GITHUB}"))),
        ("a form", 415, push().with("Content-Type", "application/x-www-form-urlencoded")),
        ("no kind of body", 415, push().without("Content-Type")),
        ("two kinds of body", 400, push().add("Content-Type", "text/plain")),
        // The wire.
        ("another method", 405, at("GET /v1/hooks/github HTTP/1.1")),
        ("yet another method", 405, at("DELETE /v1/hooks/github HTTP/1.1")),
        ("a method that is overridden", 405, at("GET /v1/hooks/github HTTP/1.1").add("X-HTTP-Method-Override", "POST")),
        ("an unknown application", 404, at("POST /v1/hooks/shop HTTP/1.1")),
        ("another application's path", 403, at("POST /v1/hooks/gitea HTTP/1.1")),
        ("a way up", 404, at("POST /v1/hooks/../hooks/github HTTP/1.1")),
        ("a name that is escaped", 404, at("POST /v1/hooks/%67ithub HTTP/1.1")),
        ("a question", 404, at("POST /v1/hooks/github?x=1 HTTP/1.1")),
        ("a slash more", 404, at("POST /v1/hooks/github/ HTTP/1.1")),
        ("two slashes", 404, at("POST //v1/hooks/github HTTP/1.1")),
        ("no length", 411, push().without("Content-Length")),
        ("chunks", 411, push().without("Content-Length").add("Transfer-Encoding", "chunked")),
        ("a length and chunks", 411, push().add("Transfer-Encoding", "chunked")),
        ("chunks in disguise", 400, push().add("Transfer-Encoding", "xchunked")),
        ("two lengths", 400, push().add("Content-Length", "5")),
        ("a length with a sign", 400, push().with("Content-Length", &format!("+{length}"))),
        ("a length below zero", 400, push().with("Content-Length", "-1")),
        ("a length that is a list", 400, push().with("Content-Length", &format!("{length}, 5"))),
        ("a length beyond numbers", 400, push().with("Content-Length", "99999999999999999999999")),
        ("a body of a gigabyte", 413, push().with("Content-Length", "1073741824")),
        ("a body that is a byte too large", 413, push().with("Content-Length", "1048577")),
        ("a body that is shorter than its length", 400, push().with("Content-Length", &(length + 1).to_string())),
        ("a body that is longer than its length", 403, push().with("Content-Length", &(length - 1).to_string())),
        ("compressed", 415, push().add("Content-Encoding", "gzip")),
        ("compressed in another way", 415, push().add("Content-Encoding", "identity, br")),
        (
            "another protocol",
            400,
            push().add("Connection", "Upgrade, HTTP2-Settings").add("Upgrade", "h2c").add("HTTP2-Settings", "AAMAAABk"),
        ),
        ("an odd expectation", 417, push().add("Expect", "200-ok")),
        ("two hundred headers", 431, many),
        ("a header of 64 KiB", 431, push().add("X-Long", &"x".repeat(64 << 10))),
        ("an address of 64 KiB", 431, at(&format!("POST /v1/hooks/{} HTTP/1.1", "x".repeat(70_000)))),
        ("a header over two lines", 400, push().add("X-Fold", "a\r\n b")),
        ("a header with a blank in its name", 400, push().add("X Name", "a")),
        ("a blank before the colon", 400, push().add("Content-Length ", "5")),
        ("a zero in a header", 400, push().add("X-Zero", "a\0b")),
        ("a signature that is not text", 400, signature("sha256=ü")),
        ("a version that is none", 400, at("POST /v1/hooks/github HTTP/9.9")),
        // A program's requests.
        ("a program without a key", 401, program("POST /v1/apps/github/deployments HTTP/1.1").without("Authorization")),
        (
            "a program with another key",
            401,
            program("POST /v1/apps/github/deployments HTTP/1.1").with("Authorization", "Bearer tsh_guessed"),
        ),
        (
            "a program with a name and password",
            401,
            program("POST /v1/apps/github/deployments HTTP/1.1").with("Authorization", "Basic dHNoX2dvb2Q="),
        ),
        (
            "a program with an empty key",
            401,
            program("POST /v1/apps/github/deployments HTTP/1.1").with("Authorization", "Bearer "),
        ),
        (
            "a program with two keys",
            400,
            program("POST /v1/apps/github/deployments HTTP/1.1").add("Authorization", "Bearer tsh_good"),
        ),
        (
            "a program with a long key",
            401,
            program("POST /v1/apps/github/deployments HTTP/1.1")
                .with("Authorization", &format!("Bearer {}", "x".repeat(101))),
        ),
        ("a program with a webhook's signature", 401, at("POST /v1/apps/github/deployments HTTP/1.1")),
        (
            "a program that wants a branch",
            400,
            program("POST /v1/apps/github/deployments HTTP/1.1").body("{\"revision\":\"main\"}"),
        ),
        (
            "a program that wants more",
            400,
            program("POST /v1/apps/github/deployments HTTP/1.1")
                .body(format!("{{\"revision\":\"{AFTER}\",\"force\":true}}")),
        ),
        (
            "a program that wants two",
            400,
            program("POST /v1/apps/github/deployments HTTP/1.1")
                .body(format!("{{\"revision\":\"{AFTER}\",\"revision\":\"{AFTER}\"}}")),
        ),
        ("a program that says much", 413, program("POST /v1/apps/github/deployments HTTP/1.1").body(" ".repeat(2000))),
        ("a program that reads with POST", 405, program("POST /v1/requests/7 HTTP/1.1")),
        ("a program that asks after no number", 404, program("GET /v1/requests/-1 HTTP/1.1").body("")),
        ("a program that asks after a long number", 404, program("GET /v1/requests/99999999999 HTTP/1.1").body("")),
        ("a program that waits for ever", 404, program("GET /v1/requests/7?wait=ever HTTP/1.1").body("")),
        ("a program that asks with a body", 400, program("GET /v1/requests/7 HTTP/1.1")),
    ];
    let mut all: Vec<_> = requests.into_iter().map(|(name, status, request)| (name, status, request.bytes())).collect();
    let bad = signature("sha256=0").bytes();
    all.extend([
        ("a good one behind a bad one", 403, [bad.as_slice(), &push().bytes()].concat()),
        ("a good one inside of a bad one", 403, signature("sha256=0").body(push().bytes()).bytes()),
        ("HTTP/2 from the start", 0, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec()),
        ("HTTP/0.9", 400, b"GET /v1/hooks/github\r\n".to_vec()),
        ("TLS", 400, b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n".to_vec()),
        ("zeros without end", 400, vec![0; 256 << 10]),
        ("nothing at all", 0, Vec::new()),
        ("half a request", 0, push().bytes()[..100].to_vec()),
    ]);
    all
}

//! Mutations of what forges send, against the parser and the verifier: whatever comes in, nothing panics, nothing is
//! taken that was not signed, and what is taken says what the signed text says.
//!
//! The seed is fixed, so that each run tries the same. `TSH_FUZZ=10000000 cargo test --release --test fuzz` tries more.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test that cannot go on has failed")]

use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use sha2::Sha256;
use tsh_agent::model::push::Hook;
use tsh_agent::model::trigger::Forge;
use tsh_agent::webhook::{Meaning, meaning, verify};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
const NOW: i64 = 1_795_266_161;
const PAYLOADS: [(Forge, &str); 3] = [
    (Forge::Github, include_str!("support/payloads/github-push.json")),
    (Forge::Gitlab, include_str!("support/payloads/gitlab-push.json")),
    (Forge::Gitea, include_str!("support/payloads/gitea-push.json")),
];
/// What makes parsers stumble.
const PIECES: [&[u8]; 20] = [
    b"",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"null",
    b"-1",
    b"1e999",
    b"\xff",
    b"\0",
    b"\\u0000",
    b"\\ud800",
    b"\"ref\":\"refs/heads/x\",",
    b"refs/heads/main",
    b"acme/erp",
    b"0000000000000000000000000000000000000000",
];

struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % below.max(1)
    }

    /// One to four changes.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.next(4) {
            let at = self.next(bytes.len() + 1);
            let to = at + self.next((bytes.len() - at).min(40) + 1);
            match self.next(5) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.next(8),
                1 => drop(bytes.drain(at..to)),
                2 => bytes.truncate(at),
                3 => {
                    let again = bytes[at..to].to_vec();
                    bytes.splice(at..at, again);
                }
                _ => drop(bytes.splice(at..to.min(at + 8), PIECES[self.next(PIECES.len())].iter().copied())),
            }
        }
    }
}

fn digits(body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The headers of a forge for this body, some of them changed.
fn headers(forge: Forge, body: &[u8], random: &mut Random) -> HeaderMap {
    let signature = digits(body);
    let all = match forge {
        Forge::Github => vec![
            ("x-github-event", "push".to_owned()),
            ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958".to_owned()),
            ("x-hub-signature-256", format!("sha256={signature}")),
        ],
        Forge::Gitlab => vec![("x-gitlab-event", "Push Hook".to_owned()), ("x-gitlab-token", SECRET.to_owned())],
        Forge::Gitea => vec![("x-gitea-event", "push".to_owned()), ("x-gitea-signature", signature)],
    };
    let mut map = HeaderMap::new();
    for (name, value) in all {
        let mut value = value.into_bytes();
        if random.next(4) == 0 {
            random.mutate(&mut value);
        }
        let Ok(value) = HeaderValue::from_bytes(&value) else { continue };
        map.append(HeaderName::from_static(name), value.clone());
        if random.next(40) == 0 {
            map.append(HeaderName::from_static(name), value);
        }
    }
    map
}

fn hook(forge: Forge) -> Hook {
    Hook { forge, repository: "acme/erp".to_owned(), branch: "main".to_owned(), secret: SECRET.to_owned() }
}

/// Whether these headers are good for this body, decided in another way.
fn is_signed(forge: Forge, map: &HeaderMap, body: &[u8]) -> bool {
    let only = |name: &str| {
        let all: Vec<_> = map.get_all(name).iter().collect();
        if let [one] = all[..] { String::from_utf8(one.as_bytes().to_vec()).ok() } else { None }
    };
    match forge {
        Forge::Github => only("x-hub-signature-256") == Some(format!("sha256={}", digits(body))),
        Forge::Gitea => only("x-gitea-signature") == Some(digits(body)),
        Forge::Gitlab => only("x-gitlab-token").as_deref() == Some(SECRET),
    }
}

/// What the text says, read by somebody else.
fn says_push(forge: Forge, body: &[u8], revision: &str) -> bool {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) else { return false };
    let repository = if forge == Forge::Gitlab { "/project/path_with_namespace" } else { "/repository/full_name" };
    let text = |pointer: &str| value.pointer(pointer).and_then(|value| value.as_str()).unwrap_or_default();
    text("/ref") == "refs/heads/main"
        && text("/after") == revision
        && text(repository).eq_ignore_ascii_case("acme/erp")
        && value.pointer("/deleted").is_none_or(|deleted| deleted == false)
}

#[test]
fn no_mutation_is_taken_for_what_it_is_not() {
    let runs: u64 = std::env::var("TSH_FUZZ").map_or(20_000, |runs| runs.parse().unwrap());
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut verified, mut pushes, mut refused) = (0_u64, 0_u64, 0_u64);
    for run in 0..runs {
        let (forge, text) = PAYLOADS[usize::try_from(run % 3).unwrap()];
        let mut body = text.as_bytes().to_vec();
        if random.next(8) > 0 {
            random.mutate(&mut body);
        }
        // Half of them are changed after they were signed, where the body is signed at all.
        let mut map = headers(forge, &body, &mut random);
        if random.next(2) == 0 && forge != Forge::Gitlab {
            random.mutate(&mut body);
        }
        if random.next(16) == 0 {
            map.remove("x-gitlab-token");
        }
        let outcome = verify(&hook(forge), &map, &body, NOW);
        // An id that is none is refused although the signature is good.
        assert!(outcome.is_err() || is_signed(forge, &map, &body), "taken without a signature: {map:?}");
        let Ok(delivery) = outcome else {
            refused += 1;
            continue;
        };
        verified += 1;
        match meaning(&hook(forge), &map, &body, delivery) {
            Ok(Meaning::Push(hint)) => {
                pushes += 1;
                let revision = hint.revision.unwrap();
                assert!(says_push(forge, &body, revision.as_str()), "{}", String::from_utf8_lossy(&body));
            }
            Ok(Meaning::Ping | Meaning::Other(_)) => {}
            Err(_) => refused += 1,
        }
    }
    println!("{runs} executions: {verified} verified, {pushes} pushes, {refused} refused");
    assert!(pushes > runs / 40 && refused > runs / 4, "the mutations are too wild or too tame");
}

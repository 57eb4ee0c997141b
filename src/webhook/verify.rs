//! Who sent it: signatures over the raw body, compared in constant time. Nothing of a body is looked at before.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use sha2::{Digest, Sha256};

use super::Refused;
use crate::model::names::Delivery;
use crate::model::push::Hook;
use crate::model::trigger::Forge;

/// How far a signed moment may be from now, in seconds.
const SKEW: i64 = 300;
/// The beginning of a signing token of GitLab's; the key follows in base64.
const TOKEN: &str = "whsec_";

/// Whether the request is the forge's, and what the forge calls the delivery; `now` in seconds since 1970.
///
/// # Errors
/// If it is not, or does not say so as that forge does.
pub fn verify(hook: &Hook, headers: &HeaderMap, body: &[u8], now: i64) -> Result<Option<Delivery>, Refused> {
    match hook.forge {
        Forge::Github => {
            let Some(signature) = one(headers, "x-hub-signature-256")? else {
                return Err(Refused::forbidden("X-Hub-Signature-256 is missing"));
            };
            let digits = signature.strip_prefix("sha256=").ok_or_else(malformed)?;
            signed(hook.secret.as_bytes(), &[body], &hex(digits)?)?;
            delivery(headers, &["x-github-delivery"])
        }
        Forge::Gitea => {
            // Forgejo sends both; its own is the one that counts there.
            let signature = match one(headers, "x-forgejo-signature")? {
                Some(signature) => Some(signature),
                None => one(headers, "x-gitea-signature")?,
            };
            let digits = signature.ok_or_else(|| Refused::forbidden("X-Gitea-Signature is missing"))?;
            signed(hook.secret.as_bytes(), &[body], &hex(digits)?)?;
            delivery(headers, &["x-forgejo-delivery", "x-gitea-delivery"])
        }
        Forge::Gitlab => {
            match one(headers, "webhook-signature")? {
                Some(signatures) => standard(hook, headers, body, signatures, now)?,
                None => token(hook, headers)?,
            }
            delivery(headers, &["webhook-id", "idempotency-key", "x-gitlab-event-uuid"])
        }
    }
}

/// GitLab's signing token, as the Standard Webhooks have it.
fn standard(hook: &Hook, headers: &HeaderMap, body: &[u8], signatures: &str, now: i64) -> Result<(), Refused> {
    let missing = || Refused::forbidden("webhook-id or webhook-timestamp is missing");
    let id = one(headers, "webhook-id")?.ok_or_else(missing)?;
    let timestamp = one(headers, "webhook-timestamp")?.ok_or_else(missing)?;
    let plain = !timestamp.is_empty() && timestamp.bytes().all(|b| b.is_ascii_digit());
    let at: i64 = timestamp.parse().ok().filter(|_| plain).ok_or_else(malformed)?;
    let key = hook.secret.strip_prefix(TOKEN).and_then(|text| STANDARD.decode(text).ok());
    let key = key.ok_or_else(|| Refused::forbidden("the secret on this server is no signing token"))?;
    let pieces: [&[u8]; 5] = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
    let mut given = signatures.split(' ').filter_map(|one| STANDARD.decode(one.strip_prefix("v1,")?).ok()).take(8);
    if !given.any(|signature| signed(&key, &pieces, &signature).is_ok()) {
        return Err(Refused::forbidden("the signature does not match"));
    }
    // Last, so that only who knows the key learns what time it is here.
    if at.abs_diff(now) > SKEW.unsigned_abs() {
        return Err(Refused::forbidden("it was signed too long ago, or the clocks differ"));
    }
    Ok(())
}

/// GitLab's older way: the secret itself.
fn token(hook: &Hook, headers: &HeaderMap) -> Result<(), Refused> {
    let given = one(headers, "x-gitlab-token")?.ok_or_else(|| Refused::forbidden("X-Gitlab-Token is missing"))?;
    // Digests are as long as each other, whatever was given; and with a key they tell nothing about it.
    let expected = Sha256::digest(hook.secret.as_bytes());
    let mut mac = mac(hook.secret.as_bytes())?;
    mac.update(&Sha256::digest(given.as_bytes()));
    let mut same = self::mac(hook.secret.as_bytes())?;
    same.update(&expected);
    mac.verify_slice(&same.finalize().into_bytes()).map_err(|_| Refused::forbidden("the token does not match"))
}

fn signed(key: &[u8], pieces: &[&[u8]], signature: &[u8]) -> Result<(), Refused> {
    let mut mac = mac(key)?;
    pieces.iter().for_each(|piece| mac.update(piece));
    mac.verify_slice(signature).map_err(|_| Refused::forbidden("the signature does not match"))
}

fn mac(key: &[u8]) -> Result<Hmac<Sha256>, Refused> {
    // An empty key would be one that everybody knows.
    if key.is_empty() {
        return Err(Refused::forbidden("there is no secret on this server"));
    }
    Hmac::new_from_slice(key).map_err(|_| Refused::forbidden("the secret on this server cannot be used"))
}

/// Exactly the 64 digits of a SHA-256.
fn hex(digits: &str) -> Result<[u8; 32], Refused> {
    let bytes: &[u8; 64] = digits.as_bytes().try_into().map_err(|_| malformed())?;
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Ok(byte - b'0'),
        b'a'..=b'f' => Ok(byte - b'a' + 10),
        _ => Err(malformed()),
    };
    let mut out = [0; 32];
    for (to, pair) in out.iter_mut().zip(bytes.chunks_exact(2)) {
        *to = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Ok(out)
}

fn malformed() -> Refused {
    Refused::forbidden("the signature is not one")
}

/// The delivery's id, under the first of these names that is there.
fn delivery(headers: &HeaderMap, names: &[&str]) -> Result<Option<Delivery>, Refused> {
    for name in names {
        if let Some(text) = one(headers, name)? {
            return text.parse().map(Some).map_err(|_| Refused::bad("the id of the delivery is not one"));
        }
    }
    Ok(None)
}

/// A header that may be there once.
pub(super) fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Refused> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(Refused::bad("a header is there twice")),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Refused::bad("a header is not plain text")),
    }
}

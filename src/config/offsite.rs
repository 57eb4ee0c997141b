//! `[offsite]`: where backups are carried to.

use reqwest::Url;

use super::document::{Read, Table, Value};
use super::settings::Offsite;
use super::values::{absolute, ruled};

pub(super) fn read(table: &Table<'_>) -> Read<Offsite> {
    table.known(&["url", "endpoint", "region", "credentials"])?;
    let (bucket, prefix) = table.required("url", place)?;
    let region = table.optional("region", word)?.unwrap_or_else(|| "us-east-1".to_owned());
    let usual = format!("https://s3.{region}.amazonaws.com");
    Ok(Offsite {
        bucket,
        prefix,
        endpoint: table.optional("endpoint", endpoint)?.unwrap_or(usual),
        region,
        credentials: table.required("credentials", absolute)?,
    })
}

/// The bucket, and where in it.
fn place(value: &Value<'_>) -> Read<(String, String)> {
    const EXPECTED: &str = "a place in a store that speaks S3, such as \"s3://bucket/prefix\"";
    let text = value.text(EXPECTED)?;
    let rest = text.strip_prefix("s3://").ok_or_else(|| value.not(EXPECTED))?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.trim_end_matches('/');
    let named = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b));
    let safe = |b: u8| b.is_ascii_alphanumeric() || b"/_.-".contains(&b);
    let clean = !prefix.starts_with('/') && !prefix.contains("//") && prefix.bytes().all(safe);
    if (3..=63).contains(&bucket.len()) && named(bucket) && clean {
        return Ok((bucket.to_owned(), prefix.to_owned()));
    }
    Err(value.not(EXPECTED))
}

fn word(value: &Value<'_>) -> Read<String> {
    let rule = "a region, such as \"eu-central-1\"";
    ruled(rule, |text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))(value)
}

/// Without secrets, which everybody could read here.
fn endpoint(value: &Value<'_>) -> Read<String> {
    const EXPECTED: &str =
        "the URL of a server without user, path or question mark, such as \"https://s3.example.com\"";
    let text = value.text(EXPECTED)?;
    let url = Url::parse(text).ok().filter(|url| {
        let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        matches!(url.scheme(), "http" | "https") && url.has_host() && bare && url.path() == "/"
    });
    url.map(|_| text.trim_end_matches('/').to_owned()).ok_or_else(|| value.wrong(format!("not {EXPECTED}")))
}

//! `[probe]`: how to tell that a release is healthy.

use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

use super::document::{Read, Table, Value, quoted};
use super::settings::{Http, Probe, ProbePlan};
use super::values::{POINTER, command, duration, is_pointer, json, number, pairs, plain, pointer, ruled, spoken};

const HTTP_KEYS: [&str; 9] = ["url", "host", "status", "body", "json", "headers", "revision", "schema", "timeout"];
const SHORTEST: Duration = Duration::from_millis(10);
const REQUEST: Duration = Duration::from_secs(2);

pub(super) fn read(table: &Table<'_>, with_database: bool) -> Read<ProbePlan> {
    table.known(&["deadline", "interval", "successes", "bake", "users", "http", "tcp", "command"])?;
    let second = Duration::from_secs(1);
    let hour = Duration::from_hours(1);
    let deadline = table.optional("deadline", duration(second, hour))?.unwrap_or(Duration::from_mins(1));
    let interval =
        table.optional("interval", duration(SHORTEST, Duration::from_mins(1)))?.unwrap_or(Duration::from_millis(100));
    let successes = table.optional("successes", number(1..=100))?.unwrap_or(3);
    let bake = table.optional("bake", duration(second, hour))?.unwrap_or(Duration::from_secs(10));
    if interval * (successes - 1) >= deadline {
        let deadline = spoken(deadline);
        return Err(table.wrong(format!(
            "{successes} rounds, one each {}, do not fit into the deadline of {deadline}",
            spoken(interval)
        )));
    }

    let list = |key: &str, read: &dyn Fn(&Table<'_>) -> Read<Probe>| {
        let expected = format!("a list of tables, each begun with [[probe.{key}]]");
        let probes = table.optional(key, |value| value.list(&expected, |value| read(&value.table(&expected)?)))?;
        Ok(probes.unwrap_or_default())
    };
    let mut probes: Vec<Probe> = list("http", &|table| http(table, deadline, with_database))?;
    probes.extend(list("tcp", &|table| tcp(table, deadline))?);
    probes.extend(list("command", &|table| by_command(table, deadline))?);
    if probes.is_empty() {
        let problem =
            "nothing would prove that a release is healthy; add [[probe.http]], [[probe.tcp]] or [[probe.command]]";
        return Err(table.wrong(problem));
    }
    let users = table.optional("users", url)?;
    Ok(ProbePlan { probes, deadline, interval, successes, bake, users })
}

fn timeout(table: &Table<'_>, deadline: Duration) -> Read<Duration> {
    Ok(table.optional("timeout", duration(SHORTEST, deadline))?.unwrap_or(REQUEST.min(deadline)))
}

fn http(table: &Table<'_>, deadline: Duration, with_database: bool) -> Read<Probe> {
    table.known(&HTTP_KEYS)?;
    let schema = table.optional("schema", |value| {
        if with_database { pointer(value) } else { Err(value.wrong("there is no [database] whose schema it could be")) }
    })?;
    Ok(Probe::Http(Box::new(Http {
        url: table.required("url", url)?,
        host: table.optional("host", host)?,
        status: table.optional("status", number(100..=599))?.unwrap_or(200),
        body: table.optional("body", plain)?,
        json: table.optional("json", pairs("a table, such as { \"/status\" = \"ok\" }", answer))?.unwrap_or_default(),
        headers: table.optional("headers", pairs("a table of headers", header))?.unwrap_or_default(),
        revision: table.optional("revision", pointer)?,
        schema,
        timeout: timeout(table, deadline)?,
    })))
}

fn url(value: &Value<'_>) -> Read<String> {
    const EXPECTED: &str = "the URL of the application itself, such as \"http://127.0.0.1:8000/health\"";
    let text = value.text(EXPECTED)?;
    let odd = text.contains(|c: char| c.is_whitespace() || c.is_control());
    let url = Url::parse(text).ok().filter(|url| !odd && ["http", "https"].contains(&url.scheme()));
    // What was given is not repeated: it may hold a password, and this message ends up in logs.
    let url = url.ok_or_else(|| value.wrong(format!("not {EXPECTED}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(value.wrong("the URL carries a user or password, which everyone on this server can read"));
    }
    Ok(text.to_owned())
}

fn host(value: &Value<'_>) -> Read<String> {
    ruled("the name of a host, such as \"erp.example.com\"", |text| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:[]".contains(&b))
    })(value)
}

fn answer(key: &str, value: &Value<'_>) -> Read<(String, serde_json::Value)> {
    if is_pointer(key) {
        Ok((key.to_owned(), json(value)?))
    } else {
        Err(value.wrong(format!("expected {POINTER}, given {}", quoted(key))))
    }
}

fn header(name: &str, value: &Value<'_>) -> Read<(String, String)> {
    if HeaderName::try_from(name).is_err() {
        return Err(value.wrong(format!("{} is not the name of a header", quoted(name))));
    }
    let text = ruled("the value of a header", |text| HeaderValue::try_from(text).is_ok())(value)?;
    Ok((name.to_owned(), text))
}

fn tcp(table: &Table<'_>, deadline: Duration) -> Read<Probe> {
    table.known(&["address", "timeout"])?;
    let address = ruled("an address with its port, such as \"127.0.0.1:8000\"", |text| {
        let host = |host: &str| !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control());
        let port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
        text.rsplit_once(':').is_some_and(|(before, after)| host(before) && port(after))
    });
    Ok(Probe::Tcp { address: table.required("address", address)?, timeout: timeout(table, deadline)? })
}

fn by_command(table: &Table<'_>, deadline: Duration) -> Read<Probe> {
    table.known(&["argv", "timeout"])?;
    Ok(Probe::Command { argv: table.required("argv", command)?, timeout: timeout(table, deadline)? })
}

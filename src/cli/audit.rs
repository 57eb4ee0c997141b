//! `tsh-agent audit`.

use std::process::{Command, Stdio};

use serde::Deserialize;

use super::{Failure, render, say, say_json, terminal};
use crate::api::client::Client;
use crate::api::plain;
use crate::events::Event;
use crate::model::audit::{self, Anchor, Record};
use crate::model::names::App;
use crate::model::outcome::Exit;

/// All entries that there can be.
const ALL: u32 = u32::MAX;

/// Show who did what; `audit verify` tells whether somebody has changed it.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Only of this application.
    #[arg(long)]
    app: Option<App>,
    /// How many.
    #[arg(short = 'n', long, default_value_t = 50, value_name = "COUNT")]
    limit: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Check every entry against the one before it, and the end against the system's journal.
    Verify,
}

pub async fn run(args: Args) -> Result<Exit, Failure> {
    let client = Client::connect(None).await?;
    if let Some(Verb::Verify) = args.verb {
        return verify(&client).await;
    }
    let entries = client.audit(args.app.as_ref(), args.limit).await?;
    let records = entries.iter().map(|entry| record(&entry.record)).collect::<Result<Vec<Record>, Failure>>()?;
    if args.json {
        return say_json(&records);
    }
    say::out(&render::audit::audit(&records, &terminal::look(&std::io::stdout())));
    Ok(Exit::Good)
}

/// What an entry says, fit for any terminal: its names and reasons were written by many people.
fn record(text: &str) -> Result<Record, Failure> {
    let mut record: Record = serde_json::from_str(text)
        .map_err(|error| Failure::new(Exit::NeedsOperator, format!("an entry of the audit is none: {error}")))?;
    for text in [&mut record.by, &mut record.what, &mut record.detail] {
        *text = plain(text);
    }
    for text in [&mut record.who.login, &mut record.who.from].into_iter().flatten() {
        *text = plain(text);
    }
    Ok(record)
}

async fn verify(client: &Client) -> Result<Exit, Failure> {
    let chain = client.audit(None, ALL).await?;
    let anchors = anchors()?;
    match audit::verify(&chain, &anchors) {
        Ok(()) if anchors.is_empty() => Err(Failure::new(
            Exit::NeedsOperator,
            format!("the {} entries are a whole chain, but the journal has no anchor of its end", chain.len()),
        )
        .hint(
            "members of tsh-ops may read the journal; if it was deleted, nobody can tell whether the end was cut off",
        )),
        Ok(()) => {
            say::out(&format!("{} entries are whole; the journal agrees on {}\n", chain.len(), anchors.len()));
            Ok(Exit::Good)
        }
        Err(broken) => Err(Failure::new(Exit::NeedsOperator, format!("the audit was tampered with: {broken}")).hint(
            "compare with a backup of /var/lib/tsh-agent/state.db; `journalctl TSH_AUDIT_ENTRY=NUMBER` has the hashes",
        )),
    }
}

/// What the agent has written into the journal, by fields that only the system can set.
fn anchors() -> Result<Vec<Anchor>, Failure> {
    let failed = |why: String| Failure::new(Exit::Untouched, format!("the journal cannot be read: {why}"));
    let said = Command::new("journalctl")
        .args(["--quiet", "--no-pager", "--output=json", "--output-fields=TSH_AUDIT_ENTRY,TSH_AUDIT_HASH"])
        .arg(format!("MESSAGE_ID={}", Event::Audited.id()))
        .arg("_SYSTEMD_UNIT=tsh-agent.service")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !said.status.success() {
        return Err(failed(String::from_utf8_lossy(&said.stderr).trim().to_owned()));
    }
    String::from_utf8_lossy(&said.stdout)
        .lines()
        .map(|line| anchor(line).ok_or_else(|| failed(line.to_owned())))
        .collect()
}

fn anchor(line: &str) -> Option<Anchor> {
    #[derive(Deserialize)]
    #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
    struct Line {
        tsh_audit_entry: String,
        tsh_audit_hash: String,
    }
    let line: Line = serde_json::from_str(line).ok()?;
    Some(Anchor { seq: line.tsh_audit_entry.parse().ok()?, hash: line.tsh_audit_hash })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_is_read_as_the_journal_prints_it() {
        let line = r#"{"__CURSOR":"s=1","TSH_AUDIT_ENTRY":"12","_BOOT_ID":"b","TSH_AUDIT_HASH":"ab"}"#;
        assert_eq!(anchor(line), Some(Anchor { seq: 12, hash: "ab".into() }));
        assert_eq!(anchor("{}"), None);
    }
}

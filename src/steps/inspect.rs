//! Which migrations of the release are pending, and which way through production follows from that. It reads the
//! release and asks its migration tool; it changes nothing.

use serde::Deserialize;

use super::child::Finished;
use super::tool::Tool;
use super::{Job, Outcome, not_mine};
use crate::config::{Database, MigrationLane, Migrations};
use crate::model::journal::{Cause, Inspected, Output, Pending, Script};
use crate::model::lane::Lane;
use crate::model::names::SchemaRevision;
use crate::model::request::Work;

/// What Alembic is asked with.
const ALEMBIC: &str = include_str!("inspect/alembic.py");
/// Marks an answer among whatever migration scripts print.
const MARK: &str = "tsh-agent:";

/// One answer of the script.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Answer {
    Heads { revisions: Vec<SchemaRevision> },
    Unknown { revisions: Vec<SchemaRevision> },
    Pending(Pending),
    Script(Script),
    Places { paths: Vec<String> },
    Broken { why: String },
}

/// Inspects.
///
/// # Errors
/// If the release cannot be deployed on this database, with what to do about it.
pub async fn run(job: &Job) -> Outcome {
    let Work::Inspect { current, proven } = &job.request.work else { return Err(not_mine()) };
    let nothing = Inspected { current: current.clone(), ..Inspected::nothing(Lane::Code) };
    let Some(database) = &job.settings.database else { return Ok(Output::Inspected(nothing)) };
    let Found { target, pending, scripts, ahead, places } = look(&Tool::of(job), database, current, *proven).await?;
    let lane = match (pending.is_empty(), database.lane) {
        (true, _) => Lane::Code,
        // The rehearsal may find a better one.
        (false, MigrationLane::Auto | MigrationLane::Fenced) => Lane::Fenced,
        (false, MigrationLane::Stop) => Lane::Stop,
    };
    let (backup, rehearse) = (database.backup, database.rehearse);
    Ok(Output::Inspected(Inspected { lane, target, pending, scripts, ahead, places, backup, rehearse, ..nothing }))
}

/// What is found out about a release.
#[derive(Default)]
struct Found {
    target: Vec<SchemaRevision>,
    pending: Vec<Pending>,
    scripts: Vec<Script>,
    ahead: bool,
    places: Vec<String>,
}

async fn look(tool: &Tool, database: &Database, current: &[SchemaRevision], proven: bool) -> Result<Found, Cause> {
    match &database.migrations {
        Migrations::Alembic { ini, .. } => {
            let mut argv = tool.python(&["-c", ALEMBIC]);
            argv.push(ini.display().to_string());
            argv.extend(current.iter().map(ToString::to_string));
            let finished = tool.command(&argv).quiet().finish().await?;
            let asked = Asked { db: &database.name, ini: &ini.display().to_string(), current, proven };
            alembic(tool, &asked, &finished)
        }
        Migrations::Django { manage, .. } => {
            let manage = manage.display().to_string();
            let ask = async |arguments: &[&str]| {
                let finished =
                    tool.command(&tool.python(&[&[manage.as_str()], arguments].concat())).quiet().finish().await?;
                if finished.status.success() { Ok(finished.lines) } else { Err(finished.cause()) }
            };
            let pending = django(&ask(&["showmigrations", "--plan", "--no-color"]).await?)?;
            if !pending.is_empty() {
                // Two leaves in one application are only noticed by a plan.
                ask(&["migrate", "--plan", "--no-color"]).await?;
            }
            Ok(Found { pending, ..Found::default() })
        }
        Migrations::Commands { pending, .. } => {
            let finished = tool.command(pending).quiet().finish().await?;
            match finished.status.code() {
                Some(0) => Ok(Found::default()),
                Some(1) => Ok(Found { pending: named(&finished.lines)?, ..Found::default() }),
                _ => Err(finished.cause().hint("the command `pending` must exit with 0 (nothing) or 1 (something)")),
            }
        }
    }
}

/// What Alembic was asked about.
struct Asked<'a> {
    db: &'a str,
    ini: &'a str,
    current: &'a [SchemaRevision],
    /// The release lives on the schema as it is, whether it knows it or not.
    proven: bool,
}

fn alembic(tool: &Tool, asked: &Asked<'_>, finished: &Finished) -> Result<Found, Cause> {
    let Asked { db, ini, current, proven } = asked;
    let (dir, python) = (tool.dir.display(), &tool.python);
    let unreadable = |why: String| Cause {
        tail: finished.lines.clone(),
        ..Cause::new(format!("Alembic cannot read the migrations of release {}: {why}", tool.release().display()))
            .hint(format!("see it yourself: cd {dir} && {python} -m alembic -c {ini} history"))
    };
    let (mut heads, mut pending, mut scripts, mut places) = (None, Vec::new(), Vec::new(), Vec::new());
    for line in finished.lines.iter().filter_map(|line| line.strip_prefix(MARK)) {
        match serde_json::from_str(line).map_err(|error| unreadable(error.to_string()))? {
            Answer::Broken { why } => return Err(Cause { tail: Vec::new(), ..unreadable(why) }),
            Answer::Heads { revisions } => heads = Some(revisions),
            Answer::Unknown { .. } if *proven => {
                // The schema is ahead, and stays there.
                return Ok(Found { target: current.to_vec(), ahead: true, ..Found::default() });
            }
            Answer::Unknown { revisions } => {
                let (unknown, to) = (list(&revisions), list(heads.as_deref().unwrap_or_default()));
                return Err(Cause::new(format!(
                    "database {db} is at revision {unknown}, which this release does not know: a newer release, or one \
                     of another branch, has migrated it"
                ))
                .hint(format!(
                    "deploy a revision that contains migration {unknown} (find it: git log --all -S {unknown}); or take \
                     the schema back with the release that knows it: in its folder, as tsh-agent-migrate, \
                     python -m alembic -c {ini} downgrade {to}"
                )));
            }
            Answer::Pending(migration) => pending.push(migration),
            Answer::Script(script) => scripts.push(script),
            Answer::Places { paths } => places = paths,
        }
    }
    let Some(heads) = heads.filter(|_| finished.status.success()) else {
        return Err(unreadable("it gave no answer".to_owned()));
    };
    if heads.len() > 1 {
        return Err(Cause::new(format!("the migrations have {} heads: {}", heads.len(), list(&heads))).hint(format!(
            "in your checkout: alembic -c {ini} merge -m \"merge heads\" {}; then commit and push",
            spaced(&heads)
        )));
    }
    Ok(Found { target: heads, pending, scripts, ahead: false, places })
}

/// Lines such as `[ ]  shop.0002_price` are pending.
fn django(lines: &[String]) -> Result<Vec<Pending>, Cause> {
    let pending = |line: &String| {
        let name = line.trim_start().strip_prefix("[ ]")?.split_whitespace().next()?;
        Some(name.parse::<SchemaRevision>().map_err(|bad| Cause::new(bad.to_string())))
    };
    lines
        .iter()
        .filter_map(pending)
        // Django wraps each migration in a transaction of its own, unless the migration says otherwise.
        .map(|revision| {
            revision.map(|revision| Pending { title: revision.to_string(), revision, nontransactional: false })
        })
        .collect()
}

/// Whatever the command says is pending, by the first word of each line. Nothing is known about transactions.
fn named(lines: &[String]) -> Result<Vec<Pending>, Cause> {
    let mut titles: Vec<&str> = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
    if titles.is_empty() {
        titles.push("something is pending");
    }
    let pending = |(at, title): (usize, &&str)| {
        let word = title.split_whitespace().next().unwrap_or_default();
        let revision = match word.parse() {
            Ok(revision) => revision,
            Err(_) => format!("pending-{}", at + 1).parse().map_err(|bad| Cause::new(format!("{bad}")))?,
        };
        Ok(Pending { revision, title: title.chars().take(200).collect(), nontransactional: true })
    };
    titles.iter().enumerate().map(pending).collect()
}

fn list(revisions: &[SchemaRevision]) -> String {
    if revisions.is_empty() { "base".to_owned() } else { joined(revisions, ", ") }
}

fn spaced(revisions: &[SchemaRevision]) -> String {
    joined(revisions, " ")
}

fn joined(revisions: &[SchemaRevision], between: &str) -> String {
    revisions.iter().map(SchemaRevision::as_str).collect::<Vec<_>>().join(between)
}

#[cfg(test)]
mod tests;

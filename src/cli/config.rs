//! `tsh-agent config`.

use serde::Serialize;

use super::{Failure, render, say, say_json, terminal, which};
use crate::config::manual::{self, Subject};
use crate::config::{self, InForce, Setting};
use crate::model::names::App;
use crate::model::outcome::Exit;

/// Show the settings in force, or explain one. Needs no agent.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Show(Show),
    Explain(Explain),
}

/// Show the settings in force, with the defaults filled in, and where each stands.
#[derive(Debug, clap::Args)]
struct Show {
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Explain a setting or a table: what it means, its default, its bounds, and what is in force.
#[derive(Debug, clap::Args)]
struct Explain {
    /// Such as "database.lane", "lane", or "gates.ci" for a table.
    key: String,
    /// The application; needed only where there are several.
    #[arg(long)]
    app: Option<App>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// One setting, for programs.
#[derive(Debug, Serialize)]
struct SettingView {
    key: String,
    value: toml::Value,
    /// `FILE:LINE`, or "default".
    from: String,
}

/// All settings, for programs.
#[derive(Debug, Serialize)]
pub(super) struct ShowView {
    app: App,
    file: String,
    settings: Vec<SettingView>,
}

/// What one setting means, for programs.
#[derive(Debug, Serialize)]
pub(super) struct ExplainView {
    key: String,
    /// A paragraph each.
    says: Vec<String>,
    required: bool,
    default: Option<toml::Value>,
    range: Option<String>,
    example: Option<toml::Value>,
    /// The keys of a table.
    keys: Vec<String>,
    /// Each place where it is in force.
    now: Vec<SettingView>,
}

pub fn run(args: Args) -> Result<Exit, Failure> {
    match args.verb {
        Verb::Show(args) => show(args),
        Verb::Explain(args) => explain(&args),
    }
}

fn show(args: Show) -> Result<Exit, Failure> {
    let app = app(args.app)?;
    let shown = config::in_force(&app).map_err(wrong)?;
    if args.json {
        return say_json(&all(&app, &shown));
    }
    say::out(&render::config::show(&shown, &terminal::look(&std::io::stdout())));
    Ok(Exit::Good)
}

fn explain(args: &Explain) -> Result<Exit, Failure> {
    let subject = manual::find(&args.key).map_err(|(what, hint)| Failure::new(Exit::Usage, what).hint(hint))?;
    // It is explained where nothing is configured yet, or something is wrong, as well.
    let shown = match (&args.app, config::apps().unwrap_or_default().as_slice()) {
        (Some(app), _) | (None, [app]) => Some(config::in_force(app).map_err(|error| error.to_string())),
        (None, _) => None,
    };
    if args.json {
        let now = shown.and_then(Result::ok);
        return say_json(&view(subject, now.as_ref()));
    }
    say::out(&render::config::explain(&subject, shown.as_ref(), &terminal::look(&std::io::stdout())));
    Ok(Exit::Good)
}

fn app(named: Option<App>) -> Result<App, Failure> {
    match named {
        Some(app) => Ok(app),
        None => which::only(config::apps().map_err(wrong)?),
    }
}

fn wrong(error: config::ConfigError) -> Failure {
    Failure::new(Exit::Usage, error.to_string())
}

fn told(setting: &Setting, shown: &InForce) -> SettingView {
    let from = setting.line.map_or_else(|| "default".to_owned(), |line| format!("{}:{line}", shown.file.display()));
    SettingView { key: setting.key.clone(), value: setting.value.clone(), from }
}

pub(super) fn all(app: &App, shown: &InForce) -> ShowView {
    let settings = shown.tables.iter().flat_map(|table| &table.settings).map(|one| told(one, shown)).collect();
    ShowView { app: app.clone(), file: shown.file.display().to_string(), settings }
}

pub(super) fn view(subject: Subject, shown: Option<&InForce>) -> ExplainView {
    let now = |path: &str| {
        let all = shown.into_iter().flat_map(|shown| shown.of(path).into_iter().map(move |one| told(one, shown)));
        all.collect()
    };
    match subject {
        Subject::Key(entry) => ExplainView {
            now: now(&entry.path),
            range: entry.range(),
            required: entry.required,
            default: entry.default,
            example: Some(entry.example),
            says: entry.says,
            keys: Vec::new(),
            key: entry.path,
        },
        Subject::Table(chapter) => ExplainView {
            now: chapter.entries.iter().flat_map(|entry| now(&entry.path)).collect(),
            range: None,
            required: false,
            default: None,
            example: None,
            says: chapter.says,
            keys: chapter.entries.into_iter().map(|entry| entry.path).collect(),
            key: chapter.path,
        },
    }
}

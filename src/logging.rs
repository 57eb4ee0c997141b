//! Log lines: to the journal, natively, so that each one carries its fields; as text where there is no journal.

use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Who logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logger {
    /// A long-running service or a person's command: the journal if systemd connected us to it, else standard error.
    Service,
    /// A step: always the journal. Its standard output and error are a file that has the same lines already.
    Step,
}

/// Sends log lines of level info and above to where `logger` wants them; the first call counts.
pub fn init(logger: Logger) {
    let connected = std::env::var_os("JOURNAL_STREAM").is_some();
    let journal = if logger == Logger::Step || connected { journal() } else { None };
    let text = (logger == Logger::Service && journal.is_none())
        .then(|| tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false));
    // A second call is a test in the same process; the first one's choice stays.
    tracing_subscriber::registry().with(LevelFilter::INFO).with(journal).with(text).try_init().ok();
}

/// The journal, if it answers.
fn journal() -> Option<tracing_journald::Layer> {
    let layer = tracing_journald::layer().ok()?;
    // Without a prefix, because `F_MESSAGE_ID` is not `MESSAGE_ID` to the catalog; and info is info, not notice.
    let priorities = PriorityMappings { info: Priority::Informational, ..PriorityMappings::new() };
    Some(
        layer.with_field_prefix(None).with_syslog_identifier("tsh-agent".to_owned()).with_priority_mappings(priorities),
    )
}

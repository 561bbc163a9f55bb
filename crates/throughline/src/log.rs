//! Lines of the log: sentences for people, or one JSON object each for programs.
//!
//! The form is chosen when the configuration is read, which is after the first line may be written; until then lines are text.
//! Refuses to know: what is logged.

use node::LogForm;
use serde_json::{Map, Value};
use std::fmt::{self, Debug};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Lines are JSON.
static JSON: AtomicBool = AtomicBool::new(false);

/// Chooses the form of all lines that follow.
pub(crate) fn choose(form: LogForm) {
    JSON.store(form == LogForm::Json, Ordering::Relaxed);
}

/// Whether standard error is what `JOURNAL_STREAM` names by device and inode: the journal of systemd, which has a time of its own for
/// each line. The name alone says nothing; whoever is started by a service inherits it.
pub(crate) fn goes_to_journal(named: Option<&str>) -> bool {
    let found = std::fs::metadata("/proc/self/fd/2").ok().map(|file| format!("{}:{}", file.dev(), file.ino()));
    named.is_some() && named == found.as_deref()
}

/// The format of lines.
#[derive(Debug)]
pub(crate) struct Lines {
    /// Lines of text begin with the time.
    pub(crate) timed: bool,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = *event.metadata().level();
        if !JSON.load(Ordering::Relaxed) {
            if self.timed {
                SystemTime.format_time(&mut out)?;
                out.write_char(' ')?;
            }
            return writeln!(out, "{level:>5} {}", fields.message);
        }
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        writeln!(out, "{}", object(&time, level.as_str(), fields))
    }
}

/// Keys in the order of the alphabet, as the map has them.
fn object(time: &str, level: &str, fields: Fields) -> Value {
    let mut object = fields.others;
    object.insert("time".to_owned(), time.into());
    object.insert("level".to_owned(), level.to_ascii_lowercase().into());
    object.insert("message".to_owned(), fields.message.into());
    Value::Object(object)
}

/// What a line says.
#[derive(Debug, Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: impl Into<Value>) {
        self.others.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.add(field, text);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    /// What is written, in one piece.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn line(timed: bool) -> String {
        let page = Page::default();
        let writer = page.clone();
        let lines =
            tracing_subscriber::fmt().event_format(Lines { timed }).with_writer(move || writer.clone()).finish();
        tracing::subscriber::with_default(lines, || {
            let group: Option<&str> = None;
            tracing::warn!(event = "alarm", seq = 7_u64, trunk = "acme", group, over = false, "it says \"no\"");
        });
        let written = page.0.lock().unwrap().clone();
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn one_line_says_the_same_to_people_and_to_programs() {
        assert_eq!(line(false), " WARN it says \"no\"\n", "the journal has the time");
        assert!(line(true).ends_with("Z  WARN it says \"no\"\n"));
        choose(LogForm::Json);
        let text = line(true);
        choose(LogForm::Text);
        let mut object: Map<String, Value> = serde_json::from_str(&text).unwrap();
        assert!(text.ends_with("}\n") && text.lines().count() == 1);
        assert!(object.remove("time").is_some_and(|time| time.as_str().is_some_and(|time| time.ends_with('Z'))));
        let wanted = serde_json::json!({
            "level": "warn", "message": "it says \"no\"", "event": "alarm", "seq": 7, "trunk": "acme", "over": false
        });
        assert_eq!(Value::Object(object), wanted, "a field that says nothing is left out");
    }

    #[test]
    fn only_the_journal_itself_takes_the_time_from_lines() {
        let own = std::fs::metadata("/proc/self/fd/2").unwrap();
        assert!(goes_to_journal(Some(&format!("{}:{}", own.dev(), own.ino()))));
        assert!(!goes_to_journal(Some("1:2")) && !goes_to_journal(None), "inherited, or none");
    }
}

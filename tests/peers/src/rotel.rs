//! Rotel: a collector of OpenTelemetry, which prints what it has understood of the traces it is given.
//!
//! Refuses to know: who gives it any, and what is right.

use crate::{OUT, begin, end, folder};
use interop::wait_until;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

/// Where it takes traces by HTTP.
pub const URL: &str = "http://127.0.0.50:4318/v1/traces";
const HTTP: &str = "127.0.0.50:4318";

/// A span as it was understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Sixteen bytes in hexadecimal.
    pub trace: String,
    /// Eight of them.
    pub id: String,
    /// The span it is a part of; empty for the first one.
    pub parent: String,
    /// What it is called.
    pub name: String,
    /// `SPAN_KIND_…`
    pub kind: String,
    /// `STATUS_CODE_…`
    pub status: String,
    /// Nanoseconds since 1970.
    pub start: u64,
    /// See `start`.
    pub end: u64,
    /// Its attributes, as `name: Type(value)`.
    pub attributes: Vec<String>,
}

/// A running collector.
pub struct Rotel {
    process: Child,
    folder: PathBuf,
}

impl Rotel {
    /// Starts one and waits until it listens.
    pub fn start() -> Self {
        let folder = folder("rotel", "collector");
        let arguments = "--otlp-grpc-endpoint 127.0.0.50:4317 --exporter blackhole --debug-log traces --debug-log-verbosity detailed";
        let mut command = Command::new(program());
        command.args(["start", "--otlp-http-endpoint", HTTP]).args(arguments.split(' '));
        let process = begin(&mut command, &folder);
        let mut collector = Self { process, folder };
        wait_until("the collector listens", Duration::from_secs(30), || {
            let ended = collector.process.try_wait().expect("our child");
            assert!(ended.is_none(), "the collector has ended: {}", collector.log());
            TcpStream::connect(HTTP).is_ok()
        });
        collector
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join(OUT)).unwrap_or_default()
    }

    /// The spans it has understood, in the order they came in.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        for line in self.log().lines() {
            if line.starts_with("Span #") {
                spans.push(Span::default());
            } else if let Some(span) = spans.last_mut() {
                span.read(line);
            }
        }
        spans
    }
}

impl Span {
    fn read(&mut self, line: &str) {
        if let Some(attribute) = line.trim_start().strip_prefix("-> ") {
            self.attributes.push(attribute.to_owned());
            return;
        }
        let Some((name, value)) = line.split_once(": ") else { return };
        let value = value.trim().to_owned();
        match name.trim() {
            "Trace ID" => self.trace = value,
            "Parent ID" => self.parent = value,
            "ID" => self.id = value,
            "Name" => self.name = value,
            "Kind" => self.kind = value,
            "Status code" => self.status = value,
            "Start time" => self.start = value.parse().unwrap_or_default(),
            "End time" => self.end = value.parse().unwrap_or_default(),
            _ => {}
        }
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the collector said:\n{}", self.log());
        }
        end(&mut self.process);
        let _left = std::fs::remove_dir_all(&self.folder);
    }
}

/// What pip has put beside its module.
fn program() -> PathBuf {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/interop/collector/lib");
    let pythons = std::fs::read_dir(tree).expect("`make interop` installs it").flatten();
    let programs = pythons.map(|python| python.path().join("site-packages/rotel/rotel-agent"));
    programs.into_iter().find(|program| program.exists()).expect("its program")
}

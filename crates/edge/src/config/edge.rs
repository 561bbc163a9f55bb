//! `[edge]`: the edge itself.

use super::fault::Faults;
use super::reader::{At, Reader, many};
use super::schema::{Section, is, other};
use super::value;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::ops::Range;

pub(super) static EDGE: Section = Section {
    title: "[edge]",
    example: "[edge]",
    about: "The edge itself.",
    keys: &[
        is("name", "text", "\"edge\"", "What records and metrics call this edge."),
        is(
            "api",
            "\"ADDRESS:PORT\" or false",
            "\"127.0.0.1:8060\"",
            "HTTP API, metrics and the operator's desk. Who may what there is in `[api]`. `false` switches it off.",
        ),
        other(
            "data",
            "a folder",
            "no store: the journal ends with the process",
            "\"/var/lib/throughline\"",
            "Folder of the embedded store: journal and call records.",
        ),
        is(
            "log",
            "\"text\" or \"json\"",
            "\"text\"",
            "Form of the log's lines. As JSON each line is one object, for programs that collect logs.",
        ),
        is(
            "emergency",
            "list of numbers",
            "[\"112\", \"911\"]",
            "Numbers as dialled that pass every limit and may use every trunk, Down ones last.",
        ),
        other(
            "product",
            "text",
            "nothing: whoever knows a version knows its faults",
            "\"Throughline\"",
            "What the edge calls itself in User-Agent and Server of calls.",
        ),
        other(
            "shadow",
            "a file",
            "no second policy",
            "\"other.toml\"",
            "Configuration whose policy runs beside this one and is never enforced: the journal tells what it would have decided. \
             Relative to the folder of this file.",
        ),
        other(
            "announcement",
            "a file",
            "comfort noise",
            "\"one-moment.wav\"",
            "What a party hears, over and over, while the other one of its call is lost and reached again (`rescue` of a trunk): a WAV file of \
             one channel, 8000 or 16000 Hz, 16 bits or G.711, two minutes at most. Relative to the folder of this file.",
        ),
        is(
            "media_io",
            "\"auto\", \"portable\" or \"io-uring\"",
            "\"auto\"",
            "How packets of media pass the kernel: by calls that every Linux has, or by io_uring where the machine allows it. What is not \
             allowed, or fails, gives way to `portable` by itself. `auto` is `portable`: it has cost no more where it was measured.",
        ),
        is(
            "capture",
            "\"SIZE\" or false",
            "\"16MiB\"",
            "Memory for the SIP messages of the last calls, which `throughline pcap` shows; shards share it. A call needs some 7 to 15 KiB, so \
             that this holds more than a thousand calls and the memory of the edge stays small. `false` keeps none.",
        ),
    ],
};

/// How packets of media pass the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MediaIo {
    /// As was found best: the portable way.
    #[default]
    Auto,
    /// By calls that every Linux has.
    Portable,
    /// By io_uring, where the machine allows it.
    IoUring,
}

/// Form of the log's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LogForm {
    /// Sentences, for people.
    #[default]
    Text,
    /// One object a line, for programs.
    Json,
}

/// Bytes for messages when nothing else is said.
const CAPTURE: usize = 16 << 20;
/// Less holds hardly a call.
const CAPTURE_LEAST: usize = 64 << 10;
const CAPTURE_MOST: usize = 1 << 30;

/// `[edge]` as read.
#[derive(Debug)]
pub(super) struct EdgeDraft {
    pub(super) name: String,
    pub(super) api: Option<SocketAddr>,
    pub(super) data: Option<String>,
    pub(super) log: LogForm,
    pub(super) emergency: Vec<String>,
    pub(super) product: Option<String>,
    pub(super) shadow: Option<String>,
    pub(super) announcement: Option<String>,
    pub(super) media_io: MediaIo,
    /// Bytes; 0 for none.
    pub(super) capture: usize,
    /// Where `api`, `data` and `media_io` are written, or the table.
    pub(super) places: [Range<usize>; 3],
}

impl Default for EdgeDraft {
    fn default() -> Self {
        Self {
            name: String::from("edge"),
            api: Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8060)),
            data: None,
            log: LogForm::default(),
            emergency: vec![String::from("112"), String::from("911")],
            product: None,
            shadow: None,
            announcement: None,
            media_io: MediaIo::default(),
            capture: CAPTURE,
            places: [0..0, 0..0, 0..0],
        }
    }
}

pub(super) fn read(root: &Reader<'_, '_>, faults: &mut Faults<'_>) -> EdgeDraft {
    let mut draft = EdgeDraft::default();
    let Some(node) = root.get("edge") else { return draft };
    let Some(reader) = Reader::open(node, &node.span(), &EDGE, faults) else { return draft };
    reader.set("name", &mut draft.name, faults, value::text);
    reader.set("api", &mut draft.api, faults, |node, faults| match node.get_ref().as_bool() {
        Some(false) => Some(None),
        _ => value::socket(node, faults).map(Some),
    });
    draft.data = reader.read("data", faults, value::text).filter(|folder| !folder.is_empty());
    reader.set("log", &mut draft.log, faults, |node, faults| {
        let word = value::word(&["text", "json"])(node, faults)?;
        Some(if word == "json" { LogForm::Json } else { LogForm::Text })
    });
    if let Some(node) = reader.get("emergency") {
        draft.emergency = many(node, faults, number).into_iter().map(|number: At<String>| number.value).collect();
    }
    draft.product = reader.read("product", faults, super::interworking::one_line);
    draft.shadow = reader.read("shadow", faults, value::text).filter(|file| !file.is_empty());
    draft.announcement = reader.read("announcement", faults, value::text).filter(|file| !file.is_empty());
    reader.set("media_io", &mut draft.media_io, faults, |node, faults| {
        Some(match value::word(&["auto", "portable", "io-uring"])(node, faults)? {
            "portable" => MediaIo::Portable,
            "io-uring" => MediaIo::IoUring,
            _ => MediaIo::Auto,
        })
    });
    reader.set("capture", &mut draft.capture, faults, |node, faults| match node.get_ref().as_bool() {
        Some(false) => Some(0),
        _ => value::size(CAPTURE_LEAST, CAPTURE_MOST)(node, faults),
    });
    draft.places = [reader.place("api"), reader.place("data"), reader.place("media_io")];
    if let Some(api) = draft.api.filter(|api| !api.ip().is_loopback()) {
        let what = format!("the API is not encrypted, and {} is reachable from outside this machine", api.ip());
        let fix = Some(format!("write \"127.0.0.1:{}\" and put a proxy with TLS before it", api.port()));
        faults.warn(&reader.place("api"), what, "a loopback address", fix);
    }
    draft
}

/// Digits as dialled, `+` first if at all.
pub(super) fn number(node: &super::reader::Node<'_>, faults: &mut Faults<'_>) -> Option<String> {
    let text = node.get_ref().as_str().unwrap_or_default();
    let digits = text.strip_prefix('+').unwrap_or(text);
    let good = (1..=32).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, '*' | '#'));
    if !good {
        let fix = node.get_ref().as_integer().map(|number| format!("write \"{}\"", value::short(number.as_str())));
        let what = format!("{} is no number to dial", value::found(node));
        faults.error(&node.span(), what, "digits in quotes, with `+` before them if dialled so", fix);
    }
    good.then(|| text.to_owned())
}

//! What was said in a call, as a file of pcap; headers tell how much of it that is.
//!
//! Refuses to know: how it is kept, what a file of pcap looks like.

use crate::ask::{Ask, Pcap};
use crate::fault::Fault;
use crate::routes::{Part, part, reference};
use crate::serve::Api;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

/// As registered with IANA.
pub(crate) const PCAP: &str = "application/vnd.tcpdump.pcap";

pub(crate) async fn pcap(State(api): State<Api>, id: Part<String>) -> Result<Response, Fault> {
    let call = reference(&part(id)?)?;
    let said = api.ask(api.limits().answer, |reply| Ask::Pcap { call, call_ids: Vec::new(), reply }).await?;
    let Pcap { file, messages, span: (first, last), whole, cut, left_off } = said;
    let head = [
        (header::CONTENT_TYPE, PCAP.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{call}.pcap\"")),
    ];
    let told = [
        ("capture-messages", messages.to_string()),
        ("capture-first", first.to_string()),
        ("capture-last", last.to_string()),
        ("capture-whole", if whole { "yes" } else { "no" }.to_owned()),
        ("capture-cut", cut.to_string()),
        ("capture-left-off", left_off.to_string()),
    ];
    Ok((head, told, file).into_response())
}

//! Routes of the drill: it is begun, kept, told what to break, and ended by whoever holds its number.
//!
//! Refuses to know: what a drill tries.

use crate::access::Caller;
use crate::ask::{Ask, DrillAsk};
use crate::fault::{Fault, Kind};
use crate::routes::{Answer, Params, Part, flag, named, number, parsed, part, short, value, word};
use crate::serve::Api;
use axum::body::Bytes;
use axum::extract::State;
use axum::{Extension, Json};
use model::DrillFault;
use std::net::SocketAddr;

/// Seconds that a drill lasts at most when nothing else is asked for.
const USUAL_LIMIT: u64 = 600;
/// Names in a list at most.
const LIST: usize = 64;

pub(crate) async fn look(State(api): State<Api>) -> Answer {
    ask(&api, DrillAsk::Look).await
}

pub(crate) async fn begin(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    params: Params,
    body: Bytes,
) -> Answer {
    let params = parsed(params, &["trunks", "callers", "all_calls", "limit"])?;
    let word = word(caller, &body)?;
    let trunks = list(value(&params, "trunks").unwrap_or_default())?;
    let callers = list(value(&params, "callers").unwrap_or_default())?;
    let callers = callers.iter().map(|caller| caller_of(caller)).collect::<Result<Vec<_>, Fault>>()?;
    let (all_calls, limit) = (flag(&params, "all_calls")?, number(&params, "limit", USUAL_LIMIT)?);
    ask(&api, DrillAsk::Begin { word, trunks, callers, all_calls, limit }).await
}

pub(crate) async fn damage(State(api): State<Api>, drill: Part<String>, params: Params) -> Answer {
    let (id, params) = (number_of(drill)?, parsed(params, &["trunk", "fault"])?);
    let fault = Some(fault(value(&params, "fault").unwrap_or_default())?);
    ask(&api, DrillAsk::Break { id, trunk: trunk(&params)?, fault }).await
}

pub(crate) async fn mend(State(api): State<Api>, drill: Part<String>, params: Params) -> Answer {
    let (id, params) = (number_of(drill)?, parsed(params, &["trunk"])?);
    ask(&api, DrillAsk::Break { id, trunk: trunk(&params)?, fault: None }).await
}

pub(crate) async fn keep(State(api): State<Api>, drill: Part<String>) -> Answer {
    ask(&api, DrillAsk::Keep { id: number_of(drill)? }).await
}

pub(crate) async fn end(State(api): State<Api>, drill: Part<String>, params: Params) -> Answer {
    let (id, params) = (number_of(drill)?, parsed(params, &["passed", "failed"])?);
    let lines = |name| number(&params, name, 0).map(|lines| u32::try_from(lines).unwrap_or(u32::MAX));
    ask(&api, DrillAsk::End { id, passed: lines("passed")?, failed: lines("failed")? }).await
}

fn trunk(params: &[(String, String)]) -> Result<String, Fault> {
    named("trunk", value(params, "trunk").unwrap_or_default().to_owned())
}

/// The number that the answer to its beginning bore. A number in Rust may have a plus before it, this one has none.
fn number_of(drill: Part<String>) -> Result<u64, Fault> {
    let text = part(drill)?;
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u64::from_str_radix(&text, 16).ok().filter(|_| digits).ok_or_else(|| {
        let hint = "the `id` that POST /v1/drill has answered";
        Fault::new(Kind::Invalid, format!("`{}` is no drill", short(&text)), hint)
    })
}

async fn ask(api: &Api, what: DrillAsk) -> Answer {
    api.ask(api.limits().answer, |reply| Ask::Drill { what, reply }).await.map(Json)
}

fn list(text: &str) -> Result<Vec<String>, Fault> {
    let parts: Vec<String> = text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    if parts.len() > LIST {
        return Err(Fault::new(Kind::Invalid, "the list is too long", format!("{LIST} names at most")));
    }
    Ok(parts)
}

/// `office@192.0.2.5:5090`: as whose calls come from where.
fn caller_of(text: &str) -> Result<(SocketAddr, String), Fault> {
    let parts = text.split_once('@').and_then(|(trunk, addr)| Some((addr.parse().ok()?, trunk.to_owned())));
    parts.ok_or_else(|| {
        let hint = "the name of a trunk and an address: office@192.0.2.5:5090";
        Fault::new(Kind::Invalid, format!("`{}` is no caller", short(text)), hint)
    })
}

fn fault(word: &str) -> Result<DrillFault, Fault> {
    let hint = "dns, refuse, silent, stall, grey, rtp-from, rtp-to, or a code such as 503";
    let error = || Fault::new(Kind::Invalid, format!("`{}` is no way to break a trunk", short(word)), hint);
    DrillFault::from_word(word).ok_or_else(error)
}

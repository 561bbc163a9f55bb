//! Routes of a group: a tier of it is put first for a time, or no more.
//!
//! Refuses to know: what comes of it.

use crate::access::Caller;
use crate::ask::{Ask, GroupAct};
use crate::fault::{Fault, Kind};
use crate::routes::{Answer, Params, Part, named, number, parsed, part, value, word};
use crate::serve::Api;
use axum::body::Bytes;
use axum::extract::State;
use axum::{Extension, Json};
use model::{ForceLength, Span};

pub(crate) async fn force(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    name: Part<String>,
    params: Params,
    body: Bytes,
) -> Answer {
    let params = parsed(params, &["tier", "for"])?;
    let act = GroupAct::Force { tier: tier(&params)?, length: length(&params)? };
    operate(&api, name, act, caller, &body).await
}

pub(crate) async fn release(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    name: Part<String>,
    body: Bytes,
) -> Answer {
    operate(&api, name, GroupAct::Release, caller, &body).await
}

async fn operate(api: &Api, name: Part<String>, act: GroupAct, caller: Caller, body: &Bytes) -> Answer {
    let (group, word) = (named("group", part(name)?)?, word(caller, body)?);
    api.ask(api.limits().answer, |reply| Ask::OperateGroup { group, act, word, reply }).await.map(Json)
}

fn tier(params: &[(String, String)]) -> Result<u8, Fault> {
    let hint = "a tier of the group, 0 the best";
    let wrong = |error: String| Fault::new(Kind::Invalid, error, hint);
    value(params, "tier").ok_or_else(|| wrong(String::from("no `tier` is named")))?;
    let tier = number(params, "tier", 0)?;
    u8::try_from(tier).map_err(|_| wrong(format!("`tier` is {tier}")))
}

/// Seconds.
fn length(params: &[(String, String)]) -> Result<ForceLength, Fault> {
    let (least, most) = (ForceLength::LEAST.as_secs(), ForceLength::MOST.as_secs());
    let wrong = |error: String| Fault::new(Kind::Invalid, error, format!("seconds, {least} to {most}"));
    value(params, "for").ok_or_else(|| wrong(String::from("`for` does not say how long")))?;
    let asked = number(params, "for", 0)?;
    // Longer than may be is so whatever the unit.
    let span = Span::from_secs(asked.min(most + 1));
    ForceLength::new(span).ok_or_else(|| wrong(format!("`for` is {asked}")))
}

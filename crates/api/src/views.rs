//! What the operator's desk lives by: totals and pages, put together by the edge, so that no answer is larger than what is shown.
//!
//! Refuses to know: how it is shown.

use crate::ask::{Ask, DeskOrder, DeskQuery};
use crate::events;
use crate::fault::{Fault, Kind};
use crate::routes::{Answer, Params, flag, limit, named, number, parsed, value};
use crate::serve::Api;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use model::Seq;
use serde_json::{Value, json};

pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/v1/desk", get(desk))
        .route("/v1/desk/groups", get(groups))
        .route("/v1/desk/live", get(live))
        .route("/v1/desk/ended", get(ended))
        .route("/v1/timeline", get(timeline))
}

async fn desk(State(api): State<Api>, params: Params) -> Answer {
    let params = parsed(params, &["find", "troubled", "order", "skip", "limit"])?;
    let order = match value(&params, "order") {
        None | Some("worst") => DeskOrder::Worst,
        Some("name") => DeskOrder::Name,
        Some("calls") => DeskOrder::Calls,
        Some(_) => return Err(Fault::new(Kind::Invalid, "`order` is none that is known", "worst, name or calls")),
    };
    let find = value(&params, "find").filter(|text| !text.is_empty()).map(|text| named("find", text.to_owned()));
    let query = DeskQuery {
        find: find.transpose()?.unwrap_or_default().to_lowercase(),
        troubled: flag(&params, "troubled")?,
        order,
        skip: skip(&params)?,
        limit: limit(&params)?,
    };
    api.ask(api.limits().answer, |reply| Ask::Desk { query, reply }).await.map(Json)
}

async fn groups(State(api): State<Api>, params: Params) -> Answer {
    let params = parsed(params, &["skip", "limit"])?;
    let (skip, limit) = (skip(&params)?, limit(&params)?);
    api.ask(api.limits().answer, |reply| Ask::Groups { skip, limit, reply }).await.map(Json)
}

async fn live(State(api): State<Api>, params: Params) -> Answer {
    let limit = limit(&parsed(params, &["limit"])?)?;
    api.ask(api.limits().answer, |reply| Ask::Live { limit, reply }).await.map(Json)
}

async fn ended(State(api): State<Api>, params: Params) -> Answer {
    let params = parsed(params, &["before", "limit"])?;
    let (before, limit) = (before(&params)?, limit(&params)?);
    let calls = api.ask(api.limits().answer, |reply| Ask::Ended { before, limit, reply }).await?;
    Ok(Json(json!({ "calls": calls })))
}

async fn timeline(State(api): State<Api>, params: Params) -> Answer {
    let params = parsed(params, &["trunk", "before", "limit"])?;
    let (before, limit) = (before(&params)?, limit(&params)?);
    let trunk = value(&params, "trunk").map(|name| named("trunk", name.to_owned())).transpose()?;
    let entries = api.ask(api.limits().answer, |reply| Ask::Timeline { trunk, before, limit, reply }).await?;
    let more = entries.len() == limit;
    let entries: Vec<Value> = entries.iter().map(events::told).collect();
    Ok(Json(json!({ "entries": entries, "more": more })))
}

fn before(params: &[(String, String)]) -> Result<Option<Seq>, Fault> {
    value(params, "before").map(|_| number(params, "before", 0).map(Seq)).transpose()
}

fn skip(params: &[(String, String)]) -> Result<usize, Fault> {
    Ok(usize::try_from(number(params, "skip", 0)?).unwrap_or(usize::MAX))
}

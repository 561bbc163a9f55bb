//! Routes: paths and parameters in, one question to the node each, JSON out.
//!
//! Refuses to know: connections.

use crate::access::Caller;
use crate::ask::{Ask, Health, TrunkAct, Word};
use crate::capture;
use crate::connection::Answering;
use crate::cursor;
use crate::desk;
use crate::drill;
use crate::events;
use crate::fault::{Fault, Kind};
use crate::group;
use crate::moment;
use crate::openapi;
use crate::serve::Api;
use crate::views;
use axum::body::Bytes;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Extension, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use model::{CallRef, Seq, Wall};
use serde_json::{Value, json};
use std::time::Duration;

/// Rows in an answer at most.
const MOST: usize = 1_000;
/// Rows in an answer when nothing else is asked for.
const USUAL: usize = 100;
/// Characters of a name, a number or a parameter at most: what a description of the API can say.
const TEXT: usize = 128;
/// Characters of a reason at most.
const WHY: usize = 200;
/// Parameters at most.
const PARAMS: usize = 16;
/// For the node to answer a probe: a thread that takes longer is not alive.
const PROBE: Duration = Duration::from_secs(2);
/// What OpenMetrics text calls itself.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What Prometheus text calls itself.
const PLAIN_METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) type Answer = Result<Json<Value>, Fault>;
pub(crate) type Part<T> = Result<Path<T>, PathRejection>;
pub(crate) type Params = Result<Query<Vec<(String, String)>>, QueryRejection>;

pub(crate) fn router(api: Api) -> Router {
    let body = usize::try_from(api.limits().body).unwrap_or(usize::MAX);
    Router::new()
        .merge(desk::routes())
        .merge(views::routes())
        .route("/v1/access", get(access))
        .route("/v1/trunks", get(trunks))
        .route("/v1/trunks/{name}", get(trunk))
        .route("/v1/trunks/{name}/test-call", post(test_call))
        .route("/v1/trunks/{name}/{act}", post(operate))
        .route("/v1/groups/{name}/force", post(group::force))
        .route("/v1/groups/{name}/release", post(group::release))
        .route("/v1/webhooks/{name}/test", post(test_post))
        .route("/v1/guard", get(guard))
        .route("/v1/guard/{source}/forgive", post(forgive))
        .route("/v1/calls", get(calls))
        .route("/v1/calls/{call}", get(call))
        .route("/v1/calls/{call}/pcap", get(capture::pcap))
        .route("/v1/cdrs", get(cdrs))
        .route("/v1/why/call/{call}", get(why_call))
        .route("/v1/why/trunk/{name}", get(why_trunk))
        .route("/v1/why/group/{name}", get(why_group))
        .route("/v1/table", get(table))
        .route("/v1/alarms", get(alarms))
        .route("/v1/events", get(events::stream))
        .route("/v1/route", get(route))
        .route("/v1/journal", get(journal))
        .route("/v1/drill", get(drill::look).post(drill::begin))
        .route("/v1/drill/{drill}/break", post(drill::damage))
        .route("/v1/drill/{drill}/mend", post(drill::mend))
        .route("/v1/drill/{drill}/keep", post(drill::keep))
        .route("/v1/drill/{drill}/end", post(drill::end))
        .route("/v1/reload", post(reload))
        .route("/v1/lab/{what}", post(extra))
        .route("/v1/openapi.json", get(described))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(body))
        .layer(middleware::from_fn_with_state(api.clone(), gate))
        .with_state(api)
}

/// What every request passes: counted as being answered; nothing large; nobody who may not.
async fn gate(
    State(api): State<Api>,
    ConnectInfo(answering): ConnectInfo<Answering>,
    mut request: Request,
    next: Next,
) -> Response {
    let _answering = answering.begin();
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok()).unwrap_or(0);
    if length > api.limits().body {
        return Fault::new(Kind::TooLarge, "the body is too large", "say why in a few words: `{\"why\": \"…\"}`")
            .into_response();
    }
    if !desk::is_open(request.uri().path()) {
        let caller = api.access().caller(request.headers());
        let caller = caller.and_then(|one| one.may(request.method(), request.headers()).map(|()| one));
        match caller {
            Ok(caller) => drop(request.extensions_mut().insert(caller)),
            Err(fault) => {
                api.listeners().refuse();
                return fault.into_response();
            }
        }
    }
    let mut response = next.run(request).await;
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Who asks: what the page may offer.
async fn access(State(api): State<Api>, Extension(caller): Extension<Caller>) -> Json<Value> {
    let Caller { who, role, by_token } = caller;
    Json(json!({ "who": who, "role": role.word(), "by_token": by_token, "tokens": api.access().has_tokens() }))
}

async fn trunk(State(api): State<Api>, name: Part<String>) -> Answer {
    let trunk = named("trunk", part(name)?)?;
    api.ask(api.limits().answer, |reply| Ask::Trunk { trunk, reply }).await.map(Json)
}

/// Why somebody acts: a body that is missing or empty says nothing.
pub(crate) fn word(caller: Caller, body: &[u8]) -> Result<Word, Fault> {
    let hint = format!("a JSON object `{{\"why\": \"…\"}}` of up to {WHY} characters in one line, or no body at all");
    let wrong = |error: &str| Fault::new(Kind::Invalid, error, hint.clone());
    if body.is_empty() {
        return Ok(Word { who: caller.who, why: String::new() });
    }
    let value: Value = serde_json::from_slice(body).map_err(|_| wrong("the body is no JSON"))?;
    let object = value.as_object().ok_or_else(|| wrong("the body is no JSON object"))?;
    if let Some(other) = object.keys().find(|key| key.as_str() != "why") {
        return Err(wrong(&format!("the body has `{}`, which means nothing here", short(other))));
    }
    let why = match object.get("why") {
        None | Some(Value::Null) => "",
        Some(why) => why.as_str().ok_or_else(|| wrong("`why` is no text"))?,
    };
    if why.chars().count() > WHY || why.chars().any(char::is_control) {
        return Err(wrong("`why` is too long, or more than one line"));
    }
    Ok(Word { who: caller.who, why: why.trim().to_owned() })
}

async fn trunks(State(api): State<Api>) -> Answer {
    let list = api.ask(api.limits().answer, |reply| Ask::Trunks { reply }).await?;
    Ok(Json(json!({ "trunks": list })))
}

async fn operate(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    path: Part<(String, String)>,
    body: Bytes,
) -> Answer {
    let (trunk, act) = part(path)?;
    let Some(act) = TrunkAct::from_word(&act) else {
        let hint = "POST /v1/trunks/{name}/drain, /out, /restore, /probe or /test-call";
        return Err(Fault::new(Kind::NotFound, format!("a trunk cannot be told to `{}`", short(&act)), hint));
    };
    let (trunk, word) = (named("trunk", trunk)?, word(caller, &body)?);
    api.ask(api.limits().answer, |reply| Ask::Operate { trunk, act, word, reply }).await.map(Json)
}

async fn guard(State(api): State<Api>, params: Params) -> Answer {
    let limit = limit(&parsed(params, &["limit"])?)?;
    api.ask(api.limits().answer, |reply| Ask::Guard { limit, reply }).await.map(Json)
}

async fn forgive(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    source: Part<String>,
    body: Bytes,
) -> Answer {
    let (source, word) = (named("source", part(source)?)?, word(caller, &body)?);
    api.ask(api.limits().answer, |reply| Ask::Forgive { source, word, reply }).await.map(Json)
}

async fn test_call(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    name: Part<String>,
    body: Bytes,
) -> Answer {
    let (trunk, word) = (named("trunk", part(name)?)?, word(caller, &body)?);
    api.ask(api.limits().test_call, |reply| Ask::TestCall { trunk, word, reply }).await.map(Json)
}

async fn test_post(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    name: Part<String>,
    body: Bytes,
) -> Answer {
    let (webhook, word) = (named("webhook", part(name)?)?, word(caller, &body)?);
    api.ask(api.limits().test_post, |reply| Ask::TestPost { webhook, word, reply }).await.map(Json)
}

async fn calls(State(api): State<Api>, params: Params) -> Answer {
    let params = parsed(params, &["limit", "after"])?;
    let (limit, after) = (limit(&params)?, value(&params, "after").map(cursor::parse).transpose()?);
    let page = api.ask(api.limits().answer, |reply| Ask::Calls { limit, after, reply }).await?;
    let next = page.last.map(cursor::write);
    Ok(Json(json!({ "calls": page.calls, "next": next, "missing": page.missing })))
}

async fn call(State(api): State<Api>, id: Part<String>) -> Answer {
    let call = reference(&part(id)?)?;
    api.ask(api.limits().answer, |reply| Ask::Call { call, reply }).await.map(Json)
}

async fn why_call(State(api): State<Api>, id: Part<String>) -> Answer {
    let call = reference(&part(id)?)?;
    let sentences = api.ask(api.limits().answer, |reply| Ask::WhyCall { call, reply }).await?;
    Ok(Json(json!({ "call": call, "sentences": sentences })))
}

async fn why_trunk(State(api): State<Api>, name: Part<String>, params: Params) -> Answer {
    let params = parsed(params, &["limit", "shadow"])?;
    let (limit, shadow) = (limit(&params)?, flag(&params, "shadow")?);
    let trunk = named("trunk", part(name)?)?;
    let asked = trunk.clone();
    let ask = |reply| Ask::WhyTrunk { trunk: asked, limit, shadow, reply };
    let sentences = api.ask(api.limits().answer, ask).await?;
    Ok(Json(json!({ "trunk": trunk, "sentences": sentences })))
}

/// How the group is now, then what has been decided about its members.
async fn why_group(State(api): State<Api>, name: Part<String>, params: Params) -> Answer {
    let limit = limit(&parsed(params, &["limit"])?)?;
    let group = named("group", part(name)?)?;
    let view = api.ask(api.limits().answer, |reply| Ask::Group { group, reply }).await?;
    let members = view.tiers.iter().flat_map(|tier| &tier.members);
    let trunks = members.map(|member| member.trunk.to_string()).collect();
    let group = view.name.to_string();
    let ask = |reply| Ask::Decisions { group, trunks, limit, reply };
    let decisions = api.ask(api.limits().answer, ask).await?;
    let mut sentences = explain::why_group(&view);
    sentences.extend(decisions.iter().map(explain::sentence));
    Ok(Json(json!({ "group": view.name, "now": view, "sentences": sentences })))
}

async fn table(State(api): State<Api>) -> Answer {
    api.ask(api.limits().answer, |reply| Ask::Table { reply }).await.map(Json)
}

async fn alarms(State(api): State<Api>) -> Answer {
    let list = api.ask(api.limits().answer, |reply| Ask::Alarms { reply }).await?;
    Ok(Json(json!({ "alarms": list })))
}

async fn route(State(api): State<Api>, params: Params) -> Answer {
    let params = parsed(params, &["number", "from"])?;
    let hint = "GET /v1/route?number=%2B4722334455&from=office";
    let number = value(&params, "number").ok_or_else(|| Fault::new(Kind::Invalid, "`number` is missing", hint))?;
    // In a query a bare `+` means a space, and people type numbers as they are written.
    let number = number.strip_prefix(' ').map_or_else(|| number.to_owned(), |digits| format!("+{digits}"));
    let number = named("number", number)?;
    let from = value(&params, "from").map(|name| named("from", name.to_owned())).transpose()?;
    api.ask(api.limits().answer, |reply| Ask::Route { from, number, reply }).await.map(Json)
}

async fn journal(State(api): State<Api>, params: Params) -> Answer {
    let params = parsed(params, &["from", "limit"])?;
    let limit = limit(&params)?;
    let from = Seq(number(&params, "from", 1)?);
    let entries = api.ask(api.limits().answer, |reply| Ask::Journal { from, limit, reply }).await?;
    let next = entries.last().map_or(from.0, |entry| entry.seq.0.saturating_add(1));
    let entries: Vec<Value> = entries.iter().map(events::told).collect();
    Ok(Json(json!({ "entries": entries, "next": next })))
}

/// Calls that are over, one row each.
async fn cdrs(State(api): State<Api>, params: Params) -> Answer {
    let params = parsed(params, &["from", "since", "limit"])?;
    let (limit, from) = (limit(&params)?, number(&params, "from", 1)?);
    let since = value(&params, "since").map(moment).transpose()?;
    let rows = api.ask(api.limits().answer, |reply| Ask::Cdrs { from: Seq(from), since, limit, reply }).await?;
    let last = rows.as_array().and_then(|rows| rows.last()?.get("seq")?.as_u64());
    let next = last.map_or(from, |last| last.saturating_add(1));
    Ok(Json(json!({ "cdrs": rows, "next": next })))
}

async fn described() -> Json<Value> {
    Json(openapi::document())
}

async fn reload(State(api): State<Api>) -> Answer {
    api.ask(api.limits().answer, |reply| Ask::Reload { reply }).await.map(Json)
}

async fn extra(State(api): State<Api>, what: Part<String>, params: Params) -> Answer {
    let Query(params) = params.map_err(|error| bad_query(&error))?;
    if params.len() > PARAMS
        || params.iter().any(|(name, value)| [name, value].iter().any(|text| text.chars().count() > TEXT))
    {
        let hint = format!("at most {PARAMS} of {TEXT} characters each");
        return Err(Fault::new(Kind::Invalid, "too many or too long parameters", hint));
    }
    let what = named("question", part(what)?)?;
    api.ask(api.limits().extra, |reply| Ask::Extra { what, params, reply }).await.map(Json)
}

/// Prometheus says that it takes OpenMetrics; tools that say nothing want what Prometheus has always read.
async fn metrics(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Fault> {
    let mut snapshot = api.ask(api.limits().answer, |reply| Ask::Metrics { reply }).await?;
    api.listeners().measure(&mut snapshot);
    let accepts = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let open = accepts.contains("application/openmetrics-text");
    let (kind, text) =
        if open { (OPEN_METRICS, snapshot.render_open()) } else { (PLAIN_METRICS, snapshot.render_plain()) };
    let text =
        text.map_err(|_| Fault::new(Kind::Failed, "the metrics cannot be written", "report this with the version"))?;
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

async fn healthz(State(api): State<Api>) -> Answer {
    match health(&api).await?.silent {
        None => Ok(Json(json!({ "alive": true }))),
        Some(which) => Err(Fault::new(Kind::Unavailable, which, "look at the log; restart if it stays so")),
    }
}

async fn readyz(State(api): State<Api>) -> Answer {
    let health = health(&api).await?;
    match health.silent.or(health.unready) {
        None => Ok(Json(json!({ "ready": true }))),
        Some(why) => Err(Fault::new(Kind::Unavailable, why, "send new calls elsewhere for now")),
    }
}

async fn health(api: &Api) -> Result<Health, Fault> {
    api.ask(PROBE.min(api.limits().answer), |reply| Ask::Health { reply }).await
}

async fn unknown(request: Request) -> Fault {
    let path = short(request.uri().path()).to_owned();
    let hint = "the desk at /, /v1/desk, /v1/timeline, /v1/trunks, /v1/guard, /v1/calls, /v1/calls/ID/pcap, /v1/cdrs, /v1/why/call/ID, /v1/why/trunk/NAME, /v1/why/group/NAME, /v1/route, /v1/journal, /v1/events, /v1/alarms, /v1/table, /v1/drill, /v1/openapi.json, /metrics, /healthz, /readyz";
    Fault::new(Kind::NotFound, format!("there is nothing at {path}"), hint)
}

async fn wrong_method(request: Request) -> Fault {
    let error = format!("{} is not taken here", short(request.method().as_str()));
    Fault::new(Kind::Method, error, "look with GET, change with POST")
}

pub(crate) fn part<T>(path: Part<T>) -> Result<T, Fault> {
    let unreadable =
        |error| Fault::new(Kind::Invalid, format!("the path cannot be read: {error}"), "UTF-8, percent-encoded");
    path.map(|Path(part)| part).map_err(unreadable)
}

pub(crate) fn reference(id: &str) -> Result<CallRef, Fault> {
    let hint = "up to sixteen hexadecimal digits, as GET /v1/calls shows them";
    // A number in Rust may have a plus before it, a reference has none.
    let digits = id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let error = || Fault::new(Kind::Invalid, format!("`{}` is no call", short(id)), hint);
    id.parse().ok().filter(|_| digits).ok_or_else(error)
}

fn moment(text: &str) -> Result<Wall, Fault> {
    moment::parse(text).ok_or_else(|| {
        let hint = "as 2026-11-24T12:04:07Z, 2026-11-24T13:04:07+01:00 or 2026-11-24";
        Fault::new(Kind::Invalid, format!("`{}` is no moment", short(text)), hint)
    })
}

pub(crate) fn named(what: &str, text: String) -> Result<String, Fault> {
    if text.is_empty() || text.chars().count() > TEXT || text.chars().any(char::is_control) {
        let hint = format!("1 to {TEXT} characters without control characters");
        return Err(Fault::new(Kind::Invalid, format!("`{what}` is not fit to be one"), hint));
    }
    Ok(text)
}

/// The parameters, all of them known.
pub(crate) fn parsed(params: Params, known: &[&str]) -> Result<Vec<(String, String)>, Fault> {
    let Query(params) = params.map_err(|error| bad_query(&error))?;
    match params.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        None => Ok(params),
        Some((name, _)) => {
            let error = format!("there is no parameter `{}`", short(name));
            Err(Fault::new(Kind::Invalid, error, format!("known here: {}", known.join(", "))))
        }
    }
}

fn bad_query(error: &QueryRejection) -> Fault {
    Fault::new(
        Kind::Invalid,
        format!("the parameters cannot be read: {error}"),
        "?name=value&name=value, percent-encoded",
    )
}

pub(crate) fn value<'a>(params: &'a [(String, String)], name: &str) -> Option<&'a str> {
    params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

pub(crate) fn number(params: &[(String, String)], name: &str, usual: u64) -> Result<u64, Fault> {
    value(params, name).map_or(Ok(usual), |text| {
        let error = || Fault::new(Kind::Invalid, format!("`{name}` is no number"), "digits only");
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| digits).ok_or_else(error)
    })
}

pub(crate) fn flag(params: &[(String, String)], name: &str) -> Result<bool, Fault> {
    match value(params, name) {
        None | Some("false") => Ok(false),
        Some("true" | "") => Ok(true),
        Some(_) => Err(Fault::new(Kind::Invalid, format!("`{name}` is neither true nor false"), "true or false")),
    }
}

pub(crate) fn limit(params: &[(String, String)]) -> Result<usize, Fault> {
    let asked = number(params, "limit", USUAL as u64)?;
    match usize::try_from(asked) {
        Ok(limit @ 1..=MOST) => Ok(limit),
        _ => Err(Fault::new(Kind::Invalid, format!("`limit` is {asked}"), format!("1 to {MOST}"))),
    }
}

/// The beginning of a text that came from outside, for an error that quotes it.
pub(crate) fn short(text: &str) -> &str {
    text.char_indices().nth(TEXT).map_or(text, |(end, _)| text.get(..end).unwrap_or_default())
}

//! The drill at the edge, by its API: begun, told what to break, kept, ended. Dropped, it ends there by itself within seconds.
//!
//! Refuses to know: what is tried.

use crate::ask;
use crate::http::{Client, encode};
use crate::say::Failure;
use model::DrillFault;
use serde_json::Value;
use std::net::SocketAddr;

/// A drill under way at an edge.
pub(super) struct Desk<'a> {
    api: &'a Client,
    id: String,
    /// What the Call-IDs of its calls begin with.
    pub(super) mark: String,
    /// Who drills, as the edge knows him.
    pub(super) who: String,
}

/// What is asked for.
pub(super) struct Wanted<'a> {
    pub(super) why: &'a str,
    pub(super) trunks: Vec<&'a str>,
    pub(super) callers: Vec<(&'a str, SocketAddr)>,
    pub(super) all_calls: bool,
    pub(super) limit_s: u64,
}

impl<'a> Desk<'a> {
    /// Begins one.
    pub(super) fn begin(api: &'a Client, wanted: &Wanted<'_>) -> Result<Self, Failure> {
        let callers: Vec<String> = wanted.callers.iter().map(|(trunk, addr)| format!("{trunk}@{addr}")).collect();
        let path = format!(
            "/v1/drill?trunks={}&callers={}&all_calls={}&limit={}",
            encode(&wanted.trunks.join(",")),
            encode(&callers.join(",")),
            wanted.all_calls,
            wanted.limit_s
        );
        let answer = ask::post_why(api, &path, wanted.why)?;
        let word = |name: &str| answer[name].as_str().map(str::to_owned);
        let strange = || Failure(String::from("the edge has begun no drill; is it of this version?"));
        let who = answer.pointer("/drill/who").and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Self { api, id: word("id").ok_or_else(strange)?, mark: word("mark").ok_or_else(strange)?, who })
    }

    /// Breaks a trunk, or mends it; done when every part of the edge plays it.
    pub(super) fn set(&self, trunk: &str, fault: Option<DrillFault>) -> Result<(), Failure> {
        let trunk = encode(trunk);
        let what = match fault {
            Some(fault) => format!("break?trunk={trunk}&fault={}", fault.word()),
            None => format!("mend?trunk={trunk}"),
        };
        ask::post(self.api, &format!("/v1/drill/{}/{what}", self.id)).map(|_| ())
    }

    /// It goes on; what the edge says of it.
    pub(super) fn keep(&self) -> Result<Value, Failure> {
        ask::post(self.api, &format!("/v1/drill/{}/keep", self.id))
    }

    /// Whom a call would try first now.
    pub(super) fn first(&self, from: &str, number: &str) -> Result<Option<String>, Failure> {
        let path = format!("/v1/route?number={}&from={}", encode(number), encode(from));
        let route = ask::get(self.api, &path)?;
        Ok(route.pointer("/order/0").and_then(Value::as_str).map(str::to_owned))
    }

    /// It is done.
    pub(super) fn end(&self, passed: usize, failed: usize) -> Result<(), Failure> {
        ask::post(self.api, &format!("/v1/drill/{}/end?passed={passed}&failed={failed}", self.id)).map(|_| ())
    }

    /// The record of a call whose Call-ID begins so, and why it went as it did; none before it is written.
    pub(super) fn record(&self, mark: &str) -> Result<Option<(Value, Vec<String>)>, Failure> {
        let answer = self.keep()?;
        let calls = answer.pointer("/drill/calls").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mine = calls.iter().find(|call| call["call_id"].as_str().is_some_and(|id| id.starts_with(mark)));
        let Some(id) = mine.and_then(|call| call["call"].as_str()) else { return Ok(None) };
        // While the journal is behind, the shards are asked, and they know it no more.
        let told = |path: String| ask::get(self.api, &path).ok();
        let record = told(format!("/v1/calls/{id}")).filter(|record| record.get("media").is_some());
        let Some((record, why)) = record.zip(told(format!("/v1/why/call/{id}"))) else { return Ok(None) };
        let sentences = why["sentences"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(Some((record, sentences.iter().filter_map(Value::as_str).map(str::to_owned).collect())))
    }
}

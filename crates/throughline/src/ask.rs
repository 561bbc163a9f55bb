//! A question to the API: JSON back, or words that say what to do.
//!
//! Refuses to know: how answers are shown.

use crate::http::{Answer, Client, NoReply};
use crate::say::{Failure, say};
use serde_json::Value;

/// JSON of a GET.
pub(crate) fn get(api: &Client, path: &str) -> Result<Value, Failure> {
    ask(api, "GET", path, "")
}

/// JSON of a POST.
pub(crate) fn post(api: &Client, path: &str) -> Result<Value, Failure> {
    ask(api, "POST", path, "")
}

/// JSON of a POST that says why.
pub(crate) fn post_why(api: &Client, path: &str, why: &str) -> Result<Value, Failure> {
    ask(api, "POST", path, &serde_json::json!({ "why": why }).to_string())
}

fn ask(api: &Client, method: &str, path: &str, body: &str) -> Result<Value, Failure> {
    let reply = api.send(method, path, body).map_err(|why| Failure(no_reply(api.host(), &why)))?;
    let answer: Option<Value> = serde_json::from_str(&reply.body).ok();
    match (reply.status, answer) {
        (200..=299, Some(answer)) => Ok(answer),
        (200..=299, None) => Err(Failure(strange(api.host()))),
        (status, answer) => Err(Failure(refused(status, answer.as_ref()))),
    }
}

/// What a GET brings that is no JSON.
pub(crate) fn fetch(api: &Client, path: &str) -> Result<Answer, Failure> {
    let answer = api.fetch(path).map_err(|why| Failure(no_reply(api.host(), &why)))?;
    match answer.status {
        200..=299 => Ok(answer),
        status => Err(Failure(refused(status, serde_json::from_slice(&answer.body).ok().as_ref()))),
    }
}

/// What answers is none of ours, or too old or too new.
pub(crate) fn stranger(api: &Client) -> Failure {
    Failure(strange(api.host()))
}

/// Lines of a GET, for as long as they come and `take` wants more.
pub(crate) fn lines(api: &Client, path: &str, take: &mut dyn FnMut(&str) -> bool) -> Result<(), Failure> {
    match api.lines(path, take).map_err(|why| Failure(no_reply(api.host(), &why)))? {
        None => Ok(()),
        Some(reply) => {
            let answer: Option<Value> = serde_json::from_str(&reply.body).ok();
            Err(Failure(refused(reply.status, answer.as_ref())))
        }
    }
}

fn no_reply(host: &str, why: &NoReply) -> String {
    match why {
        NoReply::Address => format!("`{host}` is no address; give one with --api 127.0.0.1:8060"),
        NoReply::Connect(error) => format!(
            "no edge answers at {host} ({error}); is it running? start it with `throughline run`, or say where it is with --api ADDR"
        ),
        NoReply::Broken(error) => {
            format!(
                "the edge at {host} did not answer in full ({error}); try again, and look at its log if that does not help"
            )
        }
        NoReply::Strange => strange(host),
    }
}

fn strange(host: &str) -> String {
    format!("what answers at {host} is not an edge of this version; say where the edge is with --api ADDR")
}

fn refused(status: u16, answer: Option<&Value>) -> String {
    let part = |name: &str| answer.and_then(|answer| answer.get(name)).and_then(Value::as_str);
    match (part("error"), part("hint")) {
        (Some(error), Some(hint)) => format!("{error}; {hint}"),
        (Some(error), None) => error.to_owned(),
        _ => format!("the edge refused this with status {status}; look at its log"),
    }
}

/// The `sentences` of an answer, one a line; `none` when there are none.
pub(crate) fn tell(answer: &Value, none: &str) {
    let list = answer.get("sentences").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if list.is_empty() {
        say(none);
    }
    list.iter().filter_map(Value::as_str).for_each(say);
}

/// The sentence of an act, as what was asked for or, unless it came out well, as a failure. `told`: the answer was shown already.
pub(crate) fn verdict(answer: &Value, well: bool, told: bool) -> Result<(), Failure> {
    let sentence = answer.pointer("/sentences/0").and_then(Value::as_str).unwrap_or("the edge said nothing about it");
    if !well {
        return Err(Failure(sentence.to_owned()));
    }
    if !told {
        say(sentence);
    }
    Ok(())
}

/// The answer as it came, for other programs.
pub(crate) fn raw(answer: &Value) {
    say(&format!("{answer:#}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn refusals_say_what_to_do() {
        let answer = json!({ "error": "there is no trunk `nobody`", "hint": "GET /v1/trunks lists them" });
        assert_eq!(refused(404, Some(&answer)), "there is no trunk `nobody`; GET /v1/trunks lists them");
        assert!(refused(500, None).contains("500"));
        let gone = no_reply("127.0.0.1:8060", &NoReply::Connect(std::io::ErrorKind::ConnectionRefused.into()));
        assert!(gone.contains("is it running? start it with `throughline run`"), "{gone}");
    }
}

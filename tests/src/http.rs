//! The smallest HTTP client that can ask the edge's API.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// Status and body of a request to the API of the edge in this namespace.
pub fn ask(method: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect("127.0.0.1:8060").ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: edge\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let code = answer.split(' ').nth(1)?.parse().ok()?;
    Some((code, answer.split_once("\r\n\r\n")?.1.to_owned()))
}

/// JSON of a GET that must succeed.
pub fn get(path: &str) -> Value {
    let (code, body) = ask("GET", path).unwrap_or_else(|| panic!("no answer from the API for {path}"));
    assert_eq!(code, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
}

/// The health of a trunk, as the API tells it.
pub fn health(trunk: &str) -> String {
    let trunks = get("/v1/trunks");
    let one = trunks["trunks"].as_array().and_then(|all| all.iter().find(|one| one["name"] == trunk));
    let one = one.unwrap_or_else(|| panic!("no trunk {trunk} in {trunks}"));
    one["health"].as_str().unwrap_or_default().to_owned()
}

/// The sentences of `/v1/why/…`.
pub fn sentences(path: &str) -> Vec<String> {
    let answer = get(path);
    let list = answer["sentences"].as_array().unwrap_or_else(|| panic!("{path} has no sentences: {answer}"));
    list.iter().filter_map(|sentence| sentence.as_str().map(str::to_owned)).collect()
}

/// Sum of a metric over all its labels.
pub fn metric(name: &str) -> f64 {
    values(name).iter().sum()
}

/// The least of a metric over all its labels: so many has every shard.
pub fn least(name: &str) -> f64 {
    values(name).into_iter().reduce(f64::min).unwrap_or(0.0)
}

fn values(name: &str) -> Vec<f64> {
    let (_, body) = ask("GET", "/metrics").expect("metrics");
    let values = body.lines().filter(|line| line.starts_with(name) && !line.starts_with('#'));
    values.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect()
}

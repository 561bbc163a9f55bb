//! Chromium that opens a page and is asked about it by the DevTools protocol: what is there, how it looks, what keys do.
//!
//! A page's own policy forbids scripts of others; what is asked here goes by the debugger, as a person with one would. Refuses to know: what
//! the page is.

use crate::browser::QUIET;
use crate::{end, folder};
use interop::wait_until;
use serde_json::{Value, json};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tungstenite::{Message, WebSocket};

/// Starting a browser included.
const LIMIT: Duration = Duration::from_secs(60);

/// A running browser with one page.
pub struct Devtools {
    process: Child,
    folder: PathBuf,
    socket: WebSocket<TcpStream>,
    session: String,
    next: u64,
    /// What went wrong within the page: exceptions, and what its policy has refused.
    wrong: Vec<String>,
}

impl Devtools {
    /// Starts one, which shows nothing yet.
    pub fn start(name: &str) -> Self {
        let folder = folder("devtools", name);
        let profile = folder.join("profile");
        let process = Command::new("chromium")
            .args(QUIET)
            .args(["--remote-debugging-port=0", "--hide-scrollbars", "--force-color-profile=srgb"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .env("HOME", &folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromium runs; `make interop` installs it");
        let mut at = String::new();
        wait_until("chromium can be asked", LIMIT, || {
            at = std::fs::read_to_string(profile.join("DevToolsActivePort")).unwrap_or_default();
            at.lines().count() == 2
        });
        let (port, path) = at.split_once('\n').expect("a port and a path");
        let stream = TcpStream::connect(format!("127.0.0.1:{port}")).expect("the debugger listens");
        stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        let (socket, _) =
            tungstenite::client(format!("ws://127.0.0.1:{port}{}", path.trim()), stream).expect("a WebSocket");
        let mut page = Self { process, folder, socket, session: String::new(), next: 1, wrong: Vec::new() };
        let targets = page.tell("Target.getTargets", json!({}));
        let target = targets["targetInfos"].as_array().and_then(|all| all.iter().find(|one| one["type"] == "page"));
        let target = target.expect("a page")["targetId"].clone();
        let attached = page.tell("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        page.session = attached["sessionId"].as_str().expect("a session").to_owned();
        for domain in ["Page", "Runtime", "Log"] {
            page.tell(&format!("{domain}.enable"), json!({}));
        }
        page
    }

    /// Opens an address, and waits until it is there.
    pub fn open(&mut self, url: &str) {
        self.tell("Page.navigate", json!({ "url": url }));
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// The value of an expression within the page; a promise is waited for.
    pub fn value(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.tell("Runtime.evaluate", params);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// Waits until an expression is true.
    pub fn until(&mut self, expression: &str) {
        let mut left = LIMIT.as_millis() / 50;
        while self.value(&format!("Boolean({expression})")) != Value::Bool(true) {
            left -= 1;
            let text = if left == 0 { self.value("document.body.innerText") } else { Value::Null };
            assert!(left > 0, "waited in vain until {expression}; the page says {text}, and {:?}", self.wrong);
            interop::let_pass(Duration::from_millis(50));
        }
    }

    /// Clicks what this selector finds.
    pub fn click(&mut self, selector: &str) {
        self.until(&format!("document.querySelector({selector:?}) && !document.querySelector({selector:?}).disabled"));
        self.value(&format!("document.querySelector({selector:?}).click()"));
    }

    /// Types a text into whatever has the focus.
    pub fn types(&mut self, text: &str) {
        self.tell("Input.insertText", json!({ "text": text }));
    }

    /// Presses a key.
    pub fn press(&mut self, key: &str, code: u32) {
        let text = if key == "Enter" { "\r" } else { "" };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let params = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text });
            self.tell("Input.dispatchKeyEvent", params);
        }
    }

    /// As on a screen of this size, dark or light.
    pub fn screen(&mut self, width: u32, height: u32, dark: bool) {
        let params = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.tell("Emulation.setDeviceMetricsOverride", params);
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.tell("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Writes down how it looks, as PNG.
    pub fn picture(&mut self, file: &Path) {
        let shot = self.tell("Page.captureScreenshot", json!({ "format": "png", "optimizeForSpeed": false }));
        let bytes = decoded(shot["data"].as_str().expect("a picture"));
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(file, bytes).expect("a file");
    }

    /// From now on the page notes how long its frames are apart, and [`Devtools::busy`] counts from here.
    pub fn watch(&mut self) {
        // By the thread's own clock, so that what else the machine does is not counted.
        self.tell("Performance.enable", json!({ "timeDomain": "threadTicks" }));
        self.value(
            "if (globalThis.gaps) gaps.length = 0;
             else { globalThis.gaps = []; (function next(last) { requestAnimationFrame((now) => { if (last) gaps.push(now - last); next(now); }); })(0); } 0",
        );
    }

    /// Time for which the page's thread has worked so far.
    pub fn busy(&mut self) -> Duration {
        let told = self.tell("Performance.getMetrics", json!({}));
        let metrics = told["metrics"].as_array().expect("metrics");
        let worked = metrics.iter().find(|one| one["name"] == "TaskDuration").expect("what tasks took");
        Duration::from_secs_f64(worked["value"].as_f64().expect("seconds"))
    }

    /// Milliseconds between frames since this was asked last: the one that so many percent do not reach, for each of these.
    pub fn frames<const N: usize>(&mut self, percents: [u64; N]) -> [f64; N] {
        let taken = self.value("globalThis.gaps.splice(0)");
        let mut taken: Vec<f64> = taken.as_array().expect("frames").iter().filter_map(Value::as_f64).collect();
        taken.sort_by(f64::total_cmp);
        assert!(!taken.is_empty(), "the page draws");
        percents.map(|percent| taken[(taken.len() - 1) * percent as usize / 100])
    }

    /// What went wrong within the page since this was asked last.
    pub fn wrong(&mut self) -> Vec<String> {
        std::mem::take(&mut self.wrong)
    }

    fn tell(&mut self, method: &str, params: Value) -> Value {
        let id = self.next;
        self.next += 1;
        let mut order = json!({ "id": id, "method": method, "params": params });
        if !self.session.is_empty() && !method.starts_with("Target.") {
            order["sessionId"] = Value::from(self.session.clone());
        }
        self.socket.send(Message::text(order.to_string())).expect("the browser takes orders");
        loop {
            let message = self.socket.read().unwrap_or_else(|error| panic!("no answer to {method}: {error}"));
            if !message.is_text() {
                continue;
            }
            let mut answer: Value = serde_json::from_slice(&message.into_data()).expect("JSON");
            self.note(&answer);
            if answer["id"] == id {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].take();
            }
        }
    }

    fn note(&mut self, event: &Value) {
        let told = match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => event["params"]["exceptionDetails"].to_string(),
            // What is refused is told to the person, and is no fault of the page; what its policy forbids is.
            Some("Log.entryAdded") if event["params"]["entry"]["source"] != "network" => {
                event["params"]["entry"].to_string()
            }
            _ => return,
        };
        self.wrong.push(told);
    }
}

impl Drop for Devtools {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("within the page: {:?}", self.wrong);
        }
        end(&mut self.process);
        let _left = std::fs::remove_dir_all(&self.folder);
    }
}

/// Base64 (RFC 4648 §4).
fn decoded(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => u32::from(byte - b'A'),
        b'a'..=b'z' => u32::from(byte - b'a') + 26,
        b'0'..=b'9' => u32::from(byte - b'0') + 52,
        b'+' => 62,
        _ => 63,
    };
    let text: Vec<u8> = text.bytes().filter(|byte| *byte != b'=').collect();
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    for four in text.chunks(4) {
        let bits = four.iter().fold(0, |bits, byte| (bits << 6) | value(*byte)) << (6 * (4 - four.len()));
        let [_, bytes @ ..] = bits.to_be_bytes();
        out.extend_from_slice(&bytes[..four.len() - 1]);
    }
    out
}

//! SIPp as caller and carrier: started with a scenario of `tests/sipp`, ended or waited for, its counts read.

use crate::{became_true, wait_until};
use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A request that SIPp received.
#[derive(Clone, Debug)]
pub struct Received {
    /// By its own clock.
    pub at: Duration,
    /// Call-ID.
    pub call_id: String,
    /// First line.
    pub line: String,
}

/// A running SIPp.
pub struct Sipp {
    process: Child,
    name: String,
    folder: PathBuf,
}

impl Sipp {
    /// A carrier or PBX that waits for calls at `ip:5060`.
    pub fn server(scenario: &str, ip: &str) -> Self {
        Self::listening(scenario, ip, &[])
    }

    /// The same, and it writes down every message it receives and sends.
    pub fn server_traced(scenario: &str, ip: &str) -> Self {
        Self::listening(
            scenario,
            ip,
            &["-trace_shortmsg", "-shortmessage_file", "messages.csv", "-max_log_size", "1000000000"],
        )
    }

    /// A carrier or PBX that waits for calls at `ip:5060` by TCP.
    pub fn server_by_tcp(scenario: &str, ip: &str) -> Self {
        let sipp = Self::launch(scenario, ip, "5060", &["-mp", "40000", "-t", "t1"]);
        wait_until("SIPp listens", Duration::from_secs(10), || TcpListener::bind((ip, 5060)).is_err());
        sipp
    }

    /// A caller by one connection of TCP from `ip`: so many calls, so many a second.
    pub fn caller_by_tcp(scenario: &str, ip: &str, to: &str, number: &str, calls: u32, rate: u32) -> Self {
        let (calls, rate) = (calls.to_string(), rate.to_string());
        let args = [to, "-s", number, "-m", &calls, "-r", &rate, "-mp", "50000", "-t", "t1", "-recv_timeout", "60000"];
        Self::launch(scenario, ip, "5062", &args)
    }

    fn listening(scenario: &str, ip: &str, args: &[&str]) -> Self {
        let sipp = Self::launch(scenario, ip, "5060", &[&["-mp", "40000"], args].concat());
        wait_until("SIPp listens", Duration::from_secs(10), || {
            UdpSocket::bind((ip.trim_matches(['[', ']']), 5060)).is_err()
        });
        sipp
    }

    /// A caller from `ip:5060` towards `to`: so many calls, so many a second.
    pub fn caller(scenario: &str, ip: &str, to: &str, number: &str, calls: u32, rate: u32) -> Self {
        Self::caller_at(scenario, (ip, 5060), to, number, calls, rate)
    }

    /// The same from a port of its own, so that several can call from one address.
    pub fn caller_at(scenario: &str, from: (&str, u16), to: &str, number: &str, calls: u32, rate: u32) -> Self {
        let (calls, rate, port) = (calls.to_string(), rate.to_string(), from.1.to_string());
        let media = if from.1 == 5060 { "50000" } else { "56000" };
        Self::launch(
            scenario,
            from.0,
            &port,
            &[to, "-s", number, "-m", &calls, "-r", &rate, "-l", "20000", "-mp", media, "-recv_timeout", "60000"],
        )
    }

    /// One call from `ip:5060` whose scenario plays this capture, `spoken.pcap`.
    pub fn caller_playing(scenario: &str, ip: &str, to: &str, number: &str, spoken: &[u8]) -> Self {
        let folder = folder(scenario, ip, "5060");
        std::fs::create_dir_all(&folder).expect("a folder for SIPp");
        std::fs::write(folder.join("spoken.pcap"), spoken).expect("a capture for SIPp");
        Self::launch(scenario, ip, "5060", &[to, "-s", number, "-m", "1", "-mp", "50000", "-recv_timeout", "60000"])
    }

    /// A phone at `ip:5060` that registers at `to` as this user with this password.
    pub fn registering(ip: &str, to: &str, (user, secret): (&str, &str)) -> Self {
        Self::launch(
            "register",
            ip,
            "5060",
            &[to, "-s", user, "-au", user, "-ap", secret, "-m", "1", "-recv_timeout", "10000"],
        )
    }

    /// A house: so many phones behind one address, each by a port of its own, that come within a second.
    pub fn house(ip: &str, to: &str, (user, secret): (&str, &str), phones: u32) -> Self {
        let phones = phones.to_string();
        let by = ["-t", "un", "-m", &phones, "-r", &phones, "-recv_timeout", "30000"];
        Self::launch("register", ip, "5060", &[&[to, "-s", user, "-au", user, "-ap", secret], &by[..]].concat())
    }

    fn launch(scenario: &str, ip: &str, port: &str, args: &[&str]) -> Self {
        let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("sipp").join(format!("{scenario}.xml"));
        let folder = folder(scenario, ip, port);
        std::fs::create_dir_all(&folder).expect("a folder for SIPp");
        let process = Command::new("sipp")
            .arg("-sf")
            .arg(file)
            .args(["-i", ip, "-p", port, "-nostdin", "-trace_err", "-trace_stat", "-fd", "1"])
            .args(["-stf", "stat.csv", "-error_file", "errors.log", "-aa", "-timeout_error", "-max_socket", "4000"])
            .args(["-trace_logs", "-log_file", "logs.log"])
            .args(args)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sipp runs; `make test` installs it");
        Self { process, name: format!("{scenario} at {ip}"), folder }
    }

    /// Waits until it has placed all its calls; true when all succeeded.
    pub fn finished(&mut self, limit: Duration) -> bool {
        let mut status = None;
        let ended = became_true(limit, || {
            status = self.process.try_wait().expect("our child");
            status.is_some()
        });
        if !ended {
            eprintln!("SIPp {} has not finished in {limit:?}: {:?}\n{}", self.name, self.counts(), self.errors());
        }
        status.is_some_and(|status| status.success())
    }

    /// Ends it as a crash would: its port is closed at once.
    pub fn kill(&mut self) {
        self.process.kill().expect("our child");
        self.process.wait().expect("our child");
    }

    /// Successful and failed calls so far.
    pub fn counts(&self) -> (u64, u64) {
        let text = std::fs::read_to_string(self.folder.join("stat.csv")).unwrap_or_default();
        let mut lines = text.lines();
        let head: Vec<&str> = lines.next().unwrap_or_default().split(';').collect();
        let last: Vec<&str> = lines.next_back().unwrap_or_default().split(';').collect();
        let column = |name: &str| {
            let index = head.iter().position(|title| *title == name)?;
            last.get(index)?.parse::<u64>().ok()
        };
        (column("SuccessfulCall(C)").unwrap_or(0), column("FailedCall(C)").unwrap_or(0))
    }

    /// Lines its scenario has written down.
    pub fn logged(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.join("logs.log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Requests it has received, as it has written them down, in order. Empty unless it was started to do so.
    pub fn received(&self) -> Vec<Received> {
        let text = std::fs::read_to_string(self.folder.join("messages.csv")).unwrap_or_default();
        text.lines().filter_map(received).collect()
    }

    /// What it complained about.
    pub fn errors(&self) -> String {
        let text = std::fs::read_to_string(self.folder.join("errors.log")).unwrap_or_default();
        text.chars().take(4_000).collect()
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        // Ended already is as good.
        let _gone = self.process.kill();
        let _waited = self.process.wait();
        let _left = std::fs::remove_dir_all(&self.folder);
    }
}

/// Where one keeps its files.
fn folder(scenario: &str, ip: &str, port: &str) -> PathBuf {
    let unique = format!(
        "sipp-{}-{:?}-{scenario}-{}-{port}",
        std::process::id(),
        std::thread::current().id(),
        ip.replace(':', "_")
    );
    std::env::temp_dir().join(unique)
}

/// One line of SIPp's short trace: date, time, seconds since the epoch, direction, Call-ID, CSeq, first line.
fn received(line: &str) -> Option<Received> {
    let mut fields = line.split('\t').skip(2);
    let (at, direction, call_id, _cseq, line) =
        (fields.next()?, fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let is_request = direction == "R" && !line.starts_with("SIP/2.0");
    let at = Duration::from_secs_f64(at.parse().ok()?);
    is_request.then(|| Received { at, call_id: call_id.to_owned(), line: line.to_owned() })
}

//! The built binary as a process: configured, started, asked, ended.

use crate::{http, wait_until};
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How long it may take to start, with a hundred thousand users and bindings to read.
const START: Duration = Duration::from_secs(20);
/// Ticks of a second in `/proc`, on every Linux that we run on.
const TICKS: u64 = 100;

/// Two carriers and a PBX on loopback, as most tests want them.
pub const CONFIG: &str = r#"
[edge]
name = "test"
data = "DATA"

[listen.lan]
sip = ["udp:127.0.0.10:5060"]
media = "127.0.0.10:20000-27999"

[listen.wan]
sip = ["udp:127.0.0.11:5060"]
media = "127.0.0.11:30000-37999"

[trunk.office]
at = "sip:127.0.0.20:5060"
listen = "lan"

[trunk.acme]
at = "sip:127.0.0.31:5060"
listen = "wan"

[trunk.globex]
at = "sip:127.0.0.32:5060"
listen = "wan"

[group.carriers]
tiers = [["acme"], ["globex"]]

[group.pbx]
tiers = [["office"]]
alone = true

[[route]]
from = ["office"]
to = "carriers"

[[route]]
from = ["acme", "globex"]
to = "pbx"
"#;

/// A running edge.
pub struct Edge {
    process: Child,
    folder: PathBuf,
}

impl Edge {
    /// Starts the binary with this configuration; `DATA` in it becomes a folder of its own.
    pub fn start(config: &str) -> Self {
        Self::start_knowing(config, &[])
    }

    /// The same, and these variables are in its environment.
    pub fn start_knowing(config: &str, secrets: &[(&str, &str)]) -> Self {
        let folder =
            std::env::temp_dir().join(format!("throughline-{}-{:?}", std::process::id(), std::thread::current().id()));
        std::fs::create_dir_all(&folder).expect("a folder for the edge");
        Self::launch(folder, config, secrets, &[])
    }

    /// The same in a folder that may hold the store of an earlier run.
    pub fn start_in(folder: PathBuf, config: &str) -> Self {
        Self::launch(folder, config, &[], &[])
    }

    /// The same as the first, and these arguments follow `run`.
    pub fn start_with(config: &str, args: &[&str]) -> Self {
        let folder =
            std::env::temp_dir().join(format!("throughline-{}-{:?}", std::process::id(), std::thread::current().id()));
        std::fs::create_dir_all(&folder).expect("a folder for the edge");
        Self::launch(folder, config, &[], args)
    }

    fn launch(folder: PathBuf, config: &str, secrets: &[(&str, &str)], args: &[&str]) -> Self {
        let path = folder.join("edge.toml");
        let data = folder.to_str().expect("a path in text");
        std::fs::write(&path, config.replace("DATA", data)).expect("a configuration file");
        std::fs::write(folder.join("edge.log"), "").expect("a log file");
        let process = spawn(&folder, secrets, args);
        let edge = Self { process, folder };
        edge.is_ready();
        edge
    }

    fn is_ready(&self) {
        wait_until("the edge is ready", START, || http::ask("GET", "/readyz").is_some_and(|(code, _)| code == 200));
    }

    /// Ends it as a crash or a lost machine would: it has no last word.
    pub fn crash(&mut self) {
        self.signal(libc::SIGKILL);
        self.process.wait().expect("our child");
    }

    /// Starts it anew after it has ended, with the file and the store that it had.
    pub fn again(&mut self) {
        self.process = spawn(&self.folder, &[], &[]);
        self.is_ready();
    }

    /// Rewrites its configuration file.
    pub fn rewrite(&self, config: &str) {
        let data = self.folder.to_str().expect("a path in text");
        std::fs::write(self.folder.join("edge.toml"), config.replace("DATA", data)).expect("a configuration file");
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: libc::c_int) {
        // SAFETY: kill takes no pointers; the process is our child and not yet waited for.
        unsafe { libc::kill(self.process.id() as libc::pid_t, signal) };
    }

    /// Runs one of the binary's commands in this namespace; standard output and success.
    pub fn command(&self, args: &[&str]) -> (String, bool) {
        let output = Command::new(binary()).args(args).output().expect("the binary runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (text, output.status.success())
    }

    /// Starts one of them that stays; what it says goes into this file beside its store.
    pub fn begins(&self, args: &[&str], says: &str) -> Child {
        let file = std::fs::File::create(self.folder.join(says)).expect("a file for what it says");
        let errors = file.try_clone().expect("a second handle");
        Command::new(binary()).args(args).stdout(file).stderr(errors).spawn().expect("the binary runs")
    }

    /// Waits until it has ended by itself.
    pub fn ended(&mut self, limit: Duration) -> Option<i32> {
        let mut code = None;
        wait_until("the edge has ended", limit, || {
            code = self.process.try_wait().expect("our child");
            code.is_some()
        });
        code.and_then(|status| status.code())
    }

    /// Where its store and log are.
    pub fn folder(&self) -> PathBuf {
        self.folder.clone()
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("edge.log")).unwrap_or_default()
    }

    /// Resident memory in kilobytes.
    pub fn memory_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0)
    }

    /// Memory that would be free without it, in kilobytes: pages that it shares count in part (proc(5), Pss).
    pub fn pss_kb(&self) -> u64 {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.process.id())).unwrap_or_default();
        let line = rollup.lines().find(|line| line.starts_with("Pss:")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0)
    }

    /// Time of processors that it has used, of all its threads and in the kernel.
    pub fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap_or_default();
        // Behind the name, which may hold blanks, `utime` and `stime` are the twelfth and thirteenth (proc(5)).
        let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ').skip(11).take(2);
        let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 1_000 / TICKS)
    }

    /// The same to the nanosecond, as the scheduler has counted it for the threads that live.
    pub fn cpu_exactly(&self) -> Duration {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.process.id())).into_iter().flatten().flatten();
        let told = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok());
        let nanos: u64 = told.filter_map(|told| told.split(' ').next()?.parse::<u64>().ok()).sum();
        Duration::from_nanos(nanos)
    }

    /// Bytes of its store on the disk.
    pub fn store_bytes(&self) -> u64 {
        let files = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let stored = files.filter(|file| file.file_name().to_string_lossy().starts_with("journal.sqlite"));
        stored.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
    }

    /// Open file descriptors.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.process.id())).map(Iterator::count).unwrap_or(0)
    }

    /// What the shards hold at this moment: calls, transactions, port pairs in use.
    pub fn held(&self) -> (f64, f64, f64) {
        (
            http::metric("throughline_calls"),
            http::metric("throughline_transactions"),
            http::metric("throughline_ports_used"),
        )
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        // Ended already is as good.
        let _gone = self.process.kill();
        let _waited = self.process.wait();
        if !std::thread::panicking() {
            let _left = std::fs::remove_dir_all(&self.folder);
        } else {
            eprintln!("the edge said:\n{}", self.log());
        }
    }
}

fn spawn(folder: &Path, secrets: &[(&str, &str)], args: &[&str]) -> Child {
    // What an earlier run has said stays before it.
    let log = OpenOptions::new().create(true).append(true).open(folder.join("edge.log")).expect("a log file");
    Command::new(binary())
        .arg("run")
        .arg(folder.join("edge.toml"))
        .args(args)
        .envs(secrets.iter().copied())
        .stdout(Stdio::from(log.try_clone().expect("a second handle")))
        .stderr(Stdio::from(log))
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; build it with `cargo build --release`", binary().display()))
}

fn binary() -> PathBuf {
    std::env::var_os("THROUGHLINE_BIN").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/release/throughline")),
        PathBuf::from,
    )
}

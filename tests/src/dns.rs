//! Name servers: a real one with a zone that a test writes and changes, and bad ones that take its place.

use crate::wait_until;
use domain::base::iana::{Class, Rcode};
use domain::base::{Message, MessageBuilder, Name, ParsedName, Rtype};
use domain::rdata::Soa;
use std::net::UdpSocket;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Where name servers of tests are.
pub const AT: &str = "127.0.0.53";
const PORT: u16 = 53;
const LIMIT: Duration = Duration::from_secs(20);

/// NSD, authoritative for `example`.
pub struct NameServer {
    process: Child,
    folder: PathBuf,
    serial: u32,
}

impl NameServer {
    /// Starts it with these records of the zone, which need no origin; each holds five seconds unless it says otherwise.
    pub fn start(records: &str) -> Self {
        let unique = format!("nsd-{}-{:?}", std::process::id(), std::thread::current().id());
        let folder = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&folder).expect("a folder for the name server");
        let at = folder.to_str().expect("a path in text");
        let config = format!(
            "server:\n  ip-address: {AT}@{PORT}\n  username: \"\"\n  chroot: \"\"\n  server-count: 1\n  database: \"\"\n  \
             zonesdir: \"{at}\"\n  pidfile: \"{at}/pid\"\n  xfrdfile: \"{at}/xfrd\"\n  zonelistfile: \"{at}/zones\"\n  \
             xfrdir: \"{at}\"\n  logfile: \"{at}/log\"\nremote-control:\n  control-enable: no\n\
             zone:\n  name: example\n  zonefile: zone\n"
        );
        std::fs::write(folder.join("nsd.conf"), config).expect("a configuration file");
        write_zone(&folder, 1, records);
        let mut server = Self { process: launch(&folder), folder, serial: 1 };
        server.wait();
        server
    }

    /// Changes the zone, and waits until that is what it tells.
    pub fn rewrite(&mut self, records: &str) {
        self.serial += 1;
        write_zone(&self.folder, self.serial, records);
        self.signal(libc::SIGHUP);
        self.wait();
    }

    /// Ends it as a crash would.
    pub fn kill(&mut self) {
        // Its children serve; all are of its own process group.
        // SAFETY: kill takes no pointers; the group's leader is our child and not yet waited for.
        unsafe { libc::kill(-(self.process.id() as libc::pid_t), libc::SIGKILL) };
        self.process.wait().expect("our child");
        wait_until("the name server's port is free", LIMIT, || UdpSocket::bind((AT, PORT)).is_ok());
    }

    /// Starts it again after its end.
    pub fn restart(&mut self) {
        self.process = launch(&self.folder);
        self.wait();
    }

    fn signal(&self, signal: libc::c_int) {
        // SAFETY: kill takes no pointers; the process is our child and not yet waited for.
        unsafe { libc::kill(self.process.id() as libc::pid_t, signal) };
    }

    fn wait(&mut self) {
        let log = self.folder.join("log");
        let serial = self.serial;
        let mut told = None;
        let ready = crate::became_true(LIMIT, || {
            told = served();
            told == Some(serial)
        });
        let log = std::fs::read_to_string(log).unwrap_or_default();
        assert!(ready, "the name server tells serial {told:?} and not {serial}:\n{log}");
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        // SAFETY: as in `kill`; a group that is gone is as good.
        unsafe { libc::kill(-(self.process.id() as libc::pid_t), libc::SIGKILL) };
        let _waited = self.process.wait();
        let _left = std::fs::remove_dir_all(&self.folder);
    }
}

fn launch(folder: &std::path::Path) -> Child {
    Command::new("nsd")
        .arg("-d")
        .arg("-c")
        .arg(folder.join("nsd.conf"))
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nsd runs; `make test` installs it")
}

fn write_zone(folder: &std::path::Path, serial: u32, records: &str) {
    let head = format!("$ORIGIN example.\n$TTL 5\n@ SOA ns hostmaster {serial} 60 60 600 5\n@ NS ns\nns A {AT}\n");
    std::fs::write(folder.join("zone"), head + records + "\n").expect("a zone file");
}

/// The serial of the zone that is told.
fn served() -> Option<u32> {
    let socket = UdpSocket::bind((AT, 0)).ok()?;
    socket.set_read_timeout(Some(Duration::from_millis(500))).ok()?;
    let zone: Name<Vec<u8>> = "example".parse().ok()?;
    let mut query = MessageBuilder::new_vec().question();
    query.push((zone, Rtype::SOA, Class::IN)).ok()?;
    socket.send_to(&query.finish(), (AT, PORT)).ok()?;
    let mut answer = [0; 1_024];
    let length = socket.recv(&mut answer).ok()?;
    let message = Message::from_octets(&answer[..length]).ok()?;
    let record = message.answer().ok()?.limit_to::<Soa<ParsedName<_>>>().next()?.ok()?;
    Some(record.data().serial().into_int())
}

/// How a bad name server is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Says nothing.
    Silent,
    /// Sends what is no message.
    Garbage,
    /// Says of each name that there is none.
    Denying,
    /// Says that it cannot tell.
    Failing,
}

/// A bad name server.
pub struct BadServer {
    asked: Arc<AtomicU64>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl BadServer {
    /// Starts it at `ip`, where nobody is.
    pub fn start(ip: &str, manner: Manner) -> Self {
        let socket = UdpSocket::bind((ip, PORT)).expect("the name server's port");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("a timeout");
        let (asked, end) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, ended) = (asked.clone(), end.clone());
        let serve = move || {
            let mut question = [0; 2_048];
            while !ended.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut question) else { continue };
                if let Some(answer) = answer(manner, &question[..length]) {
                    // Whoever asked may have gone.
                    let _gone = socket.send_to(&answer, from);
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
        };
        let thread = Builder::new().spawn(serve).expect("a thread");
        Self { asked, end, thread: Some(thread) }
    }

    /// Questions it was asked.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Waits until it has been asked so often, and has said what it says.
    pub fn wait_asked(&self, times: u64) {
        wait_until("the bad name server is asked", Duration::from_secs(60), || self.asked() >= times);
    }
}

impl Drop for BadServer {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn answer(manner: Manner, question: &[u8]) -> Option<Vec<u8>> {
    let rcode = match manner {
        Manner::Silent => return None,
        Manner::Garbage => return Some(vec![0xa5; 61]),
        Manner::Denying => Rcode::NXDOMAIN,
        Manner::Failing => Rcode::SERVFAIL,
    };
    let asked = Message::from_octets(question).ok()?;
    Some(MessageBuilder::new_vec().start_answer(&asked, rcode).ok()?.finish())
}

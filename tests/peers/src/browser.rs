//! Chromium with a phone in its page: JsSIP speaks SIP by WebSocket, the browser does ICE, DTLS and audio.
//!
//! One process for each phone, so that none sleeps in the background of another. It trusts any certificate, as its own store of authorities is
//! no file that a test can bring. Refuses to know: what the test wants to prove.

use crate::party::Party;
use crate::site::Site;
use crate::{TONES, end, folder};
use interop::wait_until;
use std::cell::Cell;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A page looks at what it hears so often.
const LOOK_MS: u32 = 100;
/// Starting a browser included.
const LIMIT: Duration = Duration::from_secs(60);
/// What a browser does of its own accord would only disturb.
pub(crate) const QUIET: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-breakpad",
];
/// There is no network here but loopback, nobody who clicks, and no sound card.
const HERE: [&str; 7] = [
    "--ignore-certificate-errors",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-audio-output",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
];

/// What one phone is.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    /// The user it registers as.
    pub user: &'a str,
    /// By which password.
    pub secret: &'a str,
    /// Domain of its user.
    pub realm: &'a str,
    /// Where the edge listens for WebSockets under TLS.
    pub edge: &'a str,
    /// The tone it plays.
    pub tone: u16,
    /// Whether it answers whoever calls; it rings on if not.
    pub answers: bool,
}

/// A running browser.
pub struct Browser<'a> {
    process: Child,
    folder: PathBuf,
    site: &'a Site,
    user: String,
    tone: u16,
    /// How much of what it said has been looked for.
    read: Cell<usize>,
}

impl<'a> Browser<'a> {
    /// Starts one, which opens the page of a site.
    pub fn open(site: &'a Site, setup: &Setup<'_>) -> Self {
        let Setup { user, secret, realm, edge, tone, answers } = setup;
        let folder = folder("chromium", user);
        let tones = TONES.map(|tone| tone.to_string()).join(",");
        let page = format!(
            "{}/?user={user}&secret={secret}&realm={realm}&edge={edge}&tone={tone}&answers={answers}&tones={tones}",
            site.origin()
        );
        let out = std::fs::File::create(folder.join("out")).expect("a file for its output");
        let process = Command::new("chromium")
            .args(QUIET)
            .args(HERE)
            .arg(format!("--user-data-dir={}", folder.join("profile").display()))
            .args(["--enable-logging=stderr", &page])
            .env("HOME", &folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(out))
            .spawn()
            .expect("chromium runs; `make interop` installs it");
        Self { process, folder, site, user: (*user).to_owned(), tone: *tone, read: Cell::new(0) }
    }

    /// Its user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Tells the phone what to do: `call NUMBER`, `hangup`, `refuse`, `hold`, `resume`, `restart`.
    pub fn told(&self, order: &str) {
        self.site.order(&self.user, order);
    }

    /// Waits until the phone has said a line that begins so, after those that were waited for before.
    pub fn says(&self, text: &str) -> String {
        let mut found = String::new();
        wait_until(&format!("{} says `{text}`", self.user), LIMIT, || {
            let said = self.site.said(&self.user);
            let at = said.iter().skip(self.read.get()).position(|line| line.starts_with(text));
            let Some(at) = at.map(|at| at + self.read.get()) else { return false };
            self.read.set(at + 1);
            found.clone_from(&said[at]);
            true
        });
        found
    }
}

impl Party for Browser<'_> {
    fn tone(&self) -> u16 {
        self.tone
    }

    fn heard_of(&self, hz: u16) -> u32 {
        let line = format!("hears {hz}");
        let looks = self.site.said(&self.user).iter().filter(|said| **said == line).count();
        u32::try_from(looks).unwrap_or(u32::MAX).saturating_mul(LOOK_MS)
    }

    fn calls(&self, number: &str) {
        self.told(&format!("call {number}"));
    }

    fn hangs_up(&self) {
        self.told("hangup");
    }
}

impl Drop for Browser<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut said = self.site.said(&self.user);
            said.dedup();
            let out = String::from_utf8_lossy(&std::fs::read(self.folder.join("out")).unwrap_or_default()).into_owned();
            let console: Vec<_> = out.lines().filter(|line| line.contains("CONSOLE")).collect();
            eprintln!("the page of {} said:\n{}\n{}", self.user, said.join("\n"), console.join("\n"));
        }
        end(&mut self.process);
        let _left = std::fs::remove_dir_all(&self.folder);
    }
}

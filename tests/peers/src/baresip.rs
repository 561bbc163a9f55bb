//! baresip as phone, PBX or carrier: one process in a folder of its own, told what to do by its control socket.
//!
//! It plays its tone for as long as a call lasts and writes down what it hears, until the call is first held. Refuses to know: what the test wants to prove.

use crate::party::Party;
use crate::{TONES, end, folder, recording};
use interop::wait_until;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What one phone is.
pub struct Setup<'a> {
    /// Its name, for its folder.
    pub name: &'a str,
    /// Where it listens, as a URI has it: port 5060, and 5061 for TLS.
    pub ip: &'a str,
    /// Where it registers, and by which password; it is a peer that registers nowhere without.
    pub registers: Option<(&'a str, &'a str)>,
    /// Further parameters of its account.
    pub account: &'a str,
    /// The number it has, which is the user of the URIs it is called by.
    pub user: &'a str,
    /// The tone it plays.
    pub tone: u16,
    /// Folder of the authority's `ca.pem`, which it trusts: for TLS.
    pub files: &'a str,
    /// Where it calls: the edge's address, and `;transport=` when it is not UDP.
    pub edge: &'a str,
    /// The codecs it speaks, as its account has them.
    pub codecs: &'a str,
    /// How its audio is secured, as its account has it (`srtp-mand`, `dtls_srtp`): not at all when empty.
    pub security: &'a str,
}

impl<'a> Setup<'a> {
    /// One that registers nowhere.
    pub fn plain(name: &'a str, ip: &'a str, edge: &'a str, user: &'a str, tone: u16) -> Self {
        Self {
            name,
            ip,
            registers: None,
            account: "",
            user,
            tone,
            files: "",
            edge,
            codecs: "PCMA/8000/1",
            security: "",
        }
    }
}

/// How its audio goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Audio {
    /// As it is.
    Plain,
    /// By ICE, and under DTLS-SRTP, as pages want it (RFC 8835 §3.4, RFC 8827 §6.5).
    ForPages,
}

/// A running phone.
pub struct Baresip {
    process: Child,
    ip: String,
    folder: PathBuf,
    tone: u16,
    edge: String,
}

impl Baresip {
    /// Starts one that answers whoever calls, and waits until it listens.
    pub fn start(setup: &Setup<'_>) -> Self {
        Self::launch(setup, Audio::Plain)
    }

    /// The same, and it can talk to pages. It takes no address of 127.0.0.0/8 for a candidate.
    pub fn start_for_pages(setup: &Setup<'_>) -> Self {
        Self::launch(setup, Audio::ForPages)
    }

    fn launch(setup: &Setup<'_>, audio: Audio) -> Self {
        let folder = folder("baresip", setup.name);
        let here = folder.to_str().expect("a path in text");
        std::fs::create_dir_all(folder.join("heard")).expect("a folder for recordings");
        let (home, registers) = match setup.registers {
            Some((registrar, password)) => (registrar, format!("regint=60;auth_pass={password}")),
            None => (setup.ip, "regint=0".to_owned()),
        };
        let by = match (audio, setup.security) {
            (Audio::ForPages, _) => ";medianat=ice;mediaenc=dtls_srtp".to_owned(),
            (Audio::Plain, "") => String::new(),
            (Audio::Plain, security) => format!(";mediaenc={security}"),
        };
        let account = format!(
            "<sip:{}@{home}>;{registers}{};answermode=auto;audio_codecs={}{by}\n",
            setup.user, setup.account, setup.codecs
        );
        for (name, text) in [("config", config_of(setup, audio, here)), ("accounts", account)] {
            std::fs::write(folder.join(name), text).expect("a configuration file");
        }
        // By it a registrar knows it again (RFC 5626 §4.1).
        let uuid = format!("00000000-0000-4000-8000-{:012}", setup.tone);
        for (name, text) in [("contacts", ""), ("uuid", &uuid)] {
            std::fs::write(folder.join(name), text).expect("a configuration file");
        }
        let out = std::fs::File::create(folder.join("out")).expect("a file for its output");
        let process = Command::new("baresip")
            .args(["-v", "-f", here])
            .stdin(Stdio::null())
            .stdout(Stdio::from(out.try_clone().expect("a second handle")))
            .stderr(Stdio::from(out))
            .spawn()
            .expect("baresip runs; `make test` installs it");
        let bare = setup.ip.trim_matches(['[', ']']).to_owned();
        let phone = Self { process, ip: bare, folder, tone: setup.tone, edge: setup.edge.to_owned() };
        phone.says("baresip is ready");
        phone
    }

    /// Runs one of its commands; what it answers.
    pub fn command(&self, command: &str, params: &str) -> String {
        let mut stream = TcpStream::connect((self.ip.as_str(), 4444)).expect("its control socket");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a limit");
        let order = format!(r#"{{"command":"{command}","params":"{params}","token":"told"}}"#);
        write!(stream, "{}:{order},", order.len()).expect("it takes orders");
        let (mut answer, mut some) = (String::new(), [0; 4_096]);
        // Events come by the same socket; the answer is what bears our token.
        while !answer.contains(r#""token":"told""#) {
            match stream.read(&mut some) {
                Ok(length) if length > 0 => answer.push_str(&String::from_utf8_lossy(&some[..length])),
                _ => panic!("baresip does not answer to `{command}`: {answer}"),
            }
        }
        answer
    }

    /// What it has heard so far: milliseconds of each tone, each recording by itself.
    pub fn heard(&self) -> Vec<(u16, u32)> {
        let files = std::fs::read_dir(self.folder.join("heard")).into_iter().flatten().flatten();
        let decoded = files.map(|file| file.path()).filter(|path| path.to_string_lossy().ends_with("dec.wav"));
        decoded.filter_map(|file| recording::heard_ms(&file, &TONES)).flatten().collect()
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.join("out")).unwrap_or_default()).into_owned()
    }

    /// Waits until it has printed this text.
    pub fn says(&self, text: &str) {
        wait_until(&format!("baresip says `{text}`"), Duration::from_secs(30), || self.log().contains(text));
    }

    /// Digits it was sent by RFC 4733, each once it was let go.
    pub fn digits(&self) -> String {
        let log = self.log();
        let ended = log
            .match_indices("received event: '")
            .filter(|(at, head)| log[at + head.len() + 1..].starts_with("' (end=1)"));
        ended.filter_map(|(at, head)| log[at + head.len()..].chars().next()).collect()
    }
}

impl Party for Baresip {
    fn tone(&self) -> u16 {
        self.tone
    }

    fn heard_of(&self, hz: u16) -> u32 {
        self.heard().iter().filter(|(tone, _)| *tone == hz).map(|(_, ms)| ms).sum()
    }

    fn calls(&self, number: &str) {
        self.command("dial", &format!("sip:{number}@{}", self.edge));
    }

    fn hangs_up(&self) {
        self.command("hangup", "");
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines = log.lines().map(|line| line.rsplit("(bit/s)").next().unwrap_or(line));
            eprintln!("{} said:\n{}", self.folder.display(), lines.collect::<Vec<_>>().join("\n"));
        }
        end(&mut self.process);
        let _left = std::fs::remove_dir_all(&self.folder);
    }
}

/// Its tone generator knows 48 kHz in stereo alone.
fn config_of(setup: &Setup<'_>, audio: Audio, here: &str) -> String {
    let Setup { ip, tone, files, .. } = setup;
    let bare = ip.trim_matches(['[', ']']);
    let trusts = if files.is_empty() { String::new() } else { format!("sip_cafile {files}/ca.pem\n") };
    let family = if ip.starts_with('[') { "prefer_ipv6 yes\n" } else { "" };
    let modules = ["g711", "g722", "l16", "opus", "srtp", "dtls_srtp", "ausine", "sndfile"]
        .map(|name| format!("module {name}.so\n"))
        .concat();
    let (secured, mux) = match audio {
        Audio::Plain => ("", "no"),
        Audio::ForPages => ("module ice.so\n", "yes"),
    };
    let after = "module_tmp uuid.so\nmodule_tmp account.so\nmodule_app ctrl_tcp.so\nmodule_app menu.so\n";
    format!(
        "poll_method epoll\nsip_listen {ip}:5060\n{trusts}net_interface {bare}\n{family}call_max_calls 4\naudio_source ausine,{tone}\n\
         ausrc_srate 48000\nausrc_channels 2\naudio_level no\nrtp_ports 42000-42999\nrtcp_mux {mux}\njitter_buffer_delay 1-5\n\
         module_path /usr/lib/baresip/modules\n{modules}{secured}{after}ctrl_tcp_listen {ip}:4444\nsnd_path {here}/heard\n"
    )
}

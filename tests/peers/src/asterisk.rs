//! Asterisk as PBX or carrier: one process in its own folder of the tree it is installed in, configured by the test.
//!
//! It speaks to the edge alone, as an endpoint `edge`; contexts of the dialplan say what it does with calls. Every channel that runs
//! through `record` leaves what it has heard in a file. Refuses to know: what the test wants to prove.

use crate::party::Party;
use crate::{TONES, recording};
use interop::wait_until;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What one Asterisk is.
pub struct Setup<'a> {
    /// Its name, and that of its folder.
    pub name: &'a str,
    /// Where it listens, as a URI has it: port 5060, and 5061 for TLS.
    pub ip: &'a str,
    /// Where the edge listens for it.
    pub edge: &'a str,
    /// `udp`, `tcp` or `tls`.
    pub transport: &'a str,
    /// Folder of its certificate `NAME.pem` and `NAME.key`, and of the authority's `ca.pem`: for TLS.
    pub files: &'a str,
    /// The tone it plays.
    pub tone: u16,
    /// Further lines of the endpoint in pjsip.conf.
    pub endpoint: &'a str,
    /// Further options in asterisk.conf.
    pub options: &'a str,
    /// Further sections of pjsip.conf.
    pub sections: &'a str,
    /// What it does with a call: lines of the dialplan's context `inbound`. `TONE` is its tone, `FOLDER` its folder.
    pub inbound: &'a str,
}

impl<'a> Setup<'a> {
    /// One that speaks UDP and answers whoever calls.
    pub fn plain(name: &'a str, ip: &'a str, edge: &'a str, tone: u16) -> Self {
        Self {
            name,
            ip,
            edge,
            transport: "udp",
            files: "",
            tone,
            endpoint: "",
            options: "",
            sections: "",
            inbound: ANSWERS,
        }
    }
}

/// Plays its tone until the other side hangs up.
pub const ANSWERS: &str =
    "exten => _[+0-9]!,1,Answer()\n same => n,Gosub(record,s,1)\n same => n,PlayTones(TONE)\n same => n,Wait(30)\n";

/// A running Asterisk.
pub struct Asterisk {
    process: Child,
    folder: PathBuf,
    config: String,
    tone: u16,
}

impl Asterisk {
    /// Starts one and waits until it is up.
    pub fn start(setup: &Setup<'_>) -> Self {
        let thread: String =
            format!("{:?}", std::thread::current().id()).chars().filter(char::is_ascii_digit).collect();
        let inside = format!("/interop/{}-{}-{thread}", setup.name, std::process::id());
        let folder = tree().join(inside.trim_start_matches('/'));
        let _left_over = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder for Asterisk");
        write(&folder, "asterisk.conf", &main_of(setup, &inside));
        write(&folder, "modules.conf", MODULES);
        write(&folder, "logger.conf", "[general]\n[logfiles]\nfull => notice,warning,error,verbose(3)\ndtmf => dtmf\n");
        write(&folder, "rtp.conf", "[general]\nrtpstart=41000\nrtpend=41999\n");
        write(&folder, "udptl.conf", "[general]\nudptlstart=43000\nudptlend=43999\n");
        write(&folder, "pjsip.conf", &pjsip_of(setup, &inside));
        if setup.transport == "tls" {
            for name in [&format!("{}.pem", setup.name), &format!("{}.key", setup.name), "ca.pem"] {
                std::fs::copy(Path::new(setup.files).join(name), folder.join(name)).expect("a file for TLS");
            }
        }
        write(&folder, "extensions.conf", &dialplan_of(setup, &inside));
        let config = format!("{inside}/asterisk.conf");
        let out = std::fs::File::create(folder.join("out")).expect("a file for its output");
        let process = Command::new("chroot")
            .arg(tree())
            .args(["asterisk", "-f", "-C", &config])
            .stdin(Stdio::null())
            .stdout(Stdio::from(out.try_clone().expect("a second handle")))
            .stderr(Stdio::from(out))
            .spawn()
            .expect("chroot runs; `make interop` installs the peers");
        let asterisk = Self { process, folder, config, tone: setup.tone };
        wait_until(&format!("Asterisk `{}` is up", setup.name), Duration::from_secs(60), || {
            asterisk.command("core waitfullybooted").contains("fully booted")
        });
        asterisk
    }

    /// Runs a command of its console.
    pub fn command(&self, command: &str) -> String {
        let output = Command::new("chroot").arg(tree()).args(["asterisk", "-C", &self.config, "-rx", command]).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
    }

    /// Calls a number through the edge; the channel then runs through this extension of the dialplan: `talk` for three
    /// seconds, or `stays`.
    pub fn call(&self, number: &str, extension: &str) {
        self.command(&format!("channel originate PJSIP/{number}@edge extension {extension}@outbound"));
    }

    /// Gives it a file in its folder.
    pub fn has_file(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.folder.join(name), bytes).expect("a file for Asterisk");
    }

    /// Ends it as a crash would.
    pub fn kill(&self) {
        // SAFETY: kill takes no pointers; the process is our child and not yet waited for.
        unsafe { libc::kill(self.process.id() as libc::pid_t, libc::SIGKILL) };
    }

    /// Has every message written into its log.
    pub fn traces(&self) {
        self.command("pjsip set logger on");
    }

    /// Requests of this method that it has received, repetitions too, since it traces.
    pub fn received(&self, method: &str) -> usize {
        requests(&self.log(), RECEIVED, method).count()
    }

    /// And those that it has sent.
    pub fn sent(&self, method: &str) -> usize {
        requests(&self.log(), "Transmitting SIP request (", method).count()
    }

    /// Waits until it was told by NOTIFY that a transfer of its own came to this (RFC 3515 §2.4.5), since it traces.
    pub fn is_notified(&self, status: &str) {
        let line = format!("\nSIP/2.0 {status}");
        wait_until(&format!("Asterisk is notified of {status}"), Duration::from_secs(60), || {
            requests(&self.log(), RECEIVED, "NOTIFY").any(|message| message.contains(&line))
        });
    }

    /// Runs an extension of its dialplan's context `inbound` by itself, as if a phone inside the PBX had dialled it.
    pub fn runs(&self, extension: &str) {
        self.command(&format!("channel originate Local/{extension}@inbound application Wait 60"));
    }

    /// Channels that are alive.
    pub fn channels(&self) -> usize {
        let text = self.command("core show channels count");
        // The console may have something else to say first.
        let number = text
            .lines()
            .find_map(|line| line.strip_suffix(" active channels").or(line.strip_suffix(" active channel")));
        number.and_then(|number| number.parse().ok()).unwrap_or(usize::MAX)
    }

    /// Waits until it has no channel.
    pub fn rests(&self) {
        wait_until("Asterisk has no channel left", Duration::from_secs(60), || self.channels() == 0);
    }

    /// What its channels have heard so far, each recording by itself: milliseconds of each tone.
    pub fn heard(&self) -> Vec<Vec<(u16, u32)>> {
        let files = std::fs::read_dir(self.folder.join("heard")).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = files.map(|file| file.path()).collect();
        files.sort();
        files.iter().filter_map(|file| recording::heard_ms(file, &TONES)).collect()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("full")).unwrap_or_default()
    }

    /// Digits that its channels took, by whatever way they were told of them: each with the milliseconds that it was pressed for.
    pub fn digits(&self) -> Vec<(char, u32)> {
        let log = std::fs::read_to_string(self.folder.join("dtmf")).unwrap_or_default();
        let mut told = None;
        let mut digits = Vec::new();
        for line in log.lines() {
            // One that comes while another is played on is put back, and told of again.
            told = key_let_go(line).or(told);
            let taken = told.filter(|(key, _)| {
                let words = ["end accepted with begin", "begin emulation of", "end passthrough"];
                words.iter().any(|words| line.contains(&format!("{words} '{key}'")))
            });
            if let Some(digit) = taken {
                digits.push(digit);
                told = None;
            }
        }
        digits
    }

    /// Waits until its log has a line with this text.
    pub fn says(&self, text: &str) {
        wait_until(&format!("Asterisk says `{text}`"), Duration::from_secs(60), || self.log().contains(text));
    }
}

impl Party for Asterisk {
    fn tone(&self) -> u16 {
        self.tone
    }

    fn heard_of(&self, hz: u16) -> u32 {
        self.heard().iter().flatten().filter(|(tone, _)| *tone == hz).map(|(_, ms)| ms).sum()
    }

    fn calls(&self, number: &str) {
        self.call(number, "stays");
    }

    fn hangs_up(&self) {
        self.command("channel request hangup all");
    }
}

impl Drop for Asterisk {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} said:\n{}", self.folder.display(), self.log());
            let told = std::fs::read_to_string(self.folder.join("dtmf")).unwrap_or_default();
            eprintln!("and of digits:\n{told}");
        }
        self.command("core stop now");
        // It has stopped, or is made to.
        let _gone = self.process.kill();
        let _waited = self.process.wait();
        let _left = std::fs::remove_dir_all(&self.folder);
    }
}

/// What a trace writes before a request that has come.
const RECEIVED: &str = "Received SIP request (";

/// Requests of this method in a trace that follow these words.
fn requests<'l>(log: &'l str, words: &'l str, method: &'l str) -> impl Iterator<Item = &'l str> {
    let messages = log.split(words).skip(1).filter_map(|rest| rest.split("<---").next());
    messages.filter(move |message| {
        let line = message.lines().nth(1).unwrap_or_default();
        line.strip_prefix(method).is_some_and(|rest| rest.starts_with(" sip:"))
    })
}

/// A line of its log that says that a key was let go, and how long it was pressed.
fn key_let_go(line: &str) -> Option<(char, u32)> {
    let (_, rest) = line.split_once("DTMF end '")?;
    let (key, rest) = (rest.chars().next()?, rest.get(1..)?.strip_prefix("' received on ")?);
    let ms = rest.split_once(", duration ")?.1.strip_suffix(" ms")?;
    Some((key, ms.parse().ok()?))
}

/// Where `scripts/install-interop` has put the tree that Asterisk lives in.
fn tree() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/interop/sid"))
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("a configuration file");
}

fn main_of(setup: &Setup<'_>, inside: &str) -> String {
    let own = ["astetcdir", "astdbdir", "astkeydir", "astagidir", "astspooldir", "astrundir", "astlogdir"];
    let own: String = own.iter().map(|key| format!("{key} => {inside}\n")).collect();
    format!(
        "[directories]\n{own}astmoddir => /usr/lib/x86_64-linux-gnu/asterisk/modules\nastvarlibdir => /var/lib/asterisk\n\
         astdatadir => /usr/share/asterisk\n[options]\nnocolor = yes\nverbose = 3\nmaxfiles = 10000\n\
         entityid = 02:00:00:00:00:01\n{}",
        setup.options
    )
}

const MODULES: &str = "[modules]\nautoload=yes\nnoload=chan_iax2.so\nnoload=chan_unistim.so\nnoload=chan_motif.so\nnoload=chan_console.so\n\
    noload=app_voicemail.so\nnoload=app_voicemail_odbc.so\nnoload=app_jack.so\nnoload=res_xmpp.so\nnoload=res_snmp.so\n\
    noload=res_config_ldap.so\nnoload=res_config_odbc.so\nnoload=res_config_pgsql.so\nnoload=res_config_sqlite3.so\nnoload=res_odbc.so\n\
    noload=cdr_radius.so\nnoload=cel_radius.so\nnoload=pbx_dundi.so\nnoload=pbx_ael.so\nnoload=pbx_lua.so\nnoload=res_phoneprov.so\n";

fn pjsip_of(setup: &Setup<'_>, inside: &str) -> String {
    let Setup { name, ip, edge, transport, endpoint, sections, .. } = setup;
    let (host, _) = edge.rsplit_once(':').expect("an address with a port");
    let host = host.trim_matches(['[', ']']);
    let audio = match ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')) {
        Some(ip) => format!("rtp_ipv6=yes\nmedia_address={ip}\nbind_rtp_to_media_address=yes\n"),
        None => String::new(),
    };
    let (port, tls) = match *transport {
        "tls" => (
            5061,
            format!(
                "method=tlsv1_2\nverify_server=yes\nca_list_file={inside}/ca.pem\ncert_file={inside}/{name}.pem\n\
                 priv_key_file={inside}/{name}.key\n"
            ),
        ),
        _ => (5060, String::new()),
    };
    format!(
        "[main]\ntype=transport\nprotocol={transport}\nbind={ip}:{port}\n{tls}\
         [edge]\ntype=aor\ncontact=sip:{edge}\\;transport={transport}\n\
         [edge]\ntype=identify\nendpoint=edge\nmatch={host}\n\
         [edge]\ntype=endpoint\ntransport=main\ncontext=inbound\naors=edge\ndisallow=all\nallow=alaw,ulaw\ndirect_media=no\n\
         {audio}{endpoint}\n{sections}\n"
    )
}

/// `record` keeps what the channel hears; `outbound` is where calls of our own go on once they are answered.
fn dialplan_of(setup: &Setup<'_>, inside: &str) -> String {
    let text = format!(
        "[general]\n[inbound]\n{}\n[record]\nexten => s,1,MixMonitor({inside}/mix-${{UNIQUEID}}.wav,r({inside}/heard/${{UNIQUEID}}.wav))\n \
         same => n,Return()\n[outbound]\nexten => talk,1,Gosub(record,s,1)\n same => n,PlayTones(TONE)\n same => n,Wait(3)\n \
         same => n,Hangup()\nexten => stays,1,Gosub(record,s,1)\n same => n,PlayTones(TONE)\n same => n,Wait(300)\n",
        setup.inbound
    );
    text.replace("TONE", &setup.tone.to_string()).replace("FOLDER", inside)
}

//! Kamailio as the proxy between the edge and a carrier: one process in a folder of its own, and what it does with a new request is the test's.
//!
//! It record-routes, follows the routes of later requests, and writes down how each found its way. Refuses to know: what the test wants to
//! prove.

use crate::{OUT, begin, end, folder};
use interop::wait_until;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

/// A carrier behind the proxy at `ACME`.
pub const BEHIND: &str = "127.0.0.41";
/// From there to the edge.
pub const TO_EDGE: &str = "$du = \"sip:127.0.0.11:5060\"; t_relay();";
/// And from the edge to there.
pub const TO_BEHIND: &str = "$du = \"sip:127.0.0.41:5060\"; t_relay();";
/// It asks the edge for the password `sesame` about every request, as each of its nonces is good for one: `first` and `modules` of such.
pub const ASKS: &str = "if ($si == \"127.0.0.11\" && !is_method(\"ACK|OPTIONS\")) {\n \
    if (!pv_proxy_authenticate(\"acme.example\", \"sesame\", \"0\")) {\n \
    xlog(\"L_ERR\", \"asks who sends $rm\\n\"); proxy_challenge(\"acme.example\", \"1\"); exit; }\n \
    consume_credentials(); }";
/// See `ASKS`.
pub const ONCE: &str = "modparam(\"auth\", \"one_time_nonce\", 1)\n";

/// What one proxy is.
pub struct Setup<'a> {
    /// Its name, for its folder.
    pub name: &'a str,
    /// Where it listens, as a URI has it, port 5060.
    pub ip: &'a str,
    /// Where it listens by TCP and TLS besides: lines of its configuration.
    pub listens: &'a str,
    /// Further modules, and how they are set.
    pub modules: &'a str,
    /// What it does with every request first, those inside calls too, but for CANCEL.
    pub first: &'a str,
    /// How it stays in the path.
    pub stays: &'a str,
    /// What it does with a new request from `onward`, in Kamailio's language.
    pub back: &'a str,
    /// The host of its other side.
    pub onward: &'a str,
    /// What it does with a new request from the side of the edge, in Kamailio's language.
    pub does: &'a str,
}

impl<'a> Setup<'a> {
    /// One that speaks UDP and stays in the path as a loose router (RFC 3261 §16.12).
    pub fn plain(name: &'a str, ip: &'a str, back: &'a str, onward: &'a str, does: &'a str) -> Self {
        Self { name, ip, listens: "", modules: "", first: "", stays: "record_route();", back, onward, does }
    }
}

/// A running proxy.
pub struct Kamailio {
    process: Child,
    folder: PathBuf,
}

impl Kamailio {
    /// Starts one and waits until it listens.
    pub fn start(setup: &Setup<'_>) -> Self {
        Self::run(folder("kamailio", setup.name), &config_of(setup), (setup.ip.trim_matches(['[', ']']), 5060))
    }

    /// Starts one by this configuration, in a folder of its own, and waits until it listens by UDP at `at`.
    pub(crate) fn run(folder: PathBuf, text: &str, at: (&str, u16)) -> Self {
        let config = folder.join("kamailio.cfg");
        std::fs::write(&config, text).expect("a configuration file");
        let mut command = Command::new("kamailio");
        command.args(["-DD", "-E", "-m", "32", "-M", "4", "-f"]).arg(&config).arg("-Y").arg(&folder);
        let process = begin(&mut command, &folder);
        let mut proxy = Self { process, folder };
        wait_until("Kamailio listens", Duration::from_secs(30), || {
            let ended = proxy.process.try_wait().expect("our child");
            assert!(ended.is_none(), "Kamailio has ended: {}", proxy.log());
            UdpSocket::bind(at).is_err()
        });
        proxy
    }

    /// What it has printed.
    pub fn log(&self) -> String {
        self.file(OUT)
    }

    /// Ends it; its folder stays until it is dropped.
    pub(crate) fn end(&mut self) {
        end(&mut self.process);
    }

    /// A file of its folder; empty while there is none.
    pub(crate) fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap_or_default()
    }

    /// How often it has printed this text.
    pub fn said(&self, text: &str) -> usize {
        self.log().matches(text).count()
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{} said:\n{}", self.folder.display(), self.log());
        }
        end(&mut self.process);
        let _left = std::fs::remove_dir_all(&self.folder);
    }
}

fn config_of(setup: &Setup<'_>) -> String {
    let Setup { ip, listens, modules: further, first, stays, back, onward, does, .. } = setup;
    let streams = if listens.is_empty() { "disable_tcp=yes" } else { "tcp_children=1" };
    let modules = ["kex", "tm", "sl", "rr", "pv", "maxfwd", "textops", "siputils", "xlog", "tmx", "corex", "auth"];
    let modules = modules.map(|name| format!("loadmodule \"{name}.so\"\n")).concat();
    format!(
        r#"#!KAMAILIO
debug=1
log_stderror=yes
children=1
{streams}
auto_aliases=no
listen=udp:{ip}:5060
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
{listens}
{modules}
{further}
request_route {{
    if (is_method("OPTIONS") && uri == myself && $rU == $null) {{
        sl_send_reply("200", "OK");
        exit;
    }}
    if (is_method("CANCEL")) {{
        xlog("L_ERR", "passes CANCEL\n");
        if (t_check_trans()) {{ t_relay(); }}
        exit;
    }}
    {first}
    if (has_totag()) {{
        if (loose_route()) {{
            xlog("L_ERR", "routes $rm of $si\n");
            t_relay();
        }} else if (is_method("ACK") && t_check_trans()) {{
            t_relay();
        }} else if (!is_method("ACK")) {{
            xlog("L_ERR", "cannot place $rm of $si\n");
            sl_send_reply("404", "No Route");
        }}
        exit;
    }}
    t_check_trans();
    if (is_method("INVITE")) {{
        {stays}
    }}
    if ($si == "{onward}") {{
        {back}
        exit;
    }}
    {does}
}}
"#
    )
}

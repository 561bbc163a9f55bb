//! The capture node of Homer 5: Kamailio with its module `sipcapture`, which takes HEP3 and writes each message into Homer's table.
//!
//! The table is a text file here (`db_text`), a row of it a message. Refuses to know: who tells it, and what is right.

use crate::folder;
use crate::kamailio::Kamailio;

/// Where it listens for HEP.
pub const AT: &str = "127.0.0.50:9060";
/// What Homer knows of a message, as its table has it, in this order.
const COLUMNS: &str = "id(int,auto) date(int) micro_ts(int) method(string) reply_reason(string) ruri(string) ruri_user(string) \
    ruri_domain(string) from_user(string) from_domain(string) from_tag(string) to_user(string) to_domain(string) to_tag(string) \
    pid_user(string) contact_user(string) auth_user(string) callid(string) callid_aleg(string) via_1(string) via_1_branch(string) \
    cseq(string) diversion(string) reason(string) content_type(string) auth(string) user_agent(string) source_ip(string) \
    source_port(int) destination_ip(string) destination_port(int) contact_ip(string) contact_port(int) originator_ip(string) \
    originator_port(int) correlation_id(string) custom_field1(string) custom_field2(string) custom_field3(string) proto(int) \
    family(int) rtp_stat(string) type(int) node(string) msg(string)";

/// One message in Homer's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// A method, or a code.
    pub method: String,
    /// Where it came from, and where it went.
    pub from: String,
    /// See `from`.
    pub to: String,
    /// The Call-ID that Homer has read in it.
    pub call_id: String,
    /// What Homer finds the legs of a call by.
    pub correlation: String,
    /// The capture node's own name and the number of whoever told it.
    pub node: String,
    /// The message.
    pub text: String,
}

/// A running capture node.
pub struct Homer(Kamailio);

impl Homer {
    /// Starts one and waits until it listens.
    pub fn start() -> Self {
        let folder = folder("kamailio", "homer");
        std::fs::write(folder.join("sip_capture"), format!("{COLUMNS}\n")).expect("an empty table");
        let version = "table_name(string) table_version(int)\nsip_capture:4\n";
        std::fs::write(folder.join("version"), version).expect("what version it is");
        let (ip, port) = AT.split_once(':').expect("an address");
        let at = (ip, port.parse().expect("a port"));
        let config = config_of(&folder.to_string_lossy());
        Self(Kamailio::run(folder, &config, at))
    }

    /// How many messages of requests of this method, and of responses to them, it has taken.
    pub fn taken(&self, method: &str) -> usize {
        self.0.said(&format!("took {method}\n"))
    }

    /// Ends it, which writes the table; what that holds, the oldest first.
    pub fn ended(mut self) -> Vec<Row> {
        self.0.end();
        let table = self.0.file("sip_capture");
        let mut rows: Vec<(u64, Row)> = table.lines().skip(1).filter_map(row).collect();
        rows.sort_by_key(|(id, _)| *id);
        rows.into_iter().map(|(_, row)| row).collect()
    }
}

/// A row that is written whole, with its number.
fn row(line: &str) -> Option<(u64, Row)> {
    let cells = cells(line);
    let names = COLUMNS.split(' ').filter_map(|column| column.split('(').next());
    let of = |wanted: &str| cells.get(names.clone().position(|name| name == wanted)?).cloned();
    let address = |ip: &str, port: &str| Some(format!("{}:{}", of(ip)?, of(port)?));
    let row = Row {
        method: of("method")?,
        from: address("source_ip", "source_port")?,
        to: address("destination_ip", "destination_port")?,
        call_id: of("callid")?,
        correlation: of("correlation_id")?,
        node: of("node")?,
        text: of("msg")?,
    };
    Some((of("id")?.parse().ok()?, row))
}

/// What stands between colons, where a backslash takes the next character as it is or makes it a line's end.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (character, cells.last_mut()) {
            (':', _) => cells.push(String::new()),
            ('\\', Some(cell)) => match characters.next() {
                Some('r') => cell.push('\r'),
                Some('n') => cell.push('\n'),
                Some(other) => cell.push(other),
                None => {}
            },
            (other, Some(cell)) => cell.push(other),
            (_, None) => {}
        }
    }
    cells
}

fn config_of(folder: &str) -> String {
    format!(
        r#"#!KAMAILIO
debug=1
log_stderror=yes
children=1
disable_tcp=yes
auto_aliases=no
listen=udp:{AT}
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "xlog.so"
loadmodule "db_text.so"
loadmodule "sipcapture.so"
modparam("db_text", "db_mode", 1)
modparam("sipcapture", "db_url", "text://{folder}")
modparam("sipcapture", "capture_on", 1)
modparam("sipcapture", "hep_capture_on", 1)
modparam("sipcapture", "insert_retries", 1)
modparam("sipcapture", "insert_retry_timeout", 5)
request_route {{ sip_capture(); xlog("L_ERR", "took $rm\n"); drop; }}
onreply_route {{ sip_capture(); xlog("L_ERR", "took $rm\n"); drop; }}
"#
    )
}

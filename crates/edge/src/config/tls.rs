//! `tls = { … }` of a listen and of a trunk: who we are, whom we trust.
//!
//! Only names of files are read here. Refuses to know: files, certificates; whoever opens them says what is wrong with them.

use super::fault::Faults;
use super::reader::Reader;
use super::schema::{Section, is, other};
use super::value;

pub(super) static LISTEN_TLS: Section = Section {
    title: "tls of [listen.NAME]",
    example: "[listen.wan.tls]",
    about: "Who the edge is to those that connect by TLS. Files are in PEM, their names relative to the folder of this file; a reload reads \
            them again and leaves connections alone.",
    keys: &[
        other("certificate", "a file", "no TLS", "\"edge.pem\"", "Its certificate, and those between it and the root."),
        other("key", "a file", "no TLS", "\"edge.key\"", "The private key of the certificate."),
        other(
            "client_ca",
            "a file",
            "clients are not asked for certificates",
            "\"carriers.pem\"",
            "Whoever connects must show a certificate issued by one of these.",
        ),
        other("min", "\"1.2\" or \"1.3\"", "1.2", "\"1.3\"", "Oldest version of TLS that is spoken."),
    ],
};

pub(super) static TRUNK_TLS: Section = Section {
    title: "tls of [trunk.NAME]",
    example: "[trunk.acme.tls]",
    about: "Whom the edge trusts when it connects to this trunk by TLS, and who it is to it.",
    keys: &[
        is(
            "trust",
            "a file or \"system\"",
            "\"system\"",
            "Who may have issued its certificate: those of this file in PEM, or those this machine trusts.",
        ),
        other(
            "name",
            "a name or an address",
            "the host of `at`",
            "\"sbc.acme.example\"",
            "What its certificate must be for; also sent as SNI.",
        ),
        other(
            "certificate",
            "a file",
            "none is shown",
            "\"edge.pem\"",
            "Our certificate, for a trunk that asks for one.",
        ),
        other("key", "a file", "none is shown", "\"edge.key\"", "The private key of that certificate."),
        is(
            "verify",
            "true or false",
            "true",
            "Whether its certificate is verified. Without that anybody on the way can take its place.",
        ),
    ],
};

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// File of the certificate and those between it and the root.
    pub certificate: String,
    /// File of its private key.
    pub key: String,
}

/// TLS of a listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenTls {
    /// Who the edge is.
    pub identity: Identity,
    /// File of those who may issue certificates to clients; none asks for no certificate.
    pub client_ca: Option<String>,
    /// TLS 1.3 and nothing older.
    pub only_1_3: bool,
}

/// TLS towards a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkTls {
    /// File of those who may have issued its certificate; none for those the machine trusts.
    pub trust: Option<String>,
    /// What its certificate must be for; none for the address it is reached at.
    pub name: Option<String>,
    /// Who the edge is, if it is asked.
    pub identity: Option<Identity>,
    /// Its certificate is verified.
    pub verify: bool,
}

impl Default for TrunkTls {
    fn default() -> Self {
        Self { trust: None, name: None, identity: None, verify: true }
    }
}

pub(super) fn of_listen(listen: &Reader<'_, '_>, faults: &mut Faults<'_>) -> Option<ListenTls> {
    let node = listen.get("tls")?;
    let reader = Reader::open(node, &node.span(), &LISTEN_TLS, faults)?;
    let identity = identity(&reader, &LISTEN_TLS, faults);
    if identity.is_none() && reader.get("certificate").is_none() && reader.get("key").is_none() {
        faults.error(&reader.at, "TLS needs a certificate", "`certificate` and `key`", None);
    }
    let client_ca = reader.read("client_ca", faults, value::text).filter(|file| !file.is_empty());
    let min = reader.read("min", faults, value::word(&["1.2", "1.3"]));
    Some(ListenTls { identity: identity?, client_ca, only_1_3: min == Some("1.3") })
}

pub(super) fn of_trunk(trunk: &Reader<'_, '_>, faults: &mut Faults<'_>) -> TrunkTls {
    let mut tls = TrunkTls::default();
    let Some(node) = trunk.get("tls") else { return tls };
    let Some(reader) = Reader::open(node, &node.span(), &TRUNK_TLS, faults) else { return tls };
    tls.trust = reader.read("trust", faults, value::text).filter(|trust| trust != "system");
    tls.name = reader.read("name", faults, host);
    tls.identity = identity(&reader, &TRUNK_TLS, faults);
    reader.set("verify", &mut tls.verify, faults, value::flag);
    if !tls.verify {
        let what = "the certificate of this trunk is not verified: anybody on the way can take its place";
        let fix = Some(String::from("put its issuer into a file and write `trust = \"FILE\"`"));
        faults.warn(&reader.place("verify"), what, "verify = true", fix);
    }
    tls
}

/// A certificate and its key, which belong together.
fn identity(reader: &Reader<'_, '_>, section: &Section, faults: &mut Faults<'_>) -> Option<Identity> {
    let certificate = reader.read("certificate", faults, value::text).filter(|file| !file.is_empty());
    let key = reader.read("key", faults, value::text).filter(|file| !file.is_empty());
    let missing = match (&certificate, &key) {
        (Some(_), None) => Some("key"),
        (None, Some(_)) => Some("certificate"),
        _ => None,
    };
    if let Some(missing) = missing {
        let what = format!("`{missing}` is missing in {}", section.title);
        faults.error(&reader.at, what, "both `certificate` and `key`", None);
    }
    Some(Identity { certificate: certificate?, key: key? })
}

/// A host as a certificate names it.
fn host(node: &super::reader::Node<'_>, faults: &mut Faults<'_>) -> Option<String> {
    let text = value::text(node, faults)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
    if !text.is_empty() && text.len() <= 253 && text.chars().all(plain) {
        return Some(text);
    }
    let what = format!("{} is no name of a host", value::found(node));
    faults.error(&node.span(), what, "a name such as \"sbc.acme.example\", or an address", None);
    None
}

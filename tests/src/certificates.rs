//! Certificates of a test: an authority of its own, and what it issues, as files in PEM.

use edge::config::{Identity, ListenTls, TrunkTls};
use node::lab::AgentTls;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use std::path::PathBuf;

/// Who issues certificates, and the folder they are in; `ca.pem` is its own.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

/// Whether a certificate is still good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Valid {
    /// It is.
    Now,
    /// It has expired.
    NoMore,
}

impl Authority {
    /// A new one, in a folder of this test.
    pub fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("throughline-tls-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority of a test");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        std::fs::write(folder.join("ca.pem"), issuer.pem()).expect("a file");
        Self { issuer, folder }
    }

    /// Issues `WHO.pem` and `WHO.key` for a host.
    pub fn issue(&self, who: &str, host: &str, valid: Valid) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = match valid {
            Valid::Now => date_time_ymd(2100, 1, 1),
            Valid::NoMore => date_time_ymd(2020, 2, 1),
        };
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        std::fs::write(self.folder.join(format!("{who}.pem")), certificate.pem()).expect("a file");
        std::fs::write(self.folder.join(format!("{who}.key")), key.serialize_pem()).expect("a file");
    }

    /// An agent that shows `WHO.pem`, and speaks to an edge that this authority calls `edge.example`.
    pub fn agent(&self, who: &str) -> AgentTls {
        let files = self.folder();
        let identity = Identity { certificate: format!("{files}/{who}.pem"), key: format!("{files}/{who}.key") };
        AgentTls {
            listen: ListenTls { identity, client_ca: None, only_1_3: false },
            trust: TrunkTls {
                trust: Some(format!("{files}/ca.pem")),
                name: Some("edge.example".to_owned()),
                ..TrunkTls::default()
            },
        }
    }

    /// The folder of the files.
    pub fn folder(&self) -> String {
        self.folder.display().to_string()
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _left = std::fs::remove_dir_all(&self.folder);
    }
}

//! TLS of a configuration: certificates and trust read from their files, each fault with what to do about it.
//!
//! Refuses to know: connections.

use edge::config::{Identity, ListenTls, Settings, TrunkTls};
use model::{SocketId, TransportFault, TrunkId, Wall};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
    SupportedProtocolVersion, version,
};
use sip::Transport;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a target is connected to.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(super) config: Arc<ClientConfig>,
    pub(super) name: ServerName<'static>,
}

/// Whom a trunk is believed to be.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    config: Arc<ClientConfig>,
    /// What its certificate must be for, wherever it is found; none for the host of `at`.
    name: Option<ServerName<'static>>,
}

/// By our socket and the target.
pub(super) type Clients = BTreeMap<(SocketId, SocketAddr), Client>;

/// All TLS of a configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsPlan {
    /// By the socket that is connected to.
    pub(super) servers: BTreeMap<SocketId, Arc<ServerConfig>>,
    /// Of each trunk that may be reached by TLS.
    pub(super) trusts: BTreeMap<TrunkId, Trust>,
    /// When our own certificates expire, by file, in seconds since 1970.
    pub(crate) expiry: BTreeMap<String, i64>,
}

/// An own certificate that expires sooner is worth a word.
const SOON_DAYS: i64 = 30;
const DAY_S: i64 = 86_400;

impl TlsPlan {
    /// Reads all files that `settings` names, relative to `folder`, as of `now`.
    ///
    /// # Errors
    /// Every fault, a line each.
    pub(crate) fn read(settings: &Settings, folder: &Path, now: Wall) -> Result<Self, Vec<String>> {
        let (mut plan, mut faults) = (Self::default(), Vec::new());
        let of_listens = settings.listen_tls.iter().flatten().map(|tls| &tls.identity);
        for own in of_listens.chain(settings.trunk_tls.iter().filter_map(|tls| tls.identity.as_ref())) {
            // What cannot be read is told below, once.
            let Ok(at) = expiry(&folder.join(&own.certificate)) else { continue };
            if at <= seconds(now) {
                faults.push(format!("{}: it has expired; put a new certificate in its place", own.certificate));
            }
            plan.expiry.insert(own.certificate.clone(), at);
        }
        for socket in settings.sockets.iter().filter(|socket| socket.transport.is_secure()) {
            let Some(Some(tls)) = settings.listen_tls.get(socket.listen.index()) else { continue };
            match server(tls, folder) {
                Ok(config) => drop(plan.servers.insert(socket.id, config)),
                Err(fault) => faults.push(fault),
            }
        }
        plan.trust(settings, folder, &mut faults);
        faults.dedup();
        if faults.is_empty() { Ok(plan) } else { Err(faults) }
    }

    /// Whom to trust as each trunk that TLS leads to, or may once its name has been looked up.
    fn trust(&mut self, settings: &Settings, folder: &Path, faults: &mut Vec<String>) {
        let mut system = None;
        for (id, (trunk, tls)) in (0_u16..).zip(settings.profiles.trunks.iter().zip(&settings.trunk_tls)) {
            let Some(trunk) = trunk else { continue };
            let named = settings.named.get(&TrunkId(id));
            let is_target = trunk.targets.iter().any(|target| target.transport == Transport::Tls);
            let is_certain = is_target || named.is_some_and(|named| named.leads_by(Transport::Tls));
            if !is_certain && !named.is_some_and(|named| named.may_lead_by(Transport::Tls)) {
                continue;
            }
            let names = tls.name.iter().map(String::as_str).chain(named.into_iter().flat_map(|named| named.names()));
            for name in names.filter(|name| ServerName::try_from(*name).is_err()) {
                faults.push(format!("trunk `{}`: no certificate can be for {name}; give another `name`", trunk.name));
            }
            match client(tls, folder, &mut system) {
                Ok(config) => {
                    let name = tls.name.clone().and_then(|name| ServerName::try_from(name).ok());
                    self.trusts.insert(TrunkId(id), Trust { config, name });
                }
                // A name that may as well lead by another transport is no reason to trust somebody.
                Err(_) if !is_certain && *tls == TrunkTls::default() => {}
                Err(fault) => faults.push(format!("trunk `{}`: {fault}", trunk.name)),
            }
        }
    }

    /// Whom to trust at each target of these settings. Of a trunk found by name it is the name that was asked for which the
    /// certificate must hold, not the host that DNS has led to (RFC 5922 §7.2, RFC 6125 §1.7.2): else whoever can forge an answer
    /// could be the trunk.
    pub(super) fn clients(&self, settings: &Settings) -> Clients {
        let mut clients = Clients::new();
        for (id, trust) in &self.trusts {
            let targets = settings.profiles.trunk(*id).map(|trunk| trunk.targets.as_slice()).unwrap_or_default();
            for target in targets.iter().filter(|target| target.transport == Transport::Tls) {
                let asked = settings.name_of(*id, target).and_then(|host| ServerName::try_from(host.to_string()).ok());
                let name = trust.name.clone().or(asked).unwrap_or_else(|| ServerName::from(target.addr.ip()));
                clients.insert((target.socket, target.addr), Client { config: trust.config.clone(), name });
            }
        }
        clients
    }

    /// Own certificates that expire soon, a line each.
    pub(crate) fn warnings(&self, now: Wall) -> Vec<String> {
        let left = |(file, at): (&String, &i64)| {
            let days = (at - seconds(now)) / DAY_S;
            let what = || format!("{file}: it expires in {days} days; put a new certificate in its place and reload");
            (days < SOON_DAYS).then(what)
        };
        self.expiry.iter().filter_map(left).collect()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

pub(crate) fn server(tls: &ListenTls, folder: &Path) -> Result<Arc<ServerConfig>, String> {
    let (chain, key) = identity(&tls.identity, folder)?;
    let old: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
    let versions = if tls.only_1_3 { &old[..1] } else { old };
    let builder = ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions);
    let builder = builder.map_err(|error| error.to_string())?;
    let builder = match &tls.client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let roots = Arc::new(roots(&folder.join(file))?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| format!("{file}: {error}"))?)
        }
    };
    let config = builder.with_single_cert(chain, key).map_err(|error| mismatch(&tls.identity, &error))?;
    Ok(Arc::new(config))
}

/// `system` keeps the roots of this machine, which are read once and only when somebody wants them.
pub(crate) fn client(
    tls: &TrunkTls,
    folder: &Path,
    system: &mut Option<RootCertStore>,
) -> Result<Arc<ClientConfig>, String> {
    let builder = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    let builder = if tls.verify {
        let roots = match &tls.trust {
            Some(file) => roots(&folder.join(file))?,
            None => match system {
                Some(roots) => roots.clone(),
                None => system.insert(system_roots()?).clone(),
            },
        };
        builder.with_root_certificates(roots)
    } else {
        let any = Arc::new(Unverified(provider().signature_verification_algorithms));
        builder.dangerous().with_custom_certificate_verifier(any)
    };
    let config = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let (chain, key) = identity(own, folder)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| mismatch(own, &error))?
        }
    };
    Ok(Arc::new(config))
}

pub(crate) fn server_name(tls: &TrunkTls, addr: SocketAddr) -> Result<ServerName<'static>, String> {
    match &tls.name {
        Some(name) => {
            ServerName::try_from(name.clone()).map_err(|_| format!("{name} is no name of a host; correct `name`"))
        }
        None => Ok(ServerName::from(addr.ip())),
    }
}

fn identity(of: &Identity, folder: &Path) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), String> {
    let chain = certificates(&folder.join(&of.certificate))?;
    let file = folder.join(&of.key);
    let key = PrivateKeyDer::from_pem_file(&file);
    let key = key.map_err(|error| format!("{}: {error}; `key` must name a private key in PEM", file.display()))?;
    Ok((chain, key))
}

fn mismatch(of: &Identity, error: &rustls::Error) -> String {
    format!(
        "{} and {} do not belong together: {error}; give the key this certificate was made with",
        of.certificate, of.key
    )
}

fn certificates(file: &PathBuf) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = read
        .map_err(|error| format!("{}: {error}; give a certificate in PEM that this user may read", file.display()))?;
    if chain.is_empty() {
        Err(format!("{}: it holds no certificate; give one in PEM", file.display()))
    } else {
        Ok(chain)
    }
}

/// When the first certificate of a file expires, in seconds since 1970.
fn expiry(file: &PathBuf) -> Result<i64, String> {
    let chain = certificates(file)?;
    let own = chain.first().map(|own| x509_parser::parse_x509_certificate(own));
    match own {
        Some(Ok((_, certificate))) => Ok(certificate.validity().not_after.timestamp()),
        _ => Err(format!("{}: it is no certificate", file.display())),
    }
}

fn seconds(wall: Wall) -> i64 {
    wall.as_micros().div_euclid(1_000_000)
}

fn roots(file: &PathBuf) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(file)? {
        roots.add(certificate).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let (known, _odd) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if known == 0 {
        return Err(
            "this machine trusts nobody: install its certificates, or name those of the trunk by `trust`".to_owned()
        );
    }
    Ok(roots)
}

/// What an error of TLS says of the peer.
pub(super) fn fault(error: &rustls::Error) -> TransportFault {
    match error {
        rustls::Error::InvalidCertificate(why) => match why {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => TransportFault::CertificateExpired,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TransportFault::CertificateOfAnother
            }
            _ => TransportFault::CertificateUntrusted,
        },
        _ => TransportFault::TlsFailed,
    }
}

/// Takes any certificate, but only from whoever has its key: `verify = false`.
#[derive(Debug)]
struct Unverified(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

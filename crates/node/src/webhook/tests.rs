#![allow(clippy::unwrap_used)]

use super::*;
use edge::config::Address;
use explain::Severity;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

fn plan(port: u16, secure: bool) -> Webhook {
    let authority = format!("localhost:{port}");
    Webhook {
        name: "pager".into(),
        address: Address { secure, host: "localhost".to_owned(), port, authority, path: "/in".to_owned() },
        secret: None,
        severity: Severity::Info,
        alarms: Vec::new(),
        timeout: Span::from_secs(10),
        give_up: Span::from_secs(60),
    }
}

fn trusting(certificate: Option<&CertificateDer<'static>>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    certificate.into_iter().for_each(|certificate| roots.add(certificate.clone()).unwrap());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

#[test]
fn by_https_only_a_receiver_with_a_trusted_certificate_is_told() {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = cert.der().clone();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let server = server.with_no_client_auth().with_single_cert(vec![certificate.clone()], key).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::new(server));
        let serve = async {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut text = Vec::new();
                while !text.ends_with(b"{}") {
                    text.push(stream.read_u8().await.unwrap());
                }
                stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").await.unwrap();
                return String::from_utf8(text).unwrap();
            }
        };
        let tell = async {
            let body: Arc<str> = "{}".into();
            let plan = plan(port, true);
            assert_eq!(post(&plan, None, body.clone(), Wall::from_micros(0)).await, Tried::Later, "never in clear");
            let strange = post(&plan, Some(trusting(None)), body.clone(), Wall::from_micros(0)).await;
            assert_eq!(strange, Tried::Later);
            post(&plan, Some(trusting(Some(&certificate))), body, Wall::from_micros(0)).await
        };
        let (heard, tried) = tokio::join!(serve, tell);
        assert_eq!(tried, Tried::Taken);
        assert!(heard.starts_with("POST /in HTTP/1.1\r\n") && heard.contains(&format!("host: localhost:{port}\r\n")));
    });
}

#[test]
fn nobody_there_is_a_try_to_be_repeated() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let tried = runtime.block_on(post(&plan(port, false), None, "{}".into(), Wall::from_micros(0)));
    assert_eq!(tried, Tried::Later);
}

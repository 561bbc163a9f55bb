#![allow(clippy::unwrap_used)]

use super::http::Letter;
use super::tell::post;
use super::*;
use edge::config::Address;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const TAKEN: Tried = Tried::Taken { except: 0 };

fn letter(port: u16, secure: bool) -> Letter {
    let authority = format!("localhost:{port}");
    Letter {
        address: Address { secure, host: "localhost".to_owned(), port, authority, path: "/in".to_owned() },
        timeout: Span::from_secs(10),
        headers: vec![("x-token".to_owned(), "sesame".to_owned())],
        body: "{}".into(),
        reads: 0,
    }
}

/// One try to tell a webhook.
async fn tried(letter: Letter, tls: Option<TlsConnector>) -> Tried {
    post(Receiver::Webhook("pager".into()), letter, tls).await.tried
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
            assert_eq!(tried(letter(port, true), None).await, Tried::Later, "never in clear");
            assert_eq!(tried(letter(port, true), Some(trusting(None))).await, Tried::Later, "a stranger");
            tried(letter(port, true), Some(trusting(Some(&certificate)))).await
        };
        let (heard, told) = tokio::join!(serve, tell);
        assert_eq!(told, TAKEN);
        assert!(heard.starts_with("POST /in HTTP/1.1\r\n") && heard.contains(&format!("host: localhost:{port}\r\n")));
        assert!(heard.contains("x-token: sesame\r\n"), "{heard}");
    });
}

#[test]
fn nobody_there_is_a_try_to_be_repeated() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_eq!(runtime.block_on(tried(letter(port, false), None)), Tried::Later);
}

#[test]
fn a_collector_says_how_many_spans_it_leaves_out_and_a_webhook_is_not_listened_to() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let said = r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}}"#;
        let serve = async {
            for length in [said.len(), said.len(), said.len() + 1] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut text = Vec::new();
                while !text.ends_with(b"{}") {
                    text.push(stream.read_u8().await.unwrap());
                }
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{said}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        };
        let ask = async |receiver, reads| post(receiver, Letter { reads, ..letter(port, false) }, None).await.tried;
        let tell = async {
            let webhook = ask(Receiver::Webhook("pager".into()), 0).await;
            (webhook, ask(Receiver::Collector, 1_024).await, ask(Receiver::Collector, 1_024).await)
        };
        let ((), told) = tokio::join!(serve, tell);
        assert_eq!(told, (TAKEN, Tried::Taken { except: 3 }, TAKEN), "an answer that breaks off takes nothing back");
    });
}

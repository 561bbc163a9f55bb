//! One post by HTTP, within its time.
//!
//! HTTP is hyper's, TLS is rustls'. Each post has a connection of its own: posts are rare, and a kept connection is one more thing that can
//! be dead. Refuses to know: what is posted, and whether it is tried again.

use edge::config::Address;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use model::Span;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What is posted, and where. Headers and address may hold secrets, so it is not printed.
pub(super) struct Letter {
    pub(super) address: Address,
    /// From the name of the host to the answer.
    pub(super) timeout: Span,
    /// Beside those that every post has.
    pub(super) headers: Vec<(String, String)>,
    /// JSON.
    pub(super) body: Arc<str>,
    /// So many bytes of the answer's body are read at most; none of a longer one.
    pub(super) reads: usize,
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Empty when it was not to be read, or could not be.
    pub(super) body: Bytes,
}

/// None when TLS cannot be had; then nothing is posted by https.
pub(super) fn connector() -> Option<TlsConnector> {
    let mut roots = RootCertStore::empty();
    let (known, _odd) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if known == 0 {
        tracing::warn!("this machine trusts nobody, so no receiver by https is believed: install its certificates");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    Some(TlsConnector::from(Arc::new(config)))
}

/// One try.
///
/// # Errors
/// When nothing was answered; says why.
pub(super) async fn send(letter: &Letter, tls: Option<TlsConnector>) -> io::Result<Answer> {
    let limit = Duration::from_micros(letter.timeout.as_micros());
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no answer in {}", letter.timeout));
    tokio::time::timeout(limit, exchange(letter, tls)).await.map_err(late)?
}

async fn exchange(letter: &Letter, tls: Option<TlsConnector>) -> io::Result<Answer> {
    let address = &letter.address;
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    let request = request(letter).map_err(io::Error::other)?;
    match tls.filter(|_| address.secure) {
        None if address.secure => Err(io::Error::other("there is no TLS on this machine")),
        None => answer(stream, request, letter.reads).await,
        Some(tls) => {
            let host = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
            answer(tls.connect(host, stream).await?, request, letter.reads).await
        }
    }
}

fn request(letter: &Letter) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let mut request = Request::post(letter.address.path.as_str())
        .header("host", letter.address.authority.as_str())
        .header("content-type", "application/json")
        .header("connection", "close")
        .header("user-agent", "throughline");
    for (name, value) in &letter.headers {
        request = request.header(name, value);
    }
    request.body(Full::new(Bytes::copy_from_slice(letter.body.as_bytes())))
}

async fn answer<S>(stream: S, request: Request<Full<Bytes>>, reads: usize) -> io::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let asked = async move {
        let answer = sender.send_request(request).await.map_err(io::Error::other)?;
        let status = answer.status().as_u16();
        if reads == 0 {
            return Ok(Answer { status, body: Bytes::new() });
        }
        // The status says what has become of the post; a body that breaks off, or is too long, takes nothing back.
        let body = Limited::new(answer.into_body(), reads).collect().await;
        Ok(Answer { status, body: body.map(|body| body.to_bytes()).unwrap_or_default() })
    };
    tokio::pin!(asked);
    tokio::select! {
        answer = &mut asked => answer,
        // A receiver that answers and hangs up at once ends the connection first; what it said is there all the same.
        _ended = connection => asked.await,
    }
}

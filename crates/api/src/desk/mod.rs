//! The operator's desk: a page that the edge serves itself, out of its own program. It needs no internet and no build, and lives by the
//! API's routes alone.
//!
//! Refuses to know: what the page shows.

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Nothing but what this edge serves: no script within the page, no frame around it, no word to anybody else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// One file of the page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asset {
    pub(crate) path: &'static str,
    kind: &'static str,
    pub(crate) text: &'static str,
}

const fn asset(path: &'static str, kind: &'static str, text: &'static str) -> Asset {
    Asset { path, kind, text }
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// All of it.
pub(crate) const ASSETS: [Asset; 10] = [
    asset("/", HTML, include_str!("index.html")),
    asset("/desk/desk.css", CSS, include_str!("desk.css")),
    asset("/desk/icon.svg", "image/svg+xml", include_str!("icon.svg")),
    asset("/desk/desk.js", JS, include_str!("desk.js")),
    asset("/desk/edge.js", JS, include_str!("edge.js")),
    asset("/desk/words.js", JS, include_str!("words.js")),
    asset("/desk/trunks.js", JS, include_str!("trunks.js")),
    asset("/desk/groups.js", JS, include_str!("groups.js")),
    asset("/desk/timeline.js", JS, include_str!("timeline.js")),
    asset("/desk/calls.js", JS, include_str!("calls.js")),
];

/// The routes of the page. Everyone may have it: there is nothing in it but its own text.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    ASSETS.into_iter().fold(Router::new(), |router, asset| {
        router.route(asset.path, get(move |headers: HeaderMap| async move { serve(asset, &headers) }))
    })
}

/// Whether anybody may ask for this path, whoever he is: the page, and what load balancers and watchdogs look at.
pub(crate) fn is_open(path: &str) -> bool {
    path == "/" || path.starts_with("/desk/") || path == "/healthz" || path == "/readyz"
}

fn serve(asset: Asset, headers: &HeaderMap) -> Response {
    let tag = tag(asset.text);
    let known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, asset.kind)], asset.text).into_response()
    };
    let kept = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "no-referrer"),
        // Asked for each time, so that a new version of the edge never meets an old page.
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        kept.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        kept.insert(header::ETAG, tag);
    }
    response
}

/// FNV-1a (Fowler, Noll, Vo) of the text: another text, another tag.
fn tag(text: &str) -> String {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("\"{hash:016x}\"")
}

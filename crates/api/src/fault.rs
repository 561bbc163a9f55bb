//! Errors as clients see them: a status, what is wrong, what to do.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Which status it becomes.
    #[serde(skip)]
    pub kind: Kind,
    /// What is wrong.
    pub error: String,
    /// What to do.
    pub hint: String,
}

/// The kinds of faults, each one HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 400: the question is wrong.
    Invalid,
    /// 401: only with a token.
    Unauthorised,
    /// 403: not from there.
    Forbidden,
    /// 404: no such trunk, call, route.
    NotFound,
    /// 405: the path is right and the method is not.
    Method,
    /// 409: not as things are.
    Conflict,
    /// 413: too large.
    TooLarge,
    /// 500: our own fault.
    Failed,
    /// 503: not now.
    Unavailable,
}

impl Fault {
    /// A fault of this kind.
    pub fn new(kind: Kind, error: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind, error: error.into(), hint: hint.into() }
    }

    /// There is no such trunk.
    pub fn no_trunk(name: &str) -> Self {
        Self::new(Kind::NotFound, format!("there is no trunk `{name}`"), "GET /v1/trunks lists them")
    }

    /// There is no such group.
    pub fn no_group(name: &str) -> Self {
        Self::new(
            Kind::NotFound,
            format!("there is no group `{name}`"),
            "`[group.NAME]` of the configuration names them",
        )
    }

    /// There is no such webhook.
    pub fn no_webhook(name: &str) -> Self {
        let hint = "`[webhook.NAME]` of the configuration names them";
        Self::new(Kind::NotFound, format!("there is no webhook `{name}`"), hint)
    }

    /// There is no such call.
    pub fn no_call(call: model::CallRef) -> Self {
        let hint = "GET /v1/calls lists those in progress; one that is over may have been pruned from the journal";
        Self::new(Kind::NotFound, format!("there is no call {call}"), hint)
    }

    /// A question of the lab, asked of an edge that has none.
    pub fn no_lab() -> Self {
        let hint = "start one with `throughline run` without a configuration file";
        Self::new(Kind::NotFound, "this edge runs no lab", hint)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let status = match self.kind {
            Kind::Invalid => StatusCode::BAD_REQUEST,
            Kind::Unauthorised => StatusCode::UNAUTHORIZED,
            Kind::Forbidden => StatusCode::FORBIDDEN,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Method => StatusCode::METHOD_NOT_ALLOWED,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
            Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut response = (status, Json(&self)).into_response();
        if self.kind == Kind::Unavailable {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.kind == Kind::Unauthorised {
            // RFC 9110 §11.6.1.
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

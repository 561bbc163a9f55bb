//! Who may what at the API, as the configuration has it.
//!
//! Refuses to know: how a token is shown, what it lets through.

use api::{Access, Role, Token};
use edge::config::{ApiRole, Settings};

/// As these settings have it. Where the API listens is set at the start; who may use it changes with each reload.
pub(crate) fn of(settings: &Settings) -> Access {
    let tokens = settings.access.tokens.iter();
    let tokens = tokens.map(|token| Token {
        name: token.name.to_string(),
        secret: token.secret.clone(),
        role: role(token.role),
    });
    let others = settings.access.others.map(|others| others.map(role));
    Access::new(settings.api, tokens.collect(), others)
}

const fn role(role: ApiRole) -> Role {
    match role {
        ApiRole::Viewer => Role::Viewer,
        ApiRole::Operator => Role::Operator,
    }
}

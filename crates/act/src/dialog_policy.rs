//! What is agreed with a trunk about its dialogs: session timers, reliable provisional responses, early media.
//!
//! Refuses to know: how any of it is done, and in which file it is written.

use sip::SessionPolicy;

/// How the dialogs with one trunk are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DialogPolicy {
    /// Session timers (RFC 4028); none takes no part in them.
    pub session: Option<SessionPolicy>,
    /// Provisional responses may be made to arrive (RFC 3262).
    pub reliable: bool,
    /// What becomes of the early media of this trunk.
    pub early_media: EarlyMedia,
}

impl Default for DialogPolicy {
    fn default() -> Self {
        Self { session: Some(SessionPolicy::default()), reliable: true, early_media: EarlyMedia::Pass }
    }
}

/// What becomes of a description in a provisional response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum EarlyMedia {
    /// The caller gets it.
    #[default]
    Pass,
    /// The caller hears ringing instead.
    Ring,
    /// The caller gets it when the trunk authorises it by P-Early-Media (RFC 5009), and hears ringing otherwise.
    Authorised,
}

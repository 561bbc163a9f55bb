//! What to do, as SIP and media steps: the back-to-back user agent, its hunt, its ports, who may call.
//!
//! What a trunk is worth and where a call should go is decided elsewhere; here it is carried out. Refuses to know: sockets, clocks,
//! how health is judged, how a record is kept.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod admission;
mod b2bua;
mod dialog_policy;
mod drill;
mod interworking;
mod nonces;
mod ports;
mod profile;
mod registrant;
mod registrar;
mod service_routes;
mod testcall;
mod testcall_audio;
mod tolls;

pub use admission::{Cidr, masked};
pub use b2bua::{
    ALLOW, B2bua, CallPlace, Counters, Effect, EndedAttempt, EndedCall, Ending, LiveAttempt, LiveCall, Phase, Phones,
    Side, World, is_of_a_leg, way_anew,
};
pub use dialog_policy::{DialogPolicy, EarlyMedia};
pub use drill::Drill;
pub use interworking::{
    Assertion, CausePolicy, DiversionForm, FromForm, HeaderPattern, HeaderPolicy, IdentityPolicy, Interworking,
    NumberForm, NumberPolicy, NumberRule, ReasonForm, RemoteParty, SetHeader, UriForm,
};
pub use nonces::Nonces;
pub use ports::Ports;
pub use profile::{BETWEEN_SHARDS, Challenge, ListenProfile, Profiles, Redirect, Target, Transfer, TrunkProfile};
pub use registrant::{RegistrantWorld, Registrants, Registration};
pub use registrar::{
    Binding, Bound, Caller, Expiries, PassageWorld, Passages, Registered, Registering, Registrar, RegistrarCounters,
    RegistrarRules,
};
pub use service_routes::{ServiceRoute, ServiceRoutes};
pub use testcall::{Expected, NoVerdict, TestCall, TestCallOutcome, TestCallScript, TestCallWorld};
pub use testcall_audio::Heard;
pub use tolls::InboundPolicy;

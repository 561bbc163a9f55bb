//! HTTP: what can be seen of the edge, and what an operator may tell it.
//!
//! Every route turns into one [`Ask`] to the node, over a bounded queue, with a limit on the wait; so a slow question
//! never touches a call, and many questions never pile up. Refuses to know: where answers come from.
//!
//! There are no passwords: bind it to loopback, or to a network where everyone may take trunks out of service. Against
//! web pages that a person on this machine may have open, requests that change something and carry an `Origin` are refused.
//!
//! | route | answer |
//! |---|---|
//! | `GET /v1/trunks` | health, load and evidence of every trunk |
//! | `GET /v1/calls?limit=` | calls in progress |
//! | `GET /v1/calls/{id}` | one call, in progress or over |
//! | `GET /v1/why/call/{id}`, `GET /v1/why/trunk/{name}?limit=&shadow=` | sentences |
//! | `GET /v1/why/group/{name}?limit=` | the group as it is now, and sentences |
//! | `GET /v1/route?number=&from=` | who would be tried now |
//! | `GET /v1/journal?from=&limit=` | records from a number on |
//! | `GET /v1/events?kind=&from=` | every record as it is written, as server-sent events |
//! | `GET /v1/alarms` | alarms under way |
//! | `GET /v1/table` | the trunk table, bit for bit |
//! | `GET /v1/guard?limit=` | whom the guard shuts out or limits, the worst first |
//! | `POST /v1/guard/{source}/forgive` | the operator forgives one of them |
//! | `POST /v1/trunks/{name}/drain`, `…/out`, `…/restore` | the operator's word |
//! | `POST /v1/trunks/{name}/test-call` | places a test call and tells what came of it |
//! | `POST /v1/reload` | reads the configuration again |
//! | `POST /v1/lab/{what}?…` | the lab's own questions |
//! | `GET /metrics` | OpenMetrics text |
//! | `GET /healthz`, `GET /readyz` | the threads answer; new calls are taken |
//!
//! An error is `{"error": what is wrong, "hint": what to do}`.

mod ask;
mod connection;
mod events;
mod fault;
mod metrics;
mod routes;
mod serve;
#[cfg(test)]
mod tests;

pub use ask::{Ask, Health, Reply, TrunkAct};
pub use fault::{Fault, Kind};
pub use metrics::{Label, MetricsSnapshot, Sample};
pub use serve::{Api, Limits, serve};

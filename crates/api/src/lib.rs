//! HTTP: what can be seen of the edge, and what an operator may tell it.
//!
//! Every route turns into one [`Ask`] to the node, over a bounded queue, with a limit on the wait; so a slow question
//! never touches a call, and many questions never pile up. Refuses to know: where answers come from.
//!
//! Who may what is in [`Access`]: tokens with roles, and what those without a token may. At `/` is the operator's desk, a page that
//! lives by these routes alone. Pages of other origins that a person may have open change nothing.
//!
//! | route | answer |
//! |---|---|
//! | `GET /v1/access` | who asks, and what that one may |
//! | `GET /v1/desk?find=&troubled=&order=&skip=&limit=` | totals, alarms, and a page of trunks |
//! | `GET /v1/desk/groups?skip=&limit=` | groups, and where their traffic flows |
//! | `GET /v1/desk/live?limit=`, `GET /v1/desk/ended?before=&limit=` | calls, a line each |
//! | `GET /v1/timeline?trunk=&before=&limit=` | records other than calls, the latest first |
//! | `GET /v1/trunks` | health, load and evidence of every trunk |
//! | `GET /v1/trunks/{name}` | one of them |
//! | `GET /v1/calls?limit=&after=` | calls in progress, in the order in which they came |
//! | `GET /v1/calls/{id}` | one call, in progress or over |
//! | `GET /v1/calls/{id}/pcap` | what was said in it, as a file of pcap |
//! | `GET /v1/cdrs?from=&since=&limit=` | calls that are over, one row each with its attempts, oldest first |
//! | `GET /v1/why/call/{id}`, `GET /v1/why/trunk/{name}?limit=&shadow=` | sentences |
//! | `GET /v1/why/group/{name}?limit=` | the group as it is now, and sentences |
//! | `GET /v1/route?number=&from=` | who would be tried now |
//! | `GET /v1/journal?from=&limit=` | records from a number on |
//! | `GET /v1/events?kind=&from=` | every record as it is written, as server-sent events |
//! | `GET /v1/alarms` | alarms under way |
//! | `GET /v1/table` | the trunk table, bit for bit |
//! | `GET /v1/guard?limit=` | whom the guard shuts out or limits, the worst first |
//! | `POST /v1/guard/{source}/forgive` | the operator forgives one of them |
//! | `POST /v1/trunks/{name}/drain`, `…/out`, `…/restore`, `…/probe` | the operator's word; a body `{"why": …}` goes on record |
//! | `POST /v1/trunks/{name}/test-call` | places a test call and tells what came of it |
//! | `POST /v1/groups/{name}/force?tier=&for=`, `…/release` | a tier of a group is tried first for so many seconds, or no more; the same body |
//! | `POST /v1/webhooks/{name}/test` | posts a test to a webhook and tells what it answered |
//! | `GET /v1/drill` | the drill under way, and what may be drilled |
//! | `POST /v1/drill?trunks=&callers=&all_calls=&limit=` | begins one; its answer bears the `id` that the others want |
//! | `POST /v1/drill/{id}/break?trunk=&fault=`, `…/mend?trunk=`, `…/keep`, `…/end?passed=&failed=` | breaks a trunk for the drill, mends it, goes on, ends it |
//! | `POST /v1/reload` | reads the configuration again |
//! | `POST /v1/lab/{what}?…` | the lab's own questions |
//! | `GET /v1/openapi.json` | all of this as an OpenAPI 3.1 document |
//! | `GET /metrics` | Prometheus text, or OpenMetrics text for whoever accepts it |
//! | `GET /healthz`, `GET /readyz` | the threads answer; new calls are taken |
//!
//! An error is `{"error": what is wrong, "hint": what to do}`.

mod access;
mod ask;
mod capture;
mod connection;
mod cursor;
mod desk;
mod drill;
mod events;
mod fault;
mod group;
mod metrics;
mod moment;
mod openapi;
mod routes;
mod serve;
#[cfg(test)]
mod tests;
mod views;

pub use access::{Access, Role, Token};
pub use ask::{Ask, CallsPage, DeskOrder, DeskQuery, DrillAsk, GroupAct, Health, Pcap, Reply, TrunkAct, Word};
pub use fault::{Fault, Kind};
pub use metrics::{Label, MetricsSnapshot, Sample};
pub use serve::{Api, Limits};

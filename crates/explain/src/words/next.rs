//! Words for what comes of a decision: the next step, or what would have been had it not been held back.

use super::outcome::{fewer, hours};
use alloc::format;
use alloc::string::String;
use decide::{Change, Decision, Veto};
use model::{Admin, Health, Span, Wish};

/// What follows from a change that was made. `look` is when the subject is looked at again, if a time is set.
pub(super) fn step(change: Change, look: Option<Span>) -> Option<String> {
    match (change, look) {
        (Change::Health { to, .. }, look) => health(to, look),
        (Change::Share { to: 100, .. }, Some(span)) => {
            Some(format!("it gets all of its calls from now on, and is Up after good calls or {span} without a fault"))
        }
        (Change::Share { to, .. }, Some(span)) => Some(format!(
            "it gets {to} % of its calls from now on, the next step after good calls or {span} without a fault"
        )),
        (Change::Share { to, .. }, None) => Some(format!("it gets {to} % of its calls from now on")),
        (Change::Admin { to: Admin::InService, .. }, _) => {
            Some(String::from("it gets calls as health allows, at once"))
        }
        (Change::Admin { to: Admin::Draining, .. }, _) => Some(String::from("its calls stay, it gets no new ones")),
        (Change::Admin { to: Admin::OutOfService, .. }, _) => {
            Some(String::from("it gets no calls until the operator restores it"))
        }
        (Change::Throttle { wish, .. }, look) => {
            look.map(|span| format!("it gets {} for {span}, then as before", fewer(wish)))
        }
        (Change::Force { length, .. }, _) => {
            let length = hours(length);
            Some(format!("for {length} trunks of that tier are tried first, then the others in their usual order"))
        }
        (Change::Release { .. }, _) => Some(String::from("its tiers are tried in their usual order")),
    }
}

fn health(to: Health, look: Option<Span>) -> Option<String> {
    match (to, look) {
        (Health::Unknown, _) => None,
        (Health::Up, _) => Some(String::from("it gets calls in its turn")),
        (Health::Suspect, Some(span)) => {
            Some(format!("it gets calls only after trunks that are Up, until {span} have passed without a fault"))
        }
        (Health::Suspect, None) => Some(String::from("it gets calls only after trunks that are Up")),
        (Health::Down, Some(span)) => {
            Some(format!("it gets no calls for {span} at least, then it is on trial as soon as probes are answered"))
        }
        (Health::Down, None) => Some(String::from("it gets no calls until it is on trial")),
        (Health::Probation, Some(span)) => {
            Some(format!("it gets no calls yet, the first ones after {span} without a fault"))
        }
        (Health::Probation, None) => Some(String::from("it gets no calls until its group takes it back")),
    }
}

/// What holds instead of a decision that was held back, and what would have held otherwise.
pub(super) fn meanwhile(decision: &Decision, by: Veto, trunk: &str) -> String {
    match decision.change {
        Change::Health { from, to: Health::Down } => {
            let lost = match by {
                Veto::LastUsable => "that group would have had nobody",
                _ => "it would have got no calls until its dwell is over",
            };
            format!("it stays {} and is used after trunks that are Up; otherwise {lost}", from.word())
        }
        Change::Health { from, to: Health::Probation } => {
            format!("it stays {}; otherwise it would be on trial now", from.word())
        }
        Change::Health { from, to } => format!("it stays {}; otherwise it would be {} now", from.word(), to.word()),
        Change::Share { from, to } if by == Veto::ManualFailback => format!(
            "it stays at {from} % of its calls; otherwise it would get {to} % now, and `throughline trunk {trunk} restore` \
             gives it all of them"
        ),
        Change::Share { from, to } => {
            format!("it stays at {from} % of its calls; otherwise it would get {to} % now")
        }
        Change::Throttle { asked, wish: Wish::NoCalls } => {
            format!("it is offered calls all the same; otherwise it would have got none for {asked}")
        }
        Change::Throttle { asked, wish } => {
            format!("it is offered calls all the same; otherwise it would have got {} for {asked}", fewer(wish))
        }
        Change::Admin { from, .. } => format!("it stays {}", from.words()),
        // No policy judges it, so none holds it back.
        Change::Force { .. } | Change::Release { .. } => String::from("its tiers are tried as before"),
    }
}

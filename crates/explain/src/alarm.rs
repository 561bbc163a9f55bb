//! Alarms: what an operator should hear of, each as one value with two moments, raised and over.
//!
//! Refuses to know: when an alarm is due, who is told.

use alloc::string::String;
use alloc::vec::Vec;
use decide::Barred;
use model::{CallRef, Name, RegistrationState, Span};
use serde::{Deserialize, Serialize};

/// One of the two moments of an alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct AlarmRecord {
    /// What it is about, as known at that moment.
    pub what: Alarm,
    /// False when it is raised, true when the situation is over.
    pub over: bool,
}

/// A situation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Alarm {
    /// Unrelated trunks failed together: the fault is likely ours, and none of them is taken out for it.
    SuspectOurselves {
        /// How many.
        trunks: u32,
        /// Their names, as far as known.
        names: Vec<Name>,
    },
    /// Several trunks went Down shortly after one another: they may share a carrier, a path or a building.
    SharedFailure {
        /// Their names.
        names: Vec<Name>,
    },
    /// Nobody in a group may take calls: all Down or taken out.
    GroupHasNobody {
        /// The group.
        group: Name,
    },
    /// Our registration at a trunk does not hold.
    RegistrationLost {
        /// The trunk.
        trunk: Name,
        /// What has become of it.
        state: RegistrationState,
    },
    /// The last drill of trunks has failed: others may not stand in for them.
    DrillFailed {
        /// Their names, as far as there is room.
        trunks: Vec<Name>,
        /// Lines that failed.
        failed: u32,
    },
    /// The edge noticed the deadlines of its own probes too late, so that they proved nothing.
    ProberStalled {
        /// Probes so far.
        count: u64,
    },
    /// Records were lost to the journal.
    JournalDropped {
        /// Records.
        count: u64,
        /// Why.
        why: String,
    },
    /// An emergency call went through the edge.
    EmergencyUsed {
        /// The call.
        call: CallRef,
        /// Trunk it came from.
        from: Name,
        /// The calling number, all but its end hidden.
        number: String,
    },
    /// A source that is no trunk is shut out for a while.
    SourceShutOut {
        /// Its address, or its network for IPv6.
        source: String,
        /// What for.
        cause: ShutOutCause,
        /// How often it did it.
        count: u32,
        /// Within which time.
        within: Span,
        /// How long it is shut out.
        length: Span,
    },
    /// Somebody sent a request with the identifiers of a call that is not his; it changed nothing.
    ForeignRequest {
        /// His address.
        source: String,
    },
    /// A trunk refuses our credentials.
    CredentialsRefused {
        /// The trunk.
        trunk: Name,
        /// With this code, after its challenge was answered.
        code: u16,
    },
    /// REGISTERs of phones are served by another target of the trunk behind the registrar.
    RegistrarMoved {
        /// The trunk.
        trunk: Name,
        /// Address of the target that served them before.
        before: String,
        /// Address of the one that does now.
        now: String,
    },
    /// No target of the trunk behind the registrar serves REGISTERs of phones.
    RegistrarGone {
        /// The trunk.
        trunk: Name,
    },
    /// Calls from a trunk were refused as fraud would be: numbers it may not dial, or more of them than it may.
    CallsBarred {
        /// The trunk.
        trunk: Name,
        /// Why the first one was.
        why: Barred,
    },
    /// A name that a trunk is at leads nowhere, or cannot be looked up.
    NameFails {
        /// The trunk.
        trunk: Name,
        /// The name.
        name: Name,
        /// How it fails, in a few words.
        why: String,
        /// How long its last addresses stay in use still; none when it has none.
        kept: Option<Span>,
    },
    /// Words of a version that wrote alarms as text.
    Text {
        /// In one sentence.
        text: String,
    },
}

/// What a source is shut out for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShutOutCause {
    /// It says that it is a scanner.
    Scanner,
    /// Broken messages.
    Malformed,
    /// More messages than a stranger may send.
    Requests,
    /// Wrong passwords, or requests inside calls that are not its own.
    Failures,
}

impl Alarm {
    /// Every word that [`Alarm::kind`] gives for alarms of today.
    pub const KINDS: [&str; 15] = [
        "suspect_ourselves",
        "shared_failure",
        "group_has_nobody",
        "registration_lost",
        "drill_failed",
        "prober_stalled",
        "journal_dropped",
        "emergency_used",
        "source_shut_out",
        "foreign_request",
        "credentials_refused",
        "registrar_moved",
        "registrar_gone",
        "calls_barred",
        "name_fails",
    ];

    /// One word for tables and statistics.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::SuspectOurselves { .. } => "suspect_ourselves",
            Self::SharedFailure { .. } => "shared_failure",
            Self::GroupHasNobody { .. } => "group_has_nobody",
            Self::RegistrationLost { .. } => "registration_lost",
            Self::DrillFailed { .. } => "drill_failed",
            Self::ProberStalled { .. } => "prober_stalled",
            Self::JournalDropped { .. } => "journal_dropped",
            Self::EmergencyUsed { .. } => "emergency_used",
            Self::SourceShutOut { .. } => "source_shut_out",
            Self::ForeignRequest { .. } => "foreign_request",
            Self::CredentialsRefused { .. } => "credentials_refused",
            Self::RegistrarMoved { .. } => "registrar_moved",
            Self::RegistrarGone { .. } => "registrar_gone",
            Self::CallsBarred { .. } => "calls_barred",
            Self::NameFails { .. } => "name_fails",
            Self::Text { .. } => "text",
        }
    }
}

impl Alarm {
    /// How soon somebody should look: `critical` when calls fail or are about to, `info` when nothing is asked of anybody.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::SuspectOurselves { .. }
            | Self::SharedFailure { .. }
            | Self::GroupHasNobody { .. }
            | Self::RegistrarGone { .. }
            | Self::CallsBarred { .. } => Severity::Critical,
            Self::RegistrationLost { .. }
            | Self::DrillFailed { .. }
            | Self::ProberStalled { .. }
            | Self::JournalDropped { .. }
            | Self::ForeignRequest { .. }
            | Self::CredentialsRefused { .. }
            | Self::RegistrarMoved { .. }
            | Self::NameFails { .. }
            | Self::Text { .. } => Severity::Warning,
            Self::EmergencyUsed { .. } | Self::SourceShutOut { .. } => Severity::Info,
        }
    }

    /// The trunk it is about, when it is about one.
    pub const fn trunk(&self) -> Option<&Name> {
        match self {
            Self::RegistrationLost { trunk, .. }
            | Self::CredentialsRefused { trunk, .. }
            | Self::RegistrarMoved { trunk, .. }
            | Self::RegistrarGone { trunk }
            | Self::CallsBarred { trunk, .. }
            | Self::NameFails { trunk, .. } => Some(trunk),
            _ => None,
        }
    }

    /// The group it is about, when it is about one.
    pub const fn group(&self) -> Option<&Name> {
        match self {
            Self::GroupHasNobody { group } => Some(group),
            _ => None,
        }
    }

    /// What tells this situation from all others under way: the same words when it is raised and when it is over.
    pub fn subject(&self) -> String {
        let whom = self.trunk().or(self.group()).map(Name::as_str);
        let name = if let Self::NameFails { name, .. } = self { Some(name.as_str()) } else { None };
        [Some(self.kind()), whom, name].into_iter().flatten().collect::<Vec<_>>().join(":")
    }
}

/// How soon somebody should look, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It is good to know.
    Info,
    /// Today.
    Warning,
    /// Now: calls fail, or are about to.
    Critical,
}

impl Severity {
    /// Their words, the least first.
    pub const WORDS: &'static [&'static str] = &["info", "warning", "critical"];

    /// One word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// What journals hold: alarms were text before they had types.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Typed { what: Alarm, over: bool },
    Text { text: String },
}

impl From<Written> for AlarmRecord {
    fn from(written: Written) -> Self {
        match written {
            Written::Typed { what, over } => Self { what, over },
            Written::Text { text } => Self { what: Alarm::Text { text }, over: false },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;

    #[test]
    fn what_an_earlier_version_wrote_is_read_and_what_this_one_writes_too() {
        let old: Record = serde_json::from_str(r#"{"alarm":{"text":"the disk is full"}}"#).unwrap();
        assert_eq!(
            old,
            Record::Alarm(AlarmRecord { what: Alarm::Text { text: "the disk is full".into() }, over: false })
        );
        let record =
            Record::Alarm(AlarmRecord { what: Alarm::GroupHasNobody { group: "carriers".into() }, over: true });
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(json, r#"{"alarm":{"what":{"group_has_nobody":{"group":"carriers"}},"over":true}}"#);
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
    }
}

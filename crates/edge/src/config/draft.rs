//! The whole text as read: every table in the order of the text, names not yet resolved.

use super::edge::EdgeDraft;
use super::fault::Faults;
use super::group::GroupDraft;
use super::guard::GuardDraft;
use super::listen::ListenDraft;
use super::reader::Reader;
use super::registrar::RegistrarDraft;
use super::route::RouteDraft;
use super::streams::StreamLimits;
use super::trunk::{Env, TrunkDraft};
use super::{edge, group, guard, listen, registrar, route, streams, trunk};
use toml::de::DeTable;

#[derive(Debug)]
pub(super) struct Draft {
    pub(super) edge: EdgeDraft,
    pub(super) access: super::api::ApiAccess,
    pub(super) webhooks: Vec<super::webhook::Webhook>,
    pub(super) traces: Option<super::traces::Traces>,
    pub(super) hep: Option<super::hep::Collector>,
    pub(super) dns: crate::names::DnsSettings,
    pub(super) listens: Vec<ListenDraft>,
    pub(super) guard: GuardDraft,
    pub(super) trunks: Vec<TrunkDraft>,
    pub(super) registrar: Option<RegistrarDraft>,
    pub(super) groups: Vec<GroupDraft>,
    pub(super) routes: Vec<RouteDraft>,
    pub(super) streams: StreamLimits,
}

/// Reads all tables; whatever is wrong with them is in `faults`.
pub(super) fn read(table: &DeTable<'_>, env: Env<'_>, faults: &mut Faults<'_>) -> Draft {
    let root = Reader::root(table, &super::schema::ROOT, faults);
    Draft {
        edge: edge::read(&root, faults),
        access: super::api::read(&root, env, faults),
        webhooks: super::webhook::read(&root, env, faults),
        traces: super::traces::read(&root, env, faults),
        hep: super::hep::read(&root, env, faults),
        dns: super::dns::read(&root, faults),
        listens: listen::read(&root, faults),
        guard: guard::read(&root, faults),
        trunks: trunk::read(&root, env, faults),
        registrar: registrar::read(&root, env, faults),
        groups: group::read(&root, faults),
        routes: route::read(&root, faults),
        streams: streams::read(&root, faults),
    }
}

impl Draft {
    pub(super) fn listen(&self, name: &str) -> Option<&ListenDraft> {
        self.listens.iter().find(|listen| listen.name.value == name)
    }

    pub(super) fn trunk(&self, name: &str) -> Option<&TrunkDraft> {
        self.trunks.iter().find(|trunk| trunk.name.value == name)
    }
}

//! Drills as the API asks for them: names in, the one decider asked, and answered once every shard plays what was asked for.
//!
//! Refuses to know: what a drill tries, when it ends by itself.

use super::answers::by;
use super::{ControlThread, dry_run};
use crate::net::process;
use api::{Ask, DrillAsk, Fault, Kind, Reply};
use edge::ControlInput;
use edge::config::Socket;
use edge::drill::{DrillAct, DrillOrder, DrillRefused, mark};
use model::{ListenId, Name, Span, TrunkId};
use serde_json::{Map, Value, json};
use sip::Transport;

/// Routes that are looked up to find what may be drilled.
const ROUTES: usize = 2_000;

impl ControlThread {
    /// Does what is asked; the answer follows when all shards have taken it.
    pub(super) fn ask_drill(&mut self, what: DrillAsk, reply: Reply<Value>) {
        match self.obey_drill(what) {
            Ok(Some(what)) => self.look(Ask::Drill { what, reply }),
            Ok(None) => {
                let answer = json!({ "drill": Value::Null, "last": self.control.last_drill() });
                // Whoever asked may have gone; so in all answers.
                let _gone = reply.send(Ok(answer));
            }
            Err(fault) => {
                let _gone = reply.send(Err(fault));
            }
        }
    }

    /// What is still to be waited for: with the number that was given when one begins. None when it is over.
    fn obey_drill(&mut self, what: DrillAsk) -> Result<Option<DrillAsk>, Fault> {
        match what {
            DrillAsk::Look => Ok(Some(DrillAsk::Look)),
            DrillAsk::Begin { word, trunks, callers, all_calls, limit } => {
                let id = process::secret().map_err(|error| {
                    Fault::new(Kind::Failed, format!("the system gives no random number: {error}"), "look at the log")
                })?;
                let trunks = trunks.iter().map(|name| self.trunk_id(name)).collect::<Result<Vec<TrunkId>, Fault>>()?;
                let callers = callers.iter().map(|(addr, name)| Ok((*addr, self.trunk_id(name)?)));
                let callers = callers.collect::<Result<Vec<_>, Fault>>()?;
                let limit = Span::from_secs(limit.min(86_400));
                let order = DrillOrder { id, by: by(word), trunks, callers, all_calls, limit };
                self.tell_control(DrillAct::Begin(Box::new(order)))?;
                Ok(Some(DrillAsk::Keep { id }))
            }
            DrillAsk::Break { id, trunk, fault } => {
                let trunk = self.trunk_id(&trunk)?;
                self.tell_control(DrillAct::Break { id, trunk, fault })?;
                Ok(Some(DrillAsk::Keep { id }))
            }
            DrillAsk::Keep { id } => {
                self.tell_control(DrillAct::Keep { id })?;
                Ok(Some(DrillAsk::Keep { id }))
            }
            DrillAsk::End { id, passed, failed } => {
                self.tell_control(DrillAct::End { id, passed, failed })?;
                Ok(None)
            }
        }
    }

    fn tell_control(&mut self, act: DrillAct) -> Result<(), Fault> {
        self.drilled = None;
        self.input(ControlInput::Drill(act));
        let answer = self.drilled.take().unwrap_or(Ok(()));
        answer.map_err(|why| self.refused(&why))
    }

    /// The drill as it is, for the one who began it with what its calls need.
    pub(super) fn drill_answer(&self, what: &DrillAsk) -> Result<Value, Fault> {
        // A shard that has not taken the last word yet would play the one before.
        if self.shards.iter().any(super::ShardLink::is_owed) {
            return Err(Fault::new(Kind::Unavailable, "a shard is too busy to be told", "ask again in a second"));
        }
        let mut answer = json!({
            "drill": self.control.drill_view(self.now),
            "last": self.control.last_drill(),
            "numbers": self.control.drill_numbers(),
        });
        match what {
            DrillAsk::Keep { id } => {
                answer["id"] = json!(format!("{id:016x}"));
                answer["mark"] = json!(mark(*id));
            }
            _ => {
                answer["candidates"] = self.candidates();
                answer["results"] = json!(self.control.drilled());
                answer["now"] = json!(self.clock.wall());
            }
        }
        answer["at"] = self.doors();
        Ok(answer)
    }

    /// Where calls of each trunk come in by UDP: the address a caller of the drill sends them to.
    fn doors(&self) -> Value {
        let settings = &self.control.snapshot().settings;
        let door = |listen: ListenId| {
            let fits = |socket: &&Socket| socket.listen == listen && socket.transport == Transport::Udp;
            let socket = settings.sockets.iter().find(fits)?;
            Some(if socket.bind.ip().is_unspecified() { socket.sent_by } else { socket.bind })
        };
        let mut doors = Map::new();
        for profile in settings.profiles.trunks.iter().flatten() {
            if let Some(addr) = door(profile.listen) {
                doors.insert(profile.name.to_string(), json!(addr.to_string()));
            }
        }
        Value::Object(doors)
    }

    /// What may be drilled: trunks with a number for testing that others stand in for, and whose calls lead there. Whoever has very many of
    /// them is told of the first, since control has other things to do; a plan may name the others.
    fn candidates(&self) -> Value {
        let snapshot = self.control.snapshot();
        let settings = &snapshot.settings;
        let names = &settings.names.trunks;
        let mut left = ROUTES;
        let mut found = Vec::new();
        for (index, name) in names.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            let plan = u16::try_from(index).ok().and_then(|index| settings.test_call(TrunkId(index)));
            let Some(plan) = plan else { continue };
            let number = String::from_utf8_lossy(&plan.script.number).into_owned();
            for from in names.iter().filter(|from| !from.is_empty()) {
                if left == 0 {
                    return Value::Array(found);
                }
                left -= 1;
                let view = dry_run::route(self.now, snapshot, &[], Some(from.as_str()), &number);
                if let Ok(view) = view
                    && view.order.len() > 1
                    && view.order.contains(name)
                {
                    found.push(json!({ "trunk": name, "from": from, "number": number, "order": view.order }));
                    break;
                }
            }
        }
        Value::Array(found)
    }

    fn refused(&self, why: &DrillRefused) -> Fault {
        let names = &self.control.snapshot().settings.names.trunks;
        match why {
            DrillRefused::Busy(who) => {
                let hint = "one drill at a time: wait for its end, GET /v1/drill shows it";
                Fault::new(Kind::Conflict, format!("{who} drills already"), hint)
            }
            DrillRefused::Over(last) => {
                let why = last
                    .as_ref()
                    .map_or_else(|| "there is none".to_owned(), |why| format!("the last one ended: {why}"));
                Fault::new(Kind::Conflict, format!("no drill of this number is under way; {why}"), "begin another one")
            }
            DrillRefused::NotNamed(trunk) => {
                let name = names.get(trunk.index()).map_or("?", Name::as_str);
                let error = format!("the drill has not named trunk `{name}`");
                Fault::new(Kind::Conflict, error, "name every trunk that may be broken when it begins")
            }
            DrillRefused::NoNumber => {
                let hint = "write `test_call = { number = \"+4722000000\" }` into a [trunk.NAME], and reload";
                Fault::new(Kind::Conflict, "no number may be dialled in a drill: no trunk has a test call", hint)
            }
            DrillRefused::OutOfBounds => {
                let hint = "1 to 64 trunks, 1 to 8 callers, an hour at most";
                Fault::new(Kind::Invalid, "that drill is too large, or names nobody", hint)
            }
            DrillRefused::Taken(addr) => {
                let error = format!("{addr} is the address of a trunk");
                Fault::new(Kind::Conflict, error, "call from another port")
            }
        }
    }
}

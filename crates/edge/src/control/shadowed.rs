//! The second policy beside the live one: begun, followed, and what it would have decided written down.
//!
//! Refuses to know: how it is judged.

use super::Control;
use crate::shadow::Shadow;
use explain::Record;
use model::Instant;

impl Control {
    /// The second policy as the configuration names it: begun, changed or ended.
    pub(super) fn follow_shadow(&mut self, now: Instant) {
        let Some(policy) = self.snapshot.settings.shadow.clone() else {
            self.shadow = None;
            return;
        };
        match &mut self.shadow {
            Some(shadow) => shadow.replace(now, policy),
            None => {
                let table = self.engine.table();
                self.shadow = Some(Shadow::new(now, policy, |trunk| table.admin(trunk)));
            }
        }
    }

    pub(super) fn settle_shadow(&mut self, now: Instant) {
        let Some(mut shadow) = self.shadow.take() else { return };
        shadow.settle(now, self.wall);
        while let Some(decision) = shadow.poll() {
            let who = self.who(decision.subject);
            self.write(Record::Shadow { who, decision });
        }
        self.shadow = Some(shadow);
    }
}

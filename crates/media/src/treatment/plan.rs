//! What is done with each payload type of one side, so that the other side understands it.
//!
//! Refuses to know: packets; it is made when the sides are known, and asked for each packet.

use super::path::Path;
use crate::codec::{NoCodec, Vocoders};
use crate::speech::{Digits, Format, Speech};
use alloc::boxed::Box;
use core::fmt;
use smallvec::SmallVec;

/// Why nothing can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsupported {
    /// No format of one side can be made into any of the other's; the last reason is this one.
    Codec(NoCodec),
    /// One side speaks in tones or in another codec, and nothing is known of the formats of the other.
    Unknown,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Codec(why) => write!(f, "the sides share no codec, and {why}"),
            Self::Unknown => write!(f, "sound must be made for a side of which no format is known"),
        }
    }
}

impl core::error::Error for Unsupported {}

/// What is done with a payload type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It goes on as this payload type. Sound says the clock of its time.
    Pass { payload_type: u8, clock: Option<u32> },
    /// It goes through this path.
    Sound(u8),
    /// It is a telephone-event that is told otherwise.
    Event,
    /// The listener could make nothing of it.
    Refuse,
}

/// The plan for one direction.
#[derive(Debug)]
pub(super) struct Plan {
    kinds: SmallVec<[(u8, Kind); 8]>,
    pub(super) paths: SmallVec<[Box<Path>; 2]>,
}

/// Whether two sides understand each other without anybody between.
pub(super) fn is_one(speaker: &Speech, listener: &Speech) -> bool {
    let known = |format: &Format| same(listener, format).is_some_and(|other| other.payload_type == format.payload_type);
    let formats = speaker.formats.is_empty() || listener.formats.is_empty() || speaker.formats.iter().all(known);
    let noise = speaker.noise.is_none() || speaker.noise == listener.noise || listener.formats.is_empty();
    formats && noise && speaker.digits == listener.digits
}

/// The listener's format of the same sound.
fn same<'a>(listener: &'a Speech, format: &Format) -> Option<&'a Format> {
    listener.formats.iter().find(|other| other.codec == format.codec && other.clock == format.clock)
}

impl Plan {
    /// With `dials`, tones can be put into the sound of sides that both speak in tones.
    pub(super) fn new(
        speaker: &Speech,
        listener: &Speech,
        dials: bool,
        vocoders: &dyn Vocoders,
    ) -> Result<Self, Unsupported> {
        let heard = speaker.digits == Digits::Inband && listener.digits != Digits::Inband;
        let played = listener.digits == Digits::Inband && (dials || speaker.digits != Digits::Inband);
        let mut plan = Self { kinds: SmallVec::new(), paths: SmallVec::new() };
        let mut failed = None;
        for format in &speaker.formats {
            let kind = match (same(listener, format), listener.formats.first()) {
                (Some(other), _) if !heard && !played => {
                    Ok(Kind::Pass { payload_type: other.payload_type, clock: Some(format.clock) })
                }
                (Some(other), _) | (None, Some(other)) => plan.path(speaker, format, other, heard, vocoders),
                // Nothing is known of the listener: it gets what there is.
                (None, None) => Ok(Kind::Pass { payload_type: format.payload_type, clock: Some(format.clock) }),
            };
            let kind = kind.unwrap_or_else(|why| {
                failed = Some(why);
                Kind::Refuse
            });
            plan.kinds.push((format.payload_type, kind));
        }
        let works = plan.kinds.iter().any(|(_, kind)| *kind != Kind::Refuse);
        if let Some(why) = failed.filter(|_| !works) {
            return Err(Unsupported::Codec(why));
        }
        if (heard || played) && plan.paths.is_empty() {
            return Err(Unsupported::Unknown);
        }
        plan.plan_events(speaker, listener);
        plan.plan_noise(speaker, listener, vocoders);
        Ok(plan)
    }

    fn path(
        &mut self,
        speaker: &Speech,
        from: &Format,
        to: &Format,
        detects: bool,
        vocoders: &dyn Vocoders,
    ) -> Result<Kind, NoCodec> {
        let path = Path::new(from, speaker.noise, to, detects, vocoders)?;
        self.paths.push(path);
        Ok(Kind::Sound(self.paths.len() as u8 - 1))
    }

    fn plan_noise(&mut self, speaker: &Speech, listener: &Speech, vocoders: &dyn Vocoders) {
        let Some(noise) = speaker.noise else { return };
        let kind = match (listener.noise, self.kinds.first().copied()) {
            (_, Some((_, Kind::Sound(path)))) => Kind::Sound(path),
            (Some(payload_type), _) => {
                Kind::Pass { payload_type, clock: speaker.formats.first().map(|format| format.clock) }
            }
            // The sound passes, and noise must be made of what is told of it.
            (None, _) => match (speaker.formats.first(), listener.formats.first()) {
                (Some(from), Some(to)) => self.path(speaker, from, to, false, vocoders).unwrap_or(Kind::Refuse),
                _ => Kind::Pass { payload_type: noise, clock: None },
            },
        };
        self.kinds.push((noise, kind));
    }

    fn plan_events(&mut self, speaker: &Speech, listener: &Speech) {
        let Digits::Events { payload_type, clock } = speaker.digits else { return };
        let kind = match listener.digits {
            // In sound that is made anew their times would mean nothing.
            Digits::Events { payload_type, clock: other } if other == clock && self.paths_of_sound() == 0 => {
                Kind::Pass { payload_type, clock: None }
            }
            _ => Kind::Event,
        };
        self.kinds.push((payload_type, kind));
    }

    fn paths_of_sound(&self) -> usize {
        self.kinds.iter().filter(|(_, kind)| matches!(kind, Kind::Sound(_))).count()
    }

    /// What is done with this payload type. What nobody has said anything of goes on as it is.
    pub(super) fn kind(&self, payload_type: u8) -> Kind {
        let found = self.kinds.iter().find(|(known, _)| *known == payload_type);
        found.map_or(Kind::Pass { payload_type, clock: None }, |(_, kind)| *kind)
    }
}

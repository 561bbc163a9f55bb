//! How well one side of a stream is received: counted on each packet, cheaply; estimated when somebody asks.

pub mod bursts;
mod clock;
pub mod emodel;
pub mod loudness;
pub mod reception;
mod report;

pub use report::Quality;

//! One shard by itself, and the control of an edge that has no other: at time zero, with little room.
//!
//! Refuses to know: what comes to it, and what is expected of it.
#![allow(unreachable_pub, clippy::unwrap_used)]

use edge::config::compile;
use edge::{Control, Shard, ShardConfig, ShardLimits};
use model::{Instant, Seq, ShardId, Wall};
use std::sync::Arc;

/// By this configuration.
pub fn alone(text: &str) -> (Control, Shard) {
    let settings = Arc::new(compile(text, "edge.toml", &|_| None, None).settings.unwrap());
    let control = Control::new(Instant::ZERO, Wall::from_micros(0), settings, 1, Seq(1));
    let config = ShardConfig {
        shard: ShardId(0),
        shards: 1,
        node: 1,
        key: 7,
        seed: 7,
        limits: ShardLimits { calls: 32, transactions: 1_024, pairs: 64, probes: 8, addresses: 64 },
    };
    let shard = Shard::new(&config, Arc::clone(control.snapshot()));
    (control, shard)
}

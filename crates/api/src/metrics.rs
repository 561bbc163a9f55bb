//! Metrics: a snapshot of values, written as OpenMetrics text.
//!
//! The node counts in its own way, per shard and without locks; a scrape takes a copy. Refuses to know: what is counted.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::fmt;

/// All names begin with this and an underscore.
const PREFIX: &str = "throughline";

/// A label's name and value.
pub type Label = (&'static str, String);

/// One value of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// What tells it from the others of the same metric.
    pub labels: Vec<Label>,
    /// The value.
    pub value: f64,
}

/// Everything counted and measured at one moment.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct MetricsSnapshot {
    families: BTreeMap<String, Family>,
}

#[derive(Clone, Debug, PartialEq)]
struct Family {
    help: &'static str,
    counter: bool,
    samples: Vec<Sample>,
}

impl MetricsSnapshot {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// A count that only grows. `name` goes without prefix and without `_total`, which is added.
    pub fn counter(&mut self, name: &str, help: &'static str, labels: &[Label], value: u64) {
        self.sample(name, help, true, labels, value as f64);
    }

    /// A value that goes up and down. Times in seconds, with `_seconds` at the end of the name.
    pub fn gauge(&mut self, name: &str, help: &'static str, labels: &[Label], value: f64) {
        self.sample(name, help, false, labels, value);
    }

    /// One of several states, as a gauge per state: 1 for the present one, 0 for the rest, told apart by the label `state`.
    pub fn state(&mut self, name: &str, help: &'static str, labels: &[Label], states: &[&str], present: &str) {
        for state in states {
            let mut labels = labels.to_vec();
            labels.push(("state", (*state).to_owned()));
            self.sample(name, help, false, &labels, f64::from(u8::from(*state == present)));
        }
    }

    fn sample(&mut self, name: &str, help: &'static str, counter: bool, labels: &[Label], value: f64) {
        let family = self.families.entry(plain(name)).or_insert_with(|| Family { help, counter, samples: Vec::new() });
        family.samples.push(Sample { labels: labels.to_vec(), value });
    }

    /// OpenMetrics text, with `# EOF` at the end.
    pub(crate) fn render(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix(PREFIX);
        registry.register_collector(Box::new(self));
        let mut text = String::with_capacity(16 << 10);
        text::encode(&mut text, &registry)?;
        Ok(text)
    }
}

impl Collector for MetricsSnapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for (name, family) in &self.families {
            let kind = if family.counter { MetricType::Counter } else { MetricType::Gauge };
            let mut metric = encoder.encode_descriptor(name, family.help, None, kind)?;
            for sample in &family.samples {
                if sample.labels.is_empty() {
                    // A label set without labels would be written as `{}`.
                    family.write(&mut metric, sample.value)?;
                } else {
                    family.write(&mut metric.encode_family(&sample.labels.as_slice())?, sample.value)?;
                }
            }
        }
        Ok(())
    }
}

impl Family {
    fn write(&self, metric: &mut MetricEncoder<'_>, value: f64) -> Result<(), fmt::Error> {
        if self.counter {
            metric.encode_counter::<NoLabelSet, f64, f64>(&value, None)
        } else {
            metric.encode_gauge(&value)
        }
    }
}

/// A name that the format allows: lower case, digits, underscores.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

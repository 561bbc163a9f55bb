//! Metrics: a snapshot of values, written as Prometheus text or, for whoever asks for it, as OpenMetrics text.
//!
//! The two differ in little, and each reader of the one stumbles over the other. The node counts in its own way, per shard and without locks; a scrape takes a copy. Refuses to know: what is counted.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

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

    /// Prometheus text, version 0.0.4: a counter's family has the name that its samples have, with `_total`.
    pub fn render_plain(&self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(64 << 10);
        for (name, family) in &self.families {
            let (total, kind) = if family.counter { ("_total", "counter") } else { ("", "gauge") };
            let help = family.help.replace('\\', "\\\\").replace('\n', "\\n");
            writeln!(text, "# HELP {PREFIX}_{name}{total} {help}\n# TYPE {PREFIX}_{name}{total} {kind}")?;
            for sample in &family.samples {
                write!(text, "{PREFIX}_{name}{total}")?;
                for (index, (label, value)) in sample.labels.iter().enumerate() {
                    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
                    write!(text, "{}{label}=\"{value}\"", if index == 0 { '{' } else { ',' })?;
                }
                writeln!(text, "{} {}", if sample.labels.is_empty() { "" } else { "}" }, sample.value)?;
            }
        }
        Ok(text)
    }

    /// OpenMetrics text, with `# EOF` at the end.
    pub(crate) fn render_open(self) -> Result<String, fmt::Error> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prometheus_text_names_a_counter_as_its_samples_and_says_what_it_is() {
        let mut metrics = MetricsSnapshot::new();
        metrics.counter(
            "attempts",
            "Attempts\nby \\ outcome",
            &[("trunk", "a\"b".to_owned()), ("n", "1".to_owned())],
            9,
        );
        metrics.gauge("calls", "Calls.", &[], 3.5);
        metrics.state("trunk_health", "Health.", &[("trunk", "acme".to_owned())], &["up", "down"], "down");
        let lines = [
            "# HELP throughline_attempts_total Attempts\\nby \\\\ outcome",
            "# TYPE throughline_attempts_total counter",
            "throughline_attempts_total{trunk=\"a\\\"b\",n=\"1\"} 9",
            "# HELP throughline_calls Calls.",
            "# TYPE throughline_calls gauge",
            "throughline_calls 3.5",
            "# HELP throughline_trunk_health Health.",
            "# TYPE throughline_trunk_health gauge",
            "throughline_trunk_health{trunk=\"acme\",state=\"up\"} 0",
            "throughline_trunk_health{trunk=\"acme\",state=\"down\"} 1",
        ];
        assert_eq!(metrics.render_plain(), Ok(lines.join("\n") + "\n"));
    }
}

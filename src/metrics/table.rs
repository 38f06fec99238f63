//! The kinds of metrics, and the table that they are registered in.

use std::fmt;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

/// A gauge of something that has a fraction, such as seconds.
pub type Fraction = Gauge<f64, AtomicU64>;

/// A counter of it.
pub type FractionCounter = Counter<f64, AtomicU64>;

/// The value of a label.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Label {
    /// A text of this program.
    Text(&'static str),
    /// A number, such as an HTTP status.
    Number(u16),
}

impl From<&'static str> for Label {
    fn from(text: &'static str) -> Self {
        Self::Text(text)
    }
}

impl From<u16> for Label {
    fn from(number: u16) -> Self {
        Self::Number(number)
    }
}

impl EncodeLabelValue for Label {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => text.encode(encoder),
            Self::Number(number) => number.encode(encoder),
        }
    }
}

/// One metric for each combination of the values of its labels; it begins when it is first asked for.
pub struct Labelled<M, const N: usize> {
    labels: [&'static str; N],
    family: Family<[(&'static str, Label); N], M>,
}

impl<M: Clone, const N: usize> Labelled<M, N> {
    /// The metric with these values, in the order of the labels.
    pub fn of(&self, values: [Label; N]) -> M {
        let mut values = values.into_iter();
        let pairs = self
            .labels
            .map(|label| (label, values.next().unwrap_or(Label::Text(""))));
        self.family.get_or_create_owned(&pairs)
    }
}

/// A metric as its paper describes it.
pub struct Row {
    /// Its whole name.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The names of its labels.
    pub labels: Vec<&'static str>,
    /// What it tells.
    pub help: &'static str,
}

/// Where the metrics are registered.
#[derive(Default)]
pub(super) struct Table {
    registry: Registry,
    rows: Vec<Row>,
}

impl Table {
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _written = prometheus_text::encode(&mut text, &self.registry);
        text
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(super) fn counter(&mut self, help: &'static str, name: &'static str) -> Counter {
        self.add("counter", name, &[], help, Counter::default())
    }

    pub(super) fn fraction_counter(&mut self, help: &'static str, name: &'static str) -> FractionCounter {
        self.add("counter", name, &[], help, FractionCounter::default())
    }

    pub(super) fn counters<const N: usize>(
        &mut self,
        help: &'static str,
        name: &'static str,
        labels: [&'static str; N],
    ) -> Labelled<Counter, N> {
        self.labelled("counter", name, labels, help, Counter::default)
    }

    /// Counters that are there from the beginning, so that the first event is seen to be one more.
    pub(super) fn counters_from_zero(
        &mut self,
        help: &'static str,
        name: &'static str,
        label: &'static str,
        values: &[&'static str],
    ) -> Labelled<Counter, 1> {
        let counters = self.counters(help, name, [label]);
        for &value in values {
            counters.of([value.into()]);
        }
        counters
    }

    pub(super) fn gauge(&mut self, help: &'static str, name: &'static str) -> Gauge {
        self.add("gauge", name, &[], help, Gauge::default())
    }

    pub(super) fn fraction(&mut self, help: &'static str, name: &'static str) -> Fraction {
        self.add("gauge", name, &[], help, Fraction::default())
    }

    pub(super) fn gauges<const N: usize>(
        &mut self,
        help: &'static str,
        name: &'static str,
        labels: [&'static str; N],
    ) -> Labelled<Gauge, N> {
        self.labelled("gauge", name, labels, help, Gauge::default)
    }

    pub(super) fn histogram(&mut self, help: &'static str, name: &'static str, histogram: Histogram) -> Histogram {
        self.add("histogram", name, &[], help, histogram)
    }

    pub(super) fn histograms<const N: usize>(
        &mut self,
        help: &'static str,
        name: &'static str,
        labels: [&'static str; N],
        new: fn() -> Histogram,
    ) -> Labelled<Histogram, N> {
        self.labelled("histogram", name, labels, help, new)
    }

    fn labelled<M, const N: usize>(
        &mut self,
        kind: &'static str,
        name: &'static str,
        labels: [&'static str; N],
        help: &'static str,
        new: fn() -> M,
    ) -> Labelled<M, N>
    where
        Family<[(&'static str, Label); N], M>: Metric + Clone,
    {
        let family = Family::new_with_constructor(new);
        Labelled {
            family: self.add(kind, name, &labels, help, family),
            labels,
        }
    }

    fn add<M: Metric + Clone>(
        &mut self,
        kind: &'static str,
        name: &'static str,
        labels: &[&'static str],
        help: &'static str,
        metric: M,
    ) -> M {
        let help = help.trim();
        self.rows.push(Row {
            name,
            kind,
            labels: labels.to_vec(),
            help,
        });
        // The encoder writes the suffix of counters itself.
        let registered = name.strip_suffix("_total").unwrap_or(name);
        self.registry.register(registered, help, metric.clone());
        metric
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_described_typed_and_labelled() {
        let mut table = Table::default();
        let counters = table.counters_from_zero(" Doors", "doors_total", "state", &["open", "shut"]);
        counters.of(["open".into()]).inc();
        table.counters(" Never seen", "unseen_total", ["number"]);
        table.gauges(" Numbers", "numbers", ["number"]).of([404.into()]).set(7);

        let text = table.text();

        for line in [
            "# HELP doors_total Doors.",
            "# TYPE doors_total counter",
            "doors_total{state=\"open\"} 1",
            "doors_total{state=\"shut\"} 0",
            "# TYPE numbers gauge",
            "numbers{number=\"404\"} 7",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in {text}");
        }
        let names: Vec<_> = table.rows().iter().map(|row| row.name).collect();
        assert_eq!(names, ["doors_total", "unseen_total", "numbers"]);
    }
}

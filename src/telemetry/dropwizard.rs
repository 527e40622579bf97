//! Marathon's `GET /metrics` (§1.3): the maps of the Dropwizard library, by metric name.
//!
//! Made from the text that Prometheus reads, so that a number cannot be in one and missing in the other. Dropwizard has
//! no labels: their values become parts of the name, `ekiden_kills.unhealthy`. Histograms know counts per bucket and
//! not single values, so their extremes and percentiles are as exact as the buckets are fine (a factor of two).
//! `meters` and `timers` are there and empty: rates are the reader's to compute.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Dropwizard's own version of this format, which clients of its libraries look at.
const FORMAT_VERSION: &str = "4.0.0";

/// Reads the text of [`Metrics::encode_text`](super::Metrics::encode_text).
pub(super) fn from_text(text: &str) -> Value {
    let mut page = Page::default();
    for line in text.lines() {
        page.read(line);
    }
    page.into_json()
}

#[derive(Default)]
struct Page {
    /// The name and type of the family being read.
    family: String,
    kind: String,
    counters: Map<String, Value>,
    gauges: Map<String, Value>,
    histograms: BTreeMap<String, Buckets>,
}

impl Page {
    fn read(&mut self, line: &str) {
        if let Some(family) = line.strip_prefix("# TYPE ") {
            let (name, kind) = family.split_once(' ').unwrap_or((family, ""));
            (self.family, self.kind) = (name.to_owned(), kind.to_owned());
        } else if !line.starts_with('#')
            && let Some((series, value)) = line.rsplit_once(' ')
            && let Ok(value) = value.parse::<f64>()
        {
            self.sample(series, value);
        }
    }

    /// One line of values: `name_suffix{label="value",…}`.
    fn sample(&mut self, series: &str, value: f64) {
        // The last brace closes the labels; those of a route, `/v2/apps/{id}`, come before it.
        let (name, labels) = match series.split_once('{') {
            Some((name, rest)) => (name, rest.strip_suffix('}').unwrap_or(rest)),
            None => (series, ""),
        };
        let mut flat = self.family.clone();
        let mut bound = None;
        for (label, text) in labels.split("\",").filter_map(|pair| pair.split_once("=\"")) {
            let text = text.trim_end_matches('"');
            if label == "le" {
                bound = text.parse().ok();
            } else {
                flat.push('.');
                flat.push_str(text);
            }
        }
        let suffix = name.strip_prefix(self.family.as_str()).unwrap_or_default();
        match (self.kind.as_str(), suffix) {
            ("counter", "_total") => {
                self.counters.insert(flat, json!({ "count": value as u64 }));
            }
            ("gauge", "") => {
                self.gauges.insert(flat, json!({ "value": value }));
            }
            ("histogram", "_sum") => self.histograms.entry(flat).or_default().sum = value,
            ("histogram", "_bucket") => {
                let cumulative = &mut self.histograms.entry(flat).or_default().cumulative;
                cumulative.push((bound.unwrap_or(f64::INFINITY), value));
            }
            _ => {}
        }
    }

    fn into_json(self) -> Value {
        let histograms: Map<_, _> =
            self.histograms.into_iter().map(|(name, buckets)| (name, buckets.to_json())).collect();
        json!({
            "version": FORMAT_VERSION,
            "gauges": self.gauges,
            "counters": self.counters,
            "histograms": histograms,
            "meters": {},
            "timers": {},
        })
    }
}

/// A histogram as Prometheus keeps it: how many values were at most so large, for each bound.
#[derive(Default)]
struct Buckets {
    sum: f64,
    cumulative: Vec<(f64, f64)>,
}

/// The values of one bucket that has any.
struct Bucket {
    low: f64,
    high: f64,
    count: f64,
}

impl Buckets {
    fn to_json(&self) -> Value {
        let filled = self.filled();
        let count: f64 = filled.iter().map(|bucket| bucket.count).sum();
        let mean = if count > 0.0 { self.sum / count } else { 0.0 };
        let spread = |bucket: &Bucket| bucket.count * (f64::midpoint(bucket.low, bucket.high) - mean).powi(2);
        let variance = if count > 0.0 { filled.iter().map(spread).sum::<f64>() / count } else { 0.0 };
        let quantile = |share| quantile(&filled, share * count);
        json!({
            "count": count as u64,
            "max": filled.last().map_or(0.0, |bucket| bucket.high),
            "mean": mean,
            "min": filled.first().map_or(0.0, |bucket| bucket.low),
            "p50": quantile(0.5),
            "p75": quantile(0.75),
            "p95": quantile(0.95),
            "p98": quantile(0.98),
            "p99": quantile(0.99),
            "p999": quantile(0.999),
            "stddev": variance.sqrt(),
        })
    }

    /// The buckets that have values. What is above the last bound is taken to be at it.
    fn filled(&self) -> Vec<Bucket> {
        let mut below = (0.0, 0.0);
        let mut filled = Vec::new();
        for &(bound, cumulative) in &self.cumulative {
            let high = if bound.is_finite() { bound } else { below.0 };
            if cumulative > below.1 {
                filled.push(Bucket { low: below.0, high, count: cumulative - below.1 });
            }
            below = (high, cumulative);
        }
        filled
    }
}

/// The value that `rank` values are at most as large as, as if those of a bucket were evenly spread.
fn quantile(filled: &[Bucket], rank: f64) -> f64 {
    let mut left = rank;
    for bucket in filled {
        if left <= bucket.count {
            return bucket.low + (bucket.high - bucket.low) * left / bucket.count;
        }
        left -= bucket.count;
    }
    filled.last().map_or(0.0, |bucket| bucket.high)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ekiden_model::report::KillCause;

    use super::super::metrics::{Metrics, killing};

    #[test]
    fn counters_gauges_and_histograms_go_into_their_maps() {
        let metrics = Metrics::default();
        metrics.effect(&killing(KillCause::Unhealthy));
        metrics.effect(&killing(KillCause::Unhealthy));
        metrics.apps.set(3);
        metrics.requested("GET", "/v2/apps/{id}", 200, Duration::from_millis(1));
        let json = metrics.to_marathon_json();
        assert_eq!(json["version"], "4.0.0");
        assert_eq!(json["counters"]["ekiden_kills.unhealthy"]["count"], 2);
        assert_eq!(json["counters"]["ekiden_http_requests.GET./v2/apps/{id}.200"]["count"], 1);
        assert_eq!(json["gauges"]["ekiden_apps"]["value"], 3.0);
        assert_eq!(json["histograms"]["ekiden_http_request_seconds"]["count"], 1);
        assert!(json["meters"].is_object() && json["timers"].is_object());
    }

    #[test]
    fn a_histogram_is_as_exact_as_its_buckets() {
        let metrics = Metrics::default();
        for _ in 0..99 {
            metrics.step_seconds.observe(0.000_15);
        }
        metrics.step_seconds.observe(1_000.0);
        let json = metrics.to_marathon_json();
        let step = &json["histograms"]["ekiden_step_seconds"];
        assert_eq!(step["count"], 100);
        assert_eq!(step["min"], 0.000_1);
        let p50 = step["p50"].as_f64().expect("a number");
        assert!((0.000_1..=0.000_2).contains(&p50), "{p50}");
        // Above the last bound, 13.1 s, nothing is told apart.
        let max = step["max"].as_f64().expect("a number");
        assert!((13.0..14.0).contains(&max), "{max}");
        assert!((step["mean"].as_f64().expect("a number") - 10.0).abs() < 0.01);
    }

    #[test]
    fn an_empty_histogram_is_all_zero() {
        let json = Metrics::default().to_marathon_json();
        let store = &json["histograms"]["ekiden_store_batch_seconds"];
        for field in ["count", "min", "max", "mean", "p50", "p99", "p999", "stddev"] {
            assert_eq!(store[field].as_f64(), Some(0.0), "{field}");
        }
    }
}

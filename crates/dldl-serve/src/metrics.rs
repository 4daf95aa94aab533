//! What is counted, in Prometheus' text format.

use std::time::Duration;

use dldl::PictureRecord;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::prometheus_text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::problem::Problem;

/// Upper ends of the histograms' buckets, in seconds.
const SECONDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// A step of an estimate.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage {
    /// Waiting for a thread.
    Queue,
    Decode,
    Detect,
    /// Alignment and network.
    Estimate,
}

impl Stage {
    fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Decode => "decode",
            Self::Detect => "detect",
            Self::Estimate => "estimate",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    path: &'static str,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PathLabels {
    path: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabels {
    stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
    model: String,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

/// All metrics.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    latency: Histograms<PathLabels>,
    stages: Histograms<StageLabels>,
    pictures: Family<ResultLabels, Counter>,
    faces: Counter,
    depth: Gauge,
    capacity: Gauge,
}

impl Metrics {
    /// Metrics of a service that runs this model.
    pub fn new(model: &str) -> Self {
        let mut registry = Registry::with_prefix("dldl");
        let requests = Family::<RequestLabels, Counter>::default();
        let latency = Histograms::new_with_constructor(histogram as fn() -> Histogram);
        let stages = Histograms::new_with_constructor(histogram as fn() -> Histogram);
        let pictures = Family::<ResultLabels, Counter>::default();
        let (faces, depth, capacity) = (Counter::default(), Gauge::default(), Gauge::default());
        let build = Family::<BuildLabels, Gauge>::default();
        let version = env!("CARGO_PKG_VERSION");
        build.get_or_create(&BuildLabels { version, model: model.to_owned() }).set(1);
        // The unit is appended to the name.
        let seconds = Unit::Seconds;
        registry.register("http_requests", "Requests by method, path and status", requests.clone());
        registry.register_with_unit(
            "http_request_duration",
            "Time from the head of a request to its answer",
            seconds.clone(),
            latency.clone(),
        );
        registry.register_with_unit(
            "stage",
            "Time by step of an estimate",
            seconds,
            stages.clone(),
        );
        registry.register("pictures", "Pictures by result: ok or failed", pictures.clone());
        registry.register("faces", "Faces that were estimated", faces.clone());
        registry.register("queue_depth", "Pictures in the queue or in progress", depth.clone());
        registry.register("queue_capacity", "The most of them", capacity.clone());
        registry.register("build_info", "Version and model; always 1", build);
        Self { registry, requests, latency, stages, pictures, faces, depth, capacity }
    }

    /// A request was answered. The path is that of a route: there are few.
    pub fn request(&self, method: &'static str, path: &'static str, code: u16, took: Duration) {
        self.requests.get_or_create(&RequestLabels { method, path, code }).inc();
        self.latency.get_or_create(&PathLabels { path }).observe(took.as_secs_f64());
    }

    /// A step took so long.
    pub fn stage(&self, stage: Stage, took: Duration) {
        let labels = StageLabels { stage: stage.name() };
        self.stages.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// A picture is done.
    pub fn picture(&self, result: &Result<PictureRecord, Problem>) {
        let name = if result.is_ok() { "ok" } else { "failed" };
        self.pictures.get_or_create(&ResultLabels { result: name }).inc();
        if let Ok(record) = result {
            self.faces.inc_by(record.faces.len() as u64);
        }
    }

    /// All metrics as text, with the state of the queue.
    pub fn text(&self, depth: usize, capacity: usize) -> String {
        self.depth.set(depth as i64);
        self.capacity.set(capacity as i64);
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("a String takes everything");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        let metrics = Metrics::new("tiny");
        metrics.request("POST", "/v1/estimate", 200, Duration::from_millis(3));
        metrics.stage(Stage::Decode, Duration::from_millis(1));
        metrics.picture(&Err(Problem::busy()));
        let text = metrics.text(2, 66);
        for line in [
            r#"dldl_http_requests_total{method="POST",path="/v1/estimate",code="200"} 1"#,
            r#"dldl_http_request_duration_seconds_count{path="/v1/estimate"} 1"#,
            r#"dldl_http_request_duration_seconds_bucket{path="/v1/estimate",le="0.0025"} 0"#,
            r#"dldl_stage_seconds_sum{stage="decode"} 0.001"#,
            r#"dldl_pictures_total{result="failed"} 1"#,
            "dldl_faces_total 0",
            "dldl_queue_depth 2",
            "dldl_queue_capacity 66",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        assert!(text.contains("# TYPE dldl_http_requests_total counter"), "{text}");
        assert!(text.contains(r#"model="tiny""#) && text.contains("dldl_build_info{"), "{text}");
    }
}

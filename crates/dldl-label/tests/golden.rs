//! Comparison with values computed by numpy and PyTorch (`tools/golden_label.py`).

use std::collections::BTreeSet;

use dldl_label::{Distribution, Label, LabelSet, Method, Scaling, metrics};
use serde_json::{Value, json};

/// Double precision, summed in another order.
const TOLERANCE: f64 = 1e-11;

fn golden() -> Value {
    serde_json::from_str(include_str!("data/golden.json")).unwrap()
}

fn set(name: &Value) -> LabelSet {
    match name.as_str().unwrap() {
        "age" => LabelSet::age(),
        "attractiveness_5" => LabelSet::attractiveness_5(),
        "attractiveness_7" => LabelSet::attractiveness_7(),
        "hot_or_not" => LabelSet::new(-3.6, 3.6, 0.1).unwrap(),
        "bone_age" => LabelSet::new(1.0, 230.0, 1.0).unwrap(),
        other => panic!("unknown set {other}"),
    }
}

fn items(value: &Value) -> &[Value] {
    let items = value.as_array().unwrap();
    assert!(!items.is_empty());
    items
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    items(value).iter().map(number).collect()
}

#[track_caller]
fn close(actual: f64, expected: f64) {
    let bound = TOLERANCE * expected.abs().max(1.0);
    assert!((actual - expected).abs() <= bound, "{actual} is not {expected}");
}

#[track_caller]
fn all_close(actual: &[f64], expected: &[f64]) {
    assert_eq!(actual.len(), expected.len());
    for (a, e) in actual.iter().zip(expected) {
        close(*a, *e);
    }
}

fn check_summary(distribution: &Distribution, case: &Value) {
    all_close(distribution.probabilities(), &numbers(&case["probabilities"]));
    close(distribution.expectation(), number(&case["expectation"]));
    close(distribution.std(), number(&case["std"]));
    close(distribution.mode(), number(&case["mode"]));
    close(distribution.entropy(), number(&case["entropy"]));
    for pair in items(&case["quantiles"]) {
        close(distribution.quantile(number(&pair[0])), number(&pair[1]));
    }
    let (low, high) = distribution.equal_tailed_interval(0.9);
    let quantiles = items(&case["quantiles"]);
    close(low, number(&quantiles[0][1]));
    close(high, number(&quantiles[quantiles.len() - 1][1]));
}

#[test]
fn label_sets() {
    for case in items(&golden()["sets"]) {
        all_close(&set(&case["name"]).values(), &numbers(&case["values"]));
    }
}

#[test]
fn gaussians() {
    for case in items(&golden()["gaussians"]) {
        let (mean, sigma) = (number(&case["mean"]), number(&case["sigma"]));
        check_summary(&Distribution::gaussian(&set(&case["set"]), mean, sigma).unwrap(), case);
    }
}

#[test]
fn softmaxes() {
    for case in items(&golden()["softmaxes"]) {
        let logits: Vec<f32> = numbers(&case["logits"]).iter().map(|&x| x as f32).collect();
        check_summary(&Distribution::from_logits(&set(&case["set"]), &logits).unwrap(), case);
    }
}

#[test]
fn losses_and_gradients_of_batches() {
    for case in items(&golden()["losses"]) {
        let labels = set(&case["set"]);
        let samples = numbers(&case["means"]).into_iter().zip(numbers(&case["sigmas"]));
        let samples: Vec<Label> = samples.map(|(m, s)| Label::new(m, s).unwrap()).collect();
        for result in items(&case["results"]) {
            let method = match result["method"].as_str().unwrap() {
                "dldl" => Method::Dldl,
                "dldl-v2" => {
                    let scaling: Scaling =
                        serde_json::from_value(result["scaling"].clone()).unwrap();
                    Method::dldl_v2(number(&result["lambda"]), scaling).unwrap()
                }
                other => panic!("unknown method {other}"),
            };
            let batch = samples.len() as f64;
            let mut total = 0.0;
            for (i, sample) in samples.iter().enumerate() {
                let target = method.encode(&labels, sample).unwrap();
                let logits = numbers(&case["logits"][i]);
                let loss = method.loss(&labels, &target, &logits).unwrap();
                total += loss.total / batch;
                let gradient: Vec<f64> = loss.gradient.iter().map(|g| g / batch).collect();
                all_close(&gradient, &numbers(&result["gradient"][i]));
            }
            close(total, number(&result["loss"]));
        }
    }
}

#[test]
fn losses_and_gradients_of_all_methods() {
    let mut seen = BTreeSet::new();
    for case in items(&golden()["methods"]) {
        let labels = set(&case["set"]);
        let samples = numbers(&case["means"]).into_iter().zip(numbers(&case["sigmas"]));
        let samples: Vec<Label> = samples.map(|(m, s)| Label::new(m, s).unwrap()).collect();
        for result in items(&case["results"]) {
            let mut words = result["method"].as_str().unwrap().split(' ');
            let (name, penalty) = (words.next().unwrap(), words.next());
            let form = match penalty {
                Some(penalty) => json!({ "name": name, "penalty": penalty }),
                None => json!({ "name": name }),
            };
            let method: Method = serde_json::from_value(form).unwrap();
            seen.insert(method.name());
            let batch = samples.len() as f64;
            let mut total = 0.0;
            for (i, sample) in samples.iter().enumerate() {
                let target = method.encode(&labels, sample).unwrap();
                let loss = method.loss(&labels, &target, &numbers(&result["logits"][i])).unwrap();
                total += loss.total / batch;
                let gradient: Vec<f64> = loss.gradient.iter().map(|g| g / batch).collect();
                all_close(&gradient, &numbers(&result["gradient"][i]));
            }
            close(total, number(&result["loss"]));
        }
    }
    let all: BTreeSet<&str> = Method::ALL.iter().map(Method::name).collect();
    // DLDL and the paper's DLDL-v2 are tested separately above.
    assert!(all.difference(&seen).eq(["dldl"].iter()), "{seen:?}");
}

/// Samples of which only a range is known.
#[test]
fn losses_and_gradients_of_ranges() {
    for case in items(&golden()["ranges"]) {
        let labels = set(&case["set"]);
        let low = case["range"][0].as_f64().unwrap_or(f64::NEG_INFINITY);
        let high = case["range"][1].as_f64().unwrap_or(f64::INFINITY);
        let target = Method::target_of_range(low, high).unwrap();
        for result in items(&case["results"]) {
            let method: Method = result["method"].as_str().unwrap().parse().unwrap();
            let loss = method.loss(&labels, &target, &numbers(&result["logits"])).unwrap();
            close(loss.total, number(&result["loss"]));
            all_close(&loss.gradient, &numbers(&result["gradient"]));
        }
    }
}

#[test]
fn metrics_of_sixty_samples() {
    let case = &golden()["metrics"];
    let predictions = numbers(&case["predictions"]);
    let truths = numbers(&case["truths"]);
    let sigmas = numbers(&case["sigmas"]);
    close(metrics::mae(&predictions, &truths).unwrap(), number(&case["mae"]));
    close(metrics::rmse(&predictions, &truths).unwrap(), number(&case["rmse"]));
    close(metrics::pearson(&predictions, &truths).unwrap(), number(&case["pearson"]));
    close(
        metrics::epsilon_error(&predictions, &truths, &sigmas).unwrap(),
        number(&case["epsilon_error"]),
    );
    for pair in items(&case["cs"]) {
        close(metrics::cs(&predictions, &truths, number(&pair[0])).unwrap(), number(&pair[1]));
    }
}

use super::*;
use crate::Scale;
use crate::evaluation::*;
use crate::understand::ranking::{Aligned, RankGroup, RankModel};
use crate::understand::{self, Kind, Map, Measure};
use dldl::LabelSet;
use dldl_data::{Problem, Sex};

fn figure(value: f64) -> Measured {
    Measured { value, interval: Some([value - 0.25, value + 0.25]) }
}

fn metrics(mae: f64) -> Metrics {
    let cs_curve = (0..=15).map(|e| Threshold { error: e.into(), percent: 6.0 * f64::from(e) });
    Metrics {
        mae: Some(figure(mae)),
        rmse: Some(figure(7.31)),
        pearson: Some(figure(0.912)),
        bias: Some(figure(-0.42)),
        median_error: Some(figure(3.61)),
        cs3: Some(figure(45.1)),
        cs5: Some(figure(63.3)),
        cs8: Some(figure(79.8)),
        cs_curve: cs_curve.collect(),
        epsilon_error: None,
        epsilon_error_with_failures: None,
    }
}

fn coverage(level: f64) -> Coverage {
    Coverage { level, observed: figure(level - 0.013), width: figure(20.0 * level) }
}

fn group(name: &str, n: usize, mae: f64) -> Group {
    let coverage = LEVELS.map(coverage).into();
    let (mae, bias) = (figure(mae), figure(mae - 5.0));
    Group { name: name.into(), n, few: n < MIN_GROUP, mae, bias, coverage }
}

fn prediction(file: &str, truth: f64, fused: f64) -> Prediction {
    Prediction {
        file: file.into(),
        truth,
        sigma: None,
        range: None,
        sex: Some(Sex::Female),
        race: Some("Asian".into()),
        group: None,
        aligned: true,
        median: Some(fused),
        plain: fused,
        flipped: fused,
        fused,
        std: 5.0,
        pit: 0.4,
        nll: 3.1,
        crps: 3.4,
        intervals: [[fused - 5.0, fused + 5.0]; LEVELS.len()],
        at_least: vec![0.75],
        quality: Some(0.8),
        measures: None,
        one_table: None,
    }
}

fn assurance_group(name: &str) -> AssuranceGroup {
    let share = |v: f64| Some(Measured { value: v, interval: None });
    let row = |age: i32| ChallengeAge {
        age: age.into(),
        minors_passed: share(0.31 - 0.01 * f64::from(age - 20)),
        teens_passed: share(0.6),
        adults_challenged: share(0.2 + 0.05 * f64::from(age - 20)),
    };
    AssuranceGroup {
        name: name.into(),
        minors: 421,
        teens: 77,
        adults: 803,
        adults_mae: Some(figure(4.02)),
        adults_mae_by_cell: Some(4.33),
        adults_cells: 26,
        rows: (20..=30).map(row).collect(),
    }
}

fn rejection() -> Rejection {
    let curve = |slope: f64| {
        let point = |i: u32| {
            let rejected = f64::from(i) / 20.0;
            RejectionPoint { rejected, limit: rejected, mae: figure(5.03 - slope * rejected) }
        };
        RejectionCurve { area: figure(4.0), points: (0..20).map(point).collect() }
    };
    Rejection { n: 2338, by_quality: curve(1.0), by_std: curve(2.5), best_area: 1.25 }
}

fn at_least() -> AtLeast {
    let cutoff = |rate: f64| Cutoff {
        rate,
        cutoff: Some(0.4321),
        below_passed: Some(figure(0.3)),
        above_failed: Some(figure(rate)),
    };
    let group = |name: &str| AtLeastGroup {
        name: name.into(),
        below: 437,
        above: 1901,
        auc: Some(figure(0.987)),
        brier: Some(figure(0.031)),
        calibration_error: Some(figure(0.012)),
        at_above_failed: RATES.map(cutoff).into(),
        at_below_passed: RATES.map(cutoff).into(),
    };
    let bin = |i: u32| Bin {
        low: f64::from(i) / 10.0,
        high: f64::from(i + 1) / 10.0,
        n: 40,
        predicted: f64::from(i) / 10.0 + 0.04,
        observed: figure(f64::from(i) / 10.0 + 0.02),
    };
    let point = |i: u32| {
        let above_failed = f64::from(i) / 10.0;
        RocPoint { above_failed, below_failed: above_failed.sqrt() }
    };
    AtLeast {
        threshold: 18.0,
        undecided: 5,
        all: group("all"),
        by_sex: vec![group("male"), group("female")],
        by_race: Vec::new(),
        reliability: (0..10).map(bin).collect(),
        roc: (0..=10).map(point).collect(),
    }
}

fn evaluation(model: &str) -> Evaluation {
    let labels = LabelSet::age();
    let bands = vec![group("0-2", 12, 1.1), group("18-29", 700, 4.4), group("70+", 210, 8.9)];
    let breakdown = |by: &str, groups: Vec<Group>| Breakdown {
        by: by.into(),
        worst: groups.last().map(|g| g.name.clone()),
        best: groups.get(1).map(|g| g.name.clone()),
        gap: Some(4.5),
        groups,
    };
    let sexes = vec![group("female", 1200, 4.9), group("male", 1100, 5.2)];
    let estimated = EstimateBand {
        name: "20-29".into(),
        n: 731,
        few: false,
        bias: figure(0.3),
        coverage: LEVELS.map(coverage).into(),
        one_table: vec![Coverage { observed: figure(0.777), ..coverage(0.9) }; LEVELS.len()],
    };
    Evaluation {
        subject: Subject {
            model: model.into(),
            task: dldl_label::Task::Age,
            method: "dldl-v2".into(),
            dataset: "utkface".into(),
            split: "test".into(),
            protocol: None,
            part: None,
            scale: Scale::new(dldl_label::Task::Age, &labels),
            labels,
            calibration: None,
            thresholds: vec![18.0],
        },
        readouts: Readouts::default(),
        n: 2338,
        n_sigma: 0,
        n_groups: 2300,
        failures: 2,
        failure_rate: 2.0 / 2340.0,
        crops: Crops { aligned: 2330, whole_picture: 8 },
        plain: metrics(5.10),
        flipped: metrics(5.12),
        flip_fusion: metrics(5.03),
        probabilistic: Probabilistic {
            nll: Some(figure(3.02)),
            crps: Some(figure(3.7)),
            coverage: LEVELS.map(coverage).into(),
            pit: (0..20).map(|i| 100 + i).collect(),
            reliability: (1..20)
                .map(|i| f64::from(i) / 20.0)
                .map(|level| Reliability {
                    level,
                    distribution: 0.9 * level,
                    calibrated: Some(level),
                })
                .collect(),
        },
        by_estimate: Some(ByEstimate { calibrated: true, bands: vec![estimated] }),
        baseline: Some(Baseline { train_median: 29.0, mae: 14.98 }),
        breakdowns: vec![breakdown("age", bands), breakdown("sex", sexes)],
        hits: None,
        assurance: Some(Assurance {
            all: assurance_group("all"),
            by_sex: vec![assurance_group("female")],
            by_race: Vec::new(),
        }),
        at_least: vec![at_least()],
        rejection: Some(rejection()),
        failed: vec![Problem { file: "bad.jpg".into(), reason: "empty file".into() }],
        problems: Vec::new(),
        predictions: vec![prediction("near.jpg", 20.0, 21.0), prediction("far.jpg", 80.0, 41.5)],
    }
}

fn maps() -> Maps {
    let map = Map {
        name: "grid".into(),
        measure: Measure::Mae,
        rows: 2,
        columns: 2,
        values: vec![5.0, 6.0, 7.0, 9.25],
    };
    let group = understand::Group {
        name: "18-29".into(),
        n: 50,
        estimate: 25.0,
        truth: Some(24.0),
        mae: Some(5.0),
        maps: vec![map],
        face: None,
    };
    Maps {
        kind: Kind::Occlusion,
        model: "tiny".into(),
        task: dldl_label::Task::Age,
        scale: Scale::new(dldl_label::Task::Age, &LabelSet::age()),
        of: "utkface (test)".into(),
        size: 96,
        groups: vec![group],
        failed: Vec::new(),
    }
}

fn rank_curves() -> RankCurves {
    let model = |name: &str, ranks| RankModel {
        name: name.into(),
        method: "m".into(),
        ranks,
        labels: vec![0.0, 50.0],
        mae: Some(5.0),
        violation: 0.0,
    };
    let curves = vec![vec![0.9, 0.1], vec![0.8, 0.2]];
    RankCurves {
        of: "utkface (test)".into(),
        task: dldl_label::Task::Age,
        scale: Scale::new(dldl_label::Task::Age, &LabelSet::age()),
        models: vec![model("rank", true), model("dldl", false)],
        groups: vec![RankGroup {
            name: "all".into(),
            n: 9,
            truth: Some(30.0),
            curves: curves.clone(),
            difference: Some(0.1),
        }],
        aligned: Some(Aligned { offsets: vec![-1.0, 1.0], curves }),
        failed: Vec::new(),
    }
}

fn run() -> Run {
    let epoch = |epoch: usize| Epoch {
        epoch,
        size: 96,
        lr: 1e-3,
        loss: 5.0 / epoch as f64,
        val_loss: Some(5.5 / epoch as f64),
        val_errors: [("age".to_owned(), 10.0 / epoch as f64)].into(),
        best: true,
        images_per_second: 100.0,
        seconds: 60.0 * epoch as f64,
    };
    Run {
        name: "mine".into(),
        epochs: (1..=5).map(epoch).collect(),
        recipe: Some("seed = 7\n[data]\nx = \"<b>\"\n".into()),
        seed: Some(7),
        model: None,
    }
}

fn heading() -> Heading {
    let command = "dldl report a.json --out '<x>.html'".to_owned();
    Heading { title: None, command, version: "0.1.0".into() }
}

fn whole() -> Parts {
    Parts {
        evaluations: vec![evaluation("tiny"), evaluation("thin")],
        runs: vec![run()],
        maps: vec![maps()],
        rank_curves: vec![rank_curves()],
        sources: vec!["a.json".into()],
    }
}

/// Checks that all elements are closed in the right order, except void elements.
fn check_nesting(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    for part in html.split('<').skip(1) {
        let tag = part.split('>').next().unwrap();
        let name = tag.split([' ', '\n', '/']).next().unwrap();
        match () {
            () if tag.starts_with('!') || name == "meta" || tag.ends_with('/') => {}
            () if tag.starts_with('/') => {
                assert_eq!(open.pop(), Some(&tag[1..]), "closed in the wrong order");
            }
            () => open.push(name),
        }
    }
    assert!(open.is_empty(), "never closed: {open:?}");
}

#[test]
fn the_page_is_self_contained_and_well_nested() {
    let html = whole().to_html(&heading());
    if let Some(path) = std::env::var_os("DLDL_PAGE_OUT") {
        std::fs::write(path, &html).unwrap();
    }
    check_nesting(&html);
    assert!(html.starts_with("<!doctype html>"));
    for needed in ["name=\"viewport\"", "prefers-color-scheme:dark", "@media print", "<title>"] {
        assert!(html.contains(needed), "{needed}");
    }
    for foreign in ["<script", "http://", "https://", "src=", "url(", "@import", "<img", "<link"] {
        assert!(!html.contains(foreign), "{foreign}");
    }
}

#[test]
fn all_parts_are_on_the_page() {
    let html = whole().to_html(&heading());
    for part in [
        // Headline, with its interval, the baseline and the true minus.
        "5.03",
        "4.78 to 5.28",
        "14.98",
        "\u{2212}0.42",
        "79.8",
        // Groups, the small one marked.
        "70+",
        "class=\"few\"",
        "class=\"worst\"",
        "8.90",
        "By sex",
        // Intervals.
        "88.7",
        "3.02",
        "Reliability of intervals",
        "Intervals by estimated age",
        "731",
        "77.7",
        "90 %, without bands",
        "Intervals by true age",
        "challenge age",
        "n = 421",
        "far.jpg",
        "bad.jpg: empty file",
        // Training, maps, curves, and how it was made.
        "Training mine",
        "used the seed 7",
        "18-29 (50)",
        "9.3",
        "rank (m): sigmoids",
        "dldl report a.json",
        "Comparison",
    ] {
        assert!(html.contains(part), "{part} is missing");
    }
    let far = html.find("far.jpg").unwrap();
    assert!(far < html.find("near.jpg").unwrap(), "the largest error comes first");
}

#[test]
fn absent_parts_have_no_section() {
    let mut one = evaluation("tiny");
    (one.assurance, one.breakdowns, one.predictions) = (None, Vec::new(), Vec::new());
    one.at_least = Vec::new();
    let html = Parts { evaluations: vec![one], ..Parts::default() }.to_html(&heading());
    check_nesting(&html);
    for absent in
        ["Age assurance", "By group", "The 20 largest", "Comparison", "Training", "their ranges"]
    {
        assert!(!html.contains(absent), "{absent}");
    }
    let empty = Parts::default().to_html(&heading());
    check_nesting(&empty);
}

#[test]
fn external_names_are_escaped() {
    let bad = "<script>alert('x')</script>";
    let mut one = evaluation(bad);
    one.subject.dataset = bad.into();
    one.failed[0].file = bad.into();
    one.predictions[0].file = bad.into();
    one.predictions[0].race = Some(bad.into());
    one.breakdowns[0].groups[0].name = bad.into();
    one.breakdowns[1].by = bad.into();
    one.breakdowns[1].worst = Some(bad.into());
    let mut map = maps();
    (map.model, map.of, map.groups[0].name) = (bad.into(), bad.into(), bad.into());
    let mut run = run();
    run.name = bad.into();
    let parts = Parts {
        evaluations: vec![one.clone(), one],
        runs: vec![run],
        maps: vec![map],
        rank_curves: Vec::new(),
        sources: vec![bad.into()],
    };
    let html = parts.to_html(&Heading { title: Some(bad.into()), ..heading() });
    assert!(!html.contains("<script") && html.contains("&lt;script&gt;"));
    check_nesting(&html);
}

#[test]
fn files_are_recognized_by_content() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let json = serde_json::to_string(&evaluation("tiny")).unwrap();
    std::fs::write(path("eval.json"), json).unwrap();
    std::fs::write(path("maps.json"), maps().to_json()).unwrap();
    std::fs::write(path("ranking.json"), rank_curves().to_json()).unwrap();
    std::fs::create_dir(path("mine")).unwrap();
    let mut log = String::from(r#"{"kind":"step","step":10,"epoch":1}"#);
    for epoch in run().epochs {
        let mut line = serde_json::to_value(epoch).unwrap();
        line["kind"] = "epoch".into();
        line["waiting"] = 0.1.into();
        log += &format!("\n{line}");
    }
    std::fs::write(path("mine/log.jsonl"), log).unwrap();
    std::fs::write(path("mine/config.toml"), run().recipe.unwrap()).unwrap();
    let names = ["eval.json", "maps.json", "ranking.json", "mine"].map(path);
    let parts = Parts::read(&names).unwrap();
    assert_eq!(parts.evaluations, [evaluation("tiny")]);
    assert_eq!((&parts.maps, &parts.rank_curves), (&vec![maps()], &vec![rank_curves()]));
    assert_eq!(parts.runs, [run()]);
    assert_eq!(parts.sources.len(), 4);
    assert!(parts.to_json().contains("\"far.jpg\""));

    std::fs::write(path("other.json"), "{\"a\": 1}").unwrap();
    std::fs::write(path("text.json"), "no").unwrap();
    for (name, part) in [
        ("other.json", "neither"),
        ("text.json", "is not JSON"),
        ("absent.json", "cannot read"),
        ("", "log.jsonl"),
    ] {
        let error = Parts::read(&[path(name)]).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains(name), "{error}");
    }
}

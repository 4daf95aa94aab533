//! A made-up dataset through the whole road: what is counted, and what is refused.

use std::path::Path;

use dldl::{Estimator, Task};
use dldl_data::{Parameters, Split};
use dldl_eval::{
    Crops, Disturbance, EvalError, Options, Progress, Source, calibrate, evaluate, robustness,
};

fn dataset(root: &Path) -> Source {
    let portrait = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/astronaut.jpg");
    std::fs::copy(portrait, root.join("a.jpg")).unwrap();
    std::fs::write(root.join("text.jpg"), "no picture").unwrap();
    let table = "file,age,split\na.jpg,40,test\ntext.jpg,30,test\na.jpg,20,train\n";
    std::fs::write(root.join("labels.csv"), table).unwrap();
    Source::open("csv", root, None).unwrap()
}

fn estimator() -> Estimator {
    Estimator::load(dldl::DEFAULT_MODEL).unwrap()
}

#[test]
fn both_ways_are_those_of_the_estimator() {
    let dir = tempfile::tempdir().unwrap();
    let source = dataset(dir.path());
    let options = Options { split: Some(Split::Test), ..Options::default() };
    let mut steps = Vec::new();
    // The estimator's own flip fusion must not double that of the evaluation.
    let found = evaluate(estimator(), &source, &options, &mut |p| steps.push(p)).unwrap();
    assert_eq!(steps, [1, 2].map(|done| Progress { done, total: 2 }));
    assert_eq!((found.n, found.failures, found.n_sigma), (1, 1, 0));
    assert_eq!((found.subject.task, found.failure_rate), (Task::Age, 0.5));
    assert_eq!(found.crops, Crops { aligned: 1, whole_picture: 0 });
    assert_eq!(found.failed[0].file, "text.jpg");
    assert!(found.plain.epsilon_error.is_none());
    let picture = dldl::decode_file(&dir.path().join("a.jpg")).unwrap();
    let prediction = &found.predictions[0];
    for (fusion, seen, said) in
        [(false, &found.plain, prediction.plain), (true, &found.flip_fusion, prediction.fused)]
    {
        let face = &estimator().flip_fusion(fusion).estimate(&picture).unwrap()[0];
        let estimate = face.heads[0].value;
        assert_eq!(said, estimate);
        assert_eq!(seen.mae.unwrap().value, (estimate - 40.0).abs());
        if fusion {
            let interval = face.heads[0].interval(0.9);
            assert_eq!(prediction.intervals[2], [interval.low, interval.high]);
            assert_eq!(prediction.std, face.heads[0].std);
        }
    }
    let plain = estimator().flip_fusion(false);
    let mirrored = plain.crop(&picture, &plain.detect(&picture)[0]).flipped();
    assert_eq!(prediction.flipped, plain.engine().run(&[mirrored]).unwrap()[0][0].value);
}

/// Ages in decades: the same faces on another scale.
#[test]
fn labels_come_to_the_models_scale() {
    let dir = tempfile::tempdir().unwrap();
    let source = dataset(dir.path());
    let rescale = Some([0.0, 200.0]);
    let options = Options { split: Some(Split::Test), rescale, ..Options::default() };
    let found = evaluate(estimator(), &source, &options, &mut |_| ()).unwrap();
    assert_eq!(found.predictions[0].truth, 20.0);
    // The train split's only label, 20, comes to 10.
    assert_eq!(found.baseline.unwrap().train_median, 10.0);
    for wrong in [[1.0, 1.0], [7.0, 1.0], [0.0, f64::NAN]] {
        let options = Options { rescale: Some(wrong), ..options.clone() };
        let refused = evaluate(estimator(), &source, &options, &mut |_| ()).unwrap_err();
        assert!(matches!(refused, EvalError::Rescale(_)), "{refused}");
    }
}

#[test]
fn a_calibrated_model_covers_what_it_was_calibrated_on() {
    let dir = tempfile::tempdir().unwrap();
    let source = dataset(dir.path());
    let options = Options { split: Some(Split::Test), ..Options::default() };
    let found = calibrate(estimator(), &source, &options, false, &mut |_| ()).unwrap();
    assert_eq!((found.task, found.failed.len()), (Task::Age, 1));
    let intervals = found.calibration.intervals.fused.clone().unwrap();
    assert_eq!((intervals.n, intervals.on.as_str()), (1, "csv, test split"));
    let own = dldl::models::info(dldl::DEFAULT_MODEL).unwrap().heads.remove(0).calibration.unwrap();
    assert_eq!(found.calibration.temperature, own.temperature);
    assert_eq!(found.before.mae, found.after.mae);
    // One picture promises a half, and no more.
    assert_eq!(intervals.levels.level(0.51), 1.0);
    let bytes = dldl::models::bytes(dldl::DEFAULT_MODEL).unwrap();
    let calibration = found.calibration.clone();
    let change = |info: &mut dldl::ModelInfo| info.heads[0].calibration = Some(calibration);
    let file = dir.path().join("calibrated.safetensors");
    dldl_net::save_with_info(&bytes, &file, change).unwrap();
    let calibrated = Estimator::load(&file).unwrap();
    let after = evaluate(calibrated, &source, &options, &mut |_| ()).unwrap();
    let before = evaluate(estimator(), &source, &options, &mut |_| ()).unwrap();
    assert_eq!(after.predictions[0].fused, before.predictions[0].fused);
    // Half of all: it just reaches the one truth there is.
    assert_eq!(after.probabilistic.coverage[0].observed.value, 1.0);
    assert_eq!(after.predictions[0].intervals[3], [0.0, 100.0]);
    assert_eq!(after.subject.calibration, Some(found.calibration));

    let nothing = Options { split: Some(Split::Val), ..Options::default() };
    assert!(calibrate(estimator(), &source, &nothing, false, &mut |_| ()).is_err());
}

#[test]
fn disturbances_are_measured_beside_the_clean_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let source = dataset(dir.path());
    let options = Options { split: Some(Split::Test), ..Options::default() };
    let list = [Disturbance::Scale(1.0), Disturbance::Move([0.2, 0.0]), Disturbance::Light(0.01)];
    let mut steps = Vec::new();
    let found = robustness(estimator(), &source, &options, &list, &mut |p| steps.push(p)).unwrap();
    assert_eq!((steps.len(), steps[7]), (8, Progress { done: 8, total: 8 }));
    let clean = evaluate(estimator(), &source, &options, &mut |_| ()).unwrap();
    assert_eq!(found.clean.metrics, clean.flip_fusion);
    let [same, moved, dark] = &found.disturbed[..] else { panic!("three lines") };
    assert_eq!((&same.metrics, same.moved), (&clean.flip_fusion, 0.0));
    assert!(moved.moved > 0.0 && moved.whole_picture == 0);
    // What `eval` says of it, picture by picture.
    let options = Options { disturbance: Some(list[1]), ..options };
    let alone = evaluate(estimator(), &source, &options, &mut |_| ()).unwrap();
    assert_eq!(alone.flip_fusion, moved.metrics);
    let distance = (alone.predictions[0].fused - clean.predictions[0].fused).abs();
    assert_eq!(moved.moved, distance);
    // Nobody finds a face in the dark; the picture that is none fails each time.
    assert_eq!((dark.whole_picture, dark.failures), (1, 1));
    let table = found.to_string();
    assert!(table.contains("light:0.01") && table.contains("over all lines: 4"), "{table}");
}

#[test]
fn what_cannot_be_evaluated_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let source = dataset(dir.path());
    let options = Options { split: Some(Split::Val), ..Options::default() };
    let empty = evaluate(estimator(), &source, &options, &mut |_| ()).unwrap_err();
    assert!(
        empty.to_string().contains("csv has no samples labeled with age in the split val"),
        "{empty}"
    );

    let Source::Dataset(set) = source else { panic!("a dataset") };
    let mut parameters = Parameters::default();
    parameters.template.name = "other".into();
    parameters.template.points[0][0] += 0.01;
    let cache = dir.path().join("cache");
    dldl_data::prepare(&set, &cache, &parameters, 1, &|_| ()).unwrap();
    let source = Source::open("cache", &cache, None).unwrap();
    let other = evaluate(estimator(), &source, &Options::default(), &mut |_| ()).unwrap_err();
    assert!(matches!(other, EvalError::Template { .. }), "{other}");
    let options = Options { disturbance: Some(Disturbance::Gray), ..Options::default() };
    let refused = evaluate(estimator(), &source, &options, &mut |_| ()).unwrap_err();
    assert!(matches!(refused, EvalError::Disturbance), "{refused}");
}

//! Evaluates, corrupts and calibrates on a small dataset.

use std::path::Path;

use dldl::{Estimator, Task};
use dldl_data::{Parameters, Split};
use dldl_eval::{
    CalibrateError, Corruption, Crops, EvalError, Fits, Options, Progress, Source, calibrate,
    evaluate, robustness,
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
fn estimates_equal_those_of_the_estimator() {
    let dir = tempfile::tempdir().unwrap();
    let source = dataset(dir.path());
    let options = Options { split: Some(Split::Test), ..Options::default() };
    let mut steps = Vec::new();
    // The evaluation must not fuse flips twice.
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
fn labels_are_rescaled() {
    let dir = tempfile::tempdir().unwrap();
    let source = dataset(dir.path());
    let rescale = Some([0.0, 200.0]);
    let options = Options { split: Some(Split::Test), rescale, ..Options::default() };
    let found = evaluate(estimator(), &source, &options, &mut |_| ()).unwrap();
    assert_eq!(found.predictions[0].truth, 20.0);
    // The only label of the train split, 20, becomes 10.
    assert_eq!(found.baseline.unwrap().train_median, 10.0);
    for wrong in [[1.0, 1.0], [7.0, 1.0], [0.0, f64::NAN]] {
        let options = Options { rescale: Some(wrong), ..options.clone() };
        let refused = evaluate(estimator(), &source, &options, &mut |_| ()).unwrap_err();
        assert!(matches!(refused, EvalError::Rescale(_)), "{refused}");
    }
}

#[test]
fn calibrated_intervals_cover_the_pictures_of_the_calibration() {
    let dir = tempfile::tempdir().unwrap();
    dataset(dir.path());
    // 19 pictures, the least that 95 % intervals need, and one that cannot be read.
    let rows = (0..19).map(|i| format!("a.jpg,{},test\n", 20 + 2 * i));
    let table = format!("file,age,split\n{}text.jpg,30,test\n", rows.collect::<String>());
    std::fs::write(dir.path().join("labels.csv"), table).unwrap();
    let source = Source::open("csv", dir.path(), None).unwrap();
    let options = Options { split: Some(Split::Test), ..Options::default() };
    let found = calibrate(estimator(), &source, &options, Fits::default(), &mut |_| ()).unwrap();
    assert_eq!((found.task, found.failed.len()), (Task::Age, 1));
    let tables = &found.calibration.intervals;
    for table in [&tables.fused, &tables.unfused] {
        let table = table.as_ref().unwrap();
        assert_eq!((table.n, table.on.as_str()), (19, "csv, test split"));
        assert!(table.levels.level(0.95) < 1.0 && table.levels.level(0.96) == 1.0);
    }
    assert_ne!(tables.fused, tables.unfused);
    let own = dldl::models::info(dldl::DEFAULT_MODEL).unwrap().heads.remove(0).calibration.unwrap();
    assert_eq!(found.calibration.temperature, own.temperature);
    assert_eq!(found.fused.before.mae, found.fused.after.mae);

    let bytes = dldl::models::bytes(dldl::DEFAULT_MODEL).unwrap();
    let calibration = found.calibration.clone();
    let change = |info: &mut dldl::ModelInfo| info.heads[0].calibration = Some(calibration);
    let file = dir.path().join("calibrated.safetensors");
    dldl_net::save_with_info(&bytes, &file, change).unwrap();
    let calibrated = Estimator::load(&file).unwrap();
    let after = evaluate(calibrated, &source, &options, &mut |_| ()).unwrap();
    let before = evaluate(estimator(), &source, &options, &mut |_| ()).unwrap();
    assert_eq!(after.predictions[0].fused, before.predictions[0].fused);
    // 95 % of 20 are 19: all of them.
    assert_eq!(after.probabilistic.coverage[3].observed.value, 1.0);
    assert!(after.probabilistic.coverage[0].observed.value < 1.0);
    assert_eq!(after.subject.calibration, Some(found.calibration));
}

/// A BMP file of 64 x 64 pixels with a pattern of its own.
fn bitmap(seed: u32) -> Vec<u8> {
    let mut file = b"BM".to_vec();
    for word in [54 + 3 * 64 * 64, 0, 54, 40, 64, 64, 1 | 24 << 16, 0, 3 * 64 * 64, 0, 0, 0, 0u32] {
        file.extend(word.to_le_bytes());
    }
    let pixel = |i: u32| {
        let (x, y) = (i % 64, i / 64);
        [(x * seed) as u8, (y + 3 * seed) as u8, (x * y / 16 + 9 * seed) as u8]
    };
    file.extend((0..64 * 64).flat_map(pixel));
    file
}

/// What is chosen is chosen on people that the intervals are not calibrated on, also when
/// the intervals are calibrated again.
#[test]
fn corrections_are_chosen_on_one_half_of_the_people() {
    let dir = tempfile::tempdir().unwrap();
    let mut table = String::from("file,age,group,split\n");
    for i in 0..240 {
        std::fs::write(dir.path().join(format!("{}.bmp", i % 24)), bitmap(i % 24)).unwrap();
        table += &format!("{}.bmp,{},person {},val\n", i % 24, 20 + i % 31, i / 2);
    }
    std::fs::write(dir.path().join("labels.csv"), table).unwrap();
    let source = Source::open("csv", dir.path(), None).unwrap();
    let split = Some(Split::Val);
    let options = Options { split, no_detect: true, ..Options::default() };
    let made = |estimator: Estimator, fits: Fits| {
        calibrate(estimator, &source, &options, fits, &mut |_| ())
    };
    let fits = Fits { temperature: true, recalibration: true, by_band: true };
    let found = made(estimator(), fits).unwrap();
    let halves = found.halves.unwrap();
    assert_eq!(halves.chose + halves.calibrated, 240);
    // Both pictures of a person are in the same half.
    assert!(halves.chose % 2 == 0 && halves.chose >= 100, "{halves:?}");
    let calibration = found.calibration;
    let chosen = calibration.chosen.clone().unwrap();
    assert_eq!((chosen.on.as_str(), chosen.n), ("csv, val split", halves.chose));
    let table = calibration.intervals.get(true).unwrap();
    assert_eq!((table.on.as_str(), table.n), ("csv, val split, second half", halves.calibrated));
    let errors = found.recalibrated.unwrap();
    assert!(errors.after < errors.before, "{errors:?}");

    let bytes = dldl::models::bytes(dldl::DEFAULT_MODEL).unwrap();
    let file = dir.path().join("x.safetensors");
    let change = |info: &mut dldl::ModelInfo| info.heads[0].calibration = Some(calibration.clone());
    dldl_net::save_with_info(&bytes, &file, change).unwrap();
    let again = made(Estimator::load(&file).unwrap(), Fits::default()).unwrap();
    assert_eq!((again.halves, again.recalibrated), (Some(halves), None));
    assert_eq!(again.calibration, calibration);
    assert_eq!(again.fused.before.mae, again.fused.after.mae);
    // A new temperature drops the map of the old estimates.
    let fits = Fits { temperature: true, ..Fits::default() };
    let again = made(Estimator::load(&file).unwrap(), fits).unwrap();
    assert_eq!(again.calibration.recalibration, None);
    assert_eq!(again.calibration.temperature, calibration.temperature);
}

#[test]
fn calibration_refuses_too_few_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let source = dataset(dir.path());
    let options = Options { split: Some(Split::Test), ..Options::default() };
    let error =
        calibrate(estimator(), &source, &options, Fits::default(), &mut |_| ()).unwrap_err();
    assert!(
        matches!(error, CalibrateError::TooFewPictures { usable: 1, total: 2, needed: 19, .. }),
        "{error}"
    );
    let text = "1 of 2 can be used, but a 95 % interval needs at least 19";
    assert!(error.to_string().contains(text), "{error}");

    let nothing = Options { split: Some(Split::Val), ..Options::default() };
    let error =
        calibrate(estimator(), &source, &nothing, Fits::default(), &mut |_| ()).unwrap_err();
    assert!(matches!(error, CalibrateError::Evaluate(EvalError::Empty { .. })), "{error}");
}

#[test]
fn corruptions_are_compared_with_the_original_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let source = dataset(dir.path());
    let options = Options { split: Some(Split::Test), ..Options::default() };
    let list = [Corruption::Scale(1.0), Corruption::Move([0.2, 0.0]), Corruption::Brightness(0.01)];
    let mut steps = Vec::new();
    let found = robustness(estimator(), &source, &options, &list, &mut |p| steps.push(p)).unwrap();
    assert_eq!((steps.len(), steps[7]), (8, Progress { done: 8, total: 8 }));
    let clean = evaluate(estimator(), &source, &options, &mut |_| ()).unwrap();
    assert_eq!(found.clean.metrics, clean.flip_fusion);
    let [same, moved, dark] = &found.corrupted[..] else { panic!("three lines") };
    assert_eq!((&same.metrics, same.moved), (&clean.flip_fusion, 0.0));
    assert!(moved.moved > 0.0 && moved.whole_picture == 0);
    // `evaluate` gives the same, with every picture.
    let options = Options { corruption: Some(list[1]), ..options };
    let alone = evaluate(estimator(), &source, &options, &mut |_| ()).unwrap();
    assert_eq!(alone.flip_fusion, moved.metrics);
    let distance = (alone.predictions[0].fused - clean.predictions[0].fused).abs();
    assert_eq!(moved.moved, distance);
    // No face is found in the dark; the file that is not a picture fails each time.
    assert_eq!((dark.whole_picture, dark.failures), (1, 1));
    let table = found.to_string();
    assert!(
        table.contains("brightness:0.01") && table.contains("in all lines together: 4"),
        "{table}"
    );
}

#[test]
fn invalid_requests_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let source = dataset(dir.path());
    let options = Options { split: Some(Split::Val), ..Options::default() };
    let empty = evaluate(estimator(), &source, &options, &mut |_| ()).unwrap_err();
    assert!(
        empty.to_string().contains("csv has no samples labeled with age in the val split"),
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
    let options = Options { corruption: Some(Corruption::Gray), ..Options::default() };
    let refused = evaluate(estimator(), &source, &options, &mut |_| ()).unwrap_err();
    assert!(matches!(refused, EvalError::CorruptedCache), "{refused}");
}

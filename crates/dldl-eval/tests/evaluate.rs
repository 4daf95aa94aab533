//! A made-up dataset through the whole road: what is counted, and what is refused.

use std::path::Path;

use dldl::Estimator;
use dldl_data::{Parameters, Split};
use dldl_eval::{Crops, EvalError, Options, Progress, Source, evaluate};

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
    let report = evaluate(estimator(), &source, &options, &mut |p| steps.push(p)).unwrap();
    assert_eq!(steps, [1, 2].map(|done| Progress { done, total: 2 }));
    assert_eq!((report.n, report.failures, report.n_sigma), (1, 1, 0));
    assert_eq!(report.crops, Crops { aligned: 1, whole_picture: 0 });
    assert_eq!(report.failed[0].file, "text.jpg");
    assert_eq!(report.plain.epsilon_error, None);
    let picture = dldl::decode_file(&dir.path().join("a.jpg")).unwrap();
    for (fusion, seen) in [(false, report.plain), (true, report.flip_fusion)] {
        let face = &estimator().flip_fusion(fusion).estimate(&picture).unwrap()[0];
        assert_eq!(seen.mae, Some((face.label.expectation() - 40.0).abs()));
    }
}

#[test]
fn what_cannot_be_evaluated_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let source = dataset(dir.path());
    let options = Options { split: Some(Split::Val), ..Options::default() };
    let empty = evaluate(estimator(), &source, &options, &mut |_| ()).unwrap_err();
    assert!(
        empty.to_string().contains("csv has no samples labelled with age in the split val"),
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
}

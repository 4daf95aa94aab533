//! Whole trainings of several datasets and heads: weights, balancing, accumulation, stages,
//! early stopping.

mod common;

use common::{StopAfter, cache_of, curve, epochs, recipe};
use dldl_data::Augment;
use dldl_net::Weights;
use dldl_train::config::{Phase, Val};
use dldl_train::{RunFolder, Tensor, TrainConfig, checkpoint, resume, train};

/// The numbers of a table of TOML over those of the usual recipe.
fn with(config: &TrainConfig, more: &str) -> TrainConfig {
    let mut table: toml::Table = config.to_toml().parse().unwrap();
    table.extend(more.parse::<toml::Table>().unwrap());
    TrainConfig::parse(&table.to_string(), &[]).unwrap()
}

/// A dataset with ages, another with scores of 1 to 10, a third with both.
fn both(dir: &std::path::Path) -> TrainConfig {
    let score = |age: usize| 1.0 + age as f64 / 10.0;
    let ages = cache_of(dir, "ages", "age", |age| format!("{age}"));
    cache_of(dir, "scores", "attractiveness", |age| format!("{}", score(age)));
    cache_of(dir, "all", "age,attractiveness,attractiveness_sigma", |age| {
        format!("{age},{},0.4", 1.0 + (score(age) - 1.0) * 4.0 / 9.0)
    });
    let dir = dir.display();
    let more = format!(
        "data = [{{ cache = '{dir}/ages', weight = 2.0 }}, {{ cache = '{dir}/all' }}, \
         {{ cache = '{dir}/scores', weight = 0.5, \
         rescale = {{ task = 'attractiveness', from = [1, 10], to = [1, 5] }} }}]\n\
         heads = [{{ kind = 'labels', task = 'age', labels = {{ min = 0, max = 100, step = 1 }}, sigma = 2.0 }}, \
         {{ kind = 'labels', task = 'attractiveness', sigma = 0.5, weight = 5.0, \
         labels = {{ min = 1.0, max = 5.0, step = 0.1 }} }}]\n\
         [sampling]\nbalance = 0.5\n"
    );
    with(&recipe(&ages, format!("{dir}/run").into()), &more)
}

#[test]
fn two_heads_learn_from_three_datasets_despite_interruptions() {
    let dir = tempfile::tempdir().unwrap();
    let stages = |config: TrainConfig| TrainConfig {
        phases: vec![
            Phase { accumulate: 2, ..Phase::new(32, 4, 16) },
            Phase { restart: true, reset_bias: true, trunk_lr_scale: 0.1, ..Phase::new(32, 1, 20) },
        ],
        ..config
    };
    let whole = stages(both(dir.path()));
    let summary = train(whole.clone(), &mut ()).unwrap();
    // Of 40 each: twice, once, and every other.
    assert_eq!(summary.steps, 4 * (140 / 16) + 140 / 20);
    let best = summary.best.unwrap();
    assert_eq!(best.errors.keys().collect::<Vec<_>>(), ["age", "attractiveness"]);
    let relative = best.errors["age"] / 100.0 + best.errors["attractiveness"] / 4.0;
    assert!((best.score - relative / 2.0).abs() < 1e-12);
    let records = curve(&whole);
    let epochs = epochs(&records);
    let terms: Vec<&str> = epochs[0].terms.keys().map(String::as_str).collect();
    assert_eq!(terms, ["age.kl", "age.l1", "attractiveness.kl", "attractiveness.l1"]);
    for term in terms {
        let (first, last) = (epochs[0].terms[term], epochs[3].terms[term]);
        assert!(last < first, "{term}: {first} {last}");
    }
    let files = RunFolder::new(&whole.run);
    let info = Weights::load(files.weights()).unwrap().info;
    let tasks: Vec<&str> = info.heads.iter().map(|head| head.task.name()).collect();
    assert_eq!((tasks, info.net.outputs), (vec!["age", "attractiveness"], 142));
    assert_eq!(info.figures[1].name, "val MAE of attractiveness");
    let svg = std::fs::read_to_string(files.chart()).unwrap();
    assert!(svg.contains("attractiveness (points)") && svg.contains("age (years)"));

    let pieces = TrainConfig { run: dir.path().join("pieces"), ..whole.clone() };
    train(pieces.clone(), &mut StopAfter(5)).unwrap();
    let config = TrainConfig { loader_threads: 3, prefetch: 1, ..pieces.clone() };
    resume(config, &mut StopAfter(28)).unwrap();
    resume(pieces.clone(), &mut ()).unwrap();
    assert_eq!(curve(&whole), curve(&pieces));
    let load =
        |config: &TrainConfig| checkpoint::load(&RunFolder::new(&config.run).last()).unwrap();
    assert!(load(&whole).1 == load(&pieces).1, "the tensors differ");
}

/// The head with the same task and labels keeps its outputs, the other gets random weights.
#[test]
fn heads_with_the_same_task_and_labels_are_taken_from_init() {
    let dir = tempfile::tempdir().unwrap();
    let first = both(dir.path());
    train(first.clone(), &mut ()).unwrap();
    let path = RunFolder::new(&first.run).weights_f32();
    let known = Weights::load(&path).unwrap();
    let more = format!(
        "init = '{}'\nema = 0.0\n\
         heads = [{{ kind = 'labels', task = 'attractiveness', sigma = 0.5, \
         labels = {{ min = 1.0, max = 5.0, step = 0.1 }} }}, \
         {{ kind = 'labels', task = 'age', labels = {{ min = 0, max = 90, step = 1 }}, sigma = 2.0 }}]",
        path.display()
    );
    let mut second = with(&first, &more);
    second.run = dir.path().join("second");
    train(second.clone(), &mut StopAfter(0)).unwrap();
    let tensors = checkpoint::load(&RunFolder::new(&second.run).last()).unwrap().1;
    for (name, row) in [("fc.weight", 128), ("fc.bias", 1)] {
        let Tensor { shape, values } = &tensors[name];
        assert_eq!(shape[0], 41 + 91, "{name}");
        assert_eq!(values[..41 * row], known.tensor(name)[101 * row..], "{name}");
        assert_ne!(values[41 * row..], known.tensor(name)[..91 * row], "{name}");
    }
    assert_eq!(tensors["conv4.weight"].values, known.tensor("conv4.weight"));
}

/// With the running statistics a sample's logits do not depend on the others of
/// its part, so it makes no difference in how many parts a batch comes.
#[test]
fn the_parts_of_a_batch_give_the_gradient_of_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let config = TrainConfig { augment: Augment::none(), ..both(dir.path()) };
    let weights = |accumulate, name| {
        let phase = Phase { accumulate, trunk_lr_scale: 0.0, ..Phase::new(32, 1, 32) };
        let config =
            TrainConfig { phases: vec![phase], run: dir.path().join(name), ..config.clone() };
        train(config.clone(), &mut ()).unwrap();
        checkpoint::load(&RunFolder::new(&config.run).last()).unwrap().1
    };
    let (whole, parts) = (weights(1, "one"), weights(4, "four"));
    for name in ["fc.weight", "adam.v.fc.weight", "fc.bias"] {
        let (a, b) = (&whole[name].values, &parts[name].values);
        let most = a.iter().fold(0f32, |m, v| m.max(v.abs()));
        let off = a.iter().zip(b).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
        assert!(most > 0.0 && off < 1e-4 * most, "{name}: {off} of {most}");
    }
    assert_eq!(whole["conv4.weight"], parts["conv4.weight"]);
    assert_eq!(whole["bn4.running_var"], parts["bn4.running_var"]);
}

#[test]
fn a_training_without_improvement_stops_early() {
    let dir = tempfile::tempdir().unwrap();
    let config = TrainConfig {
        phases: vec![Phase::new(32, 300, 40)],
        learning_rate: 1e-12,
        patience: 2,
        ema: 0.0,
        ..recipe(
            &cache_of(dir.path(), "ages", "age", |age| format!("{age}")),
            dir.path().join("run"),
        )
    };
    let summary = train(config.clone(), &mut ()).unwrap();
    assert!(summary.finished && summary.weights.is_some());
    let best = summary.best.unwrap().epoch;
    assert!(summary.steps < 300 && summary.steps == best + 2, "{} {best}", summary.steps);
    // Resuming it does not train any further.
    assert_eq!(resume(config, &mut ()).unwrap().steps, summary.steps);
}

#[test]
fn without_validation_the_val_split_is_trained_on() {
    let dir = tempfile::tempdir().unwrap();
    let ages = cache_of(dir.path(), "ages", "age", |age| format!("{age}"));
    let config = TrainConfig {
        val: Val::None,
        phases: vec![Phase::new(32, 2, 8)],
        ..recipe(&ages, dir.path().join("run"))
    };
    let summary = train(config.clone(), &mut ()).unwrap();
    // 40 samples of the train split and 8 of val.
    assert_eq!((summary.steps, summary.best), (2 * 48 / 8, None));
    assert!(Weights::load(RunFolder::new(&config.run).weights()).is_ok());
    let records = curve(&config);
    assert!(epochs(&records).iter().all(|epoch| epoch.val_loss.is_none()));
}

/// A student without labels learns its teacher's answers, on the augmented crops of any size.
#[test]
fn a_model_teaches_on_the_same_crops() {
    let dir = tempfile::tempdir().unwrap();
    let ages = cache_of(dir.path(), "ages", "age", |age| format!("{age}"));
    let teacher = TrainConfig {
        phases: vec![Phase::new(32, 12, 8)],
        ..recipe(&ages, dir.path().join("teacher"))
    };
    train(teacher.clone(), &mut ()).unwrap();
    let model = RunFolder::new(&teacher.run).weights();
    // Pictures of which only the names are known.
    let root = dir.path().join("pictures");
    let names: String = (0..40).map(|i| format!("{i}.bmp\n")).collect();
    std::fs::write(dir.path().join("pictures.txt"), names).unwrap();
    let list = dldl_data::load("list", &root, Some(&dir.path().join("pictures.txt"))).unwrap();
    let parameters =
        dldl_data::Parameters { crop_size: 48, detector: None, ..dldl_data::Parameters::default() };
    let unlabeled = dir.path().join("unlabeled");
    dldl_data::prepare(&list, &unlabeled, &parameters, 1, &|_| {}).unwrap();
    let more = format!(
        "data = [{{ cache = '{}' }}]\nheads = [{{ kind = 'labels', task = 'age', sigma = 2.0, \
         labels = {{ min = 0, max = 100, step = 1 }}, \
         teacher = {{ models = ['{}'], size = 64 }} }}]\n",
        unlabeled.display(),
        model.display()
    );
    let student = TrainConfig {
        run: dir.path().join("student"),
        phases: vec![Phase::new(32, 4, 8)],
        ..with(&teacher, &more)
    };
    let summary = train(student.clone(), &mut ()).unwrap();
    // One picture in ten of a list is in the val split.
    assert_eq!(summary.steps, 4 * (36 / 8));
    let records = curve(&student);
    let epochs = epochs(&records);
    assert!(epochs[3].loss < 0.8 * epochs[0].loss, "{} {}", epochs[0].loss, epochs[3].loss);

    let pieces = TrainConfig { run: dir.path().join("pieces"), ..student.clone() };
    train(pieces.clone(), &mut StopAfter(7)).unwrap();
    resume(TrainConfig { loader_threads: 3, ..pieces.clone() }, &mut ()).unwrap();
    assert_eq!(curve(&student), curve(&pieces));

    // Without the teacher there is nothing to learn.
    let alone = format!(
        "data = [{{ cache = '{}' }}]\nheads = [{{ kind = 'labels', task = 'age', sigma = 2.0, \
         labels = {{ min = 0, max = 100, step = 1 }} }}]\n",
        unlabeled.display()
    );
    let config = TrainConfig { run: dir.path().join("alone"), ..with(&teacher, &alone) };
    let message = train(config, &mut ()).unwrap_err().to_string();
    assert!(message.contains("fewer than two samples"), "{message}");
}

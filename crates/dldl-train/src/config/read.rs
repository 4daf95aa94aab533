//! From TOML to a [`TrainConfig`]: short forms, and overrides by key.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::TrainConfig;
use crate::error::TrainError;

/// The fields of the only head that may stand at the top level.
const HEAD_FIELDS: [&str; 8] =
    ["task", "labels", "sigma", "spread", "min_sigma", "ranges", "teacher", "method"];

impl TrainConfig {
    /// The configuration with defaults for everything but the two paths.
    pub fn new(cache: impl Into<PathBuf>, run: impl Into<PathBuf>) -> Self {
        let text = |path: PathBuf| Value::String(path.to_string_lossy().into_owned());
        let table = Table::from_iter([
            ("cache".to_owned(), text(cache.into())),
            ("run".to_owned(), text(run.into())),
        ]);
        let table = expanded(table).and_then(|table| completed(table, "labels"));
        let table = table.expect("the short form of one head");
        table.try_into().expect("every other field has a default")
    }

    /// Reads and checks a TOML file, with `overrides` as for [`parse`](Self::parse).
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML, or has an unknown field or an invalid
    /// value.
    pub fn load(path: &Path, overrides: &[(String, String)]) -> Result<Self, TrainError> {
        Self::read(path, overrides, "labels")
    }

    /// As [`load`](Self::load), for a recipe whose default head learns identities.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_pretraining(
        path: &Path,
        overrides: &[(String, String)],
    ) -> Result<Self, TrainError> {
        Self::read(path, overrides, "identity")
    }

    fn read(path: &Path, overrides: &[(String, String)], head: &str) -> Result<Self, TrainError> {
        let text = std::fs::read_to_string(path).map_err(|e| TrainError::io(path, e))?;
        parsed(&text, overrides, head).map_err(|what| TrainError::Recipe {
            path: path.into(),
            source: Box::new(TrainError::Config(what)),
        })
    }

    /// Parses and checks a recipe. Each override is a key, with dots between tables and
    /// indices for entries of lists (`phases.0.size`), and a value as in TOML or a string
    /// without its quotes.
    ///
    /// # Errors
    /// [`TrainError::Config`], as for [`load`](Self::load).
    pub fn parse(text: &str, overrides: &[(String, String)]) -> Result<Self, TrainError> {
        parsed(text, overrides, "labels").map_err(TrainError::Config)
    }
}

fn parsed(text: &str, overrides: &[(String, String)], head: &str) -> Result<TrainConfig, String> {
    let message = |e: toml::de::Error| e.to_string().trim().to_owned();
    let mut table = Value::Table(expanded(text.parse::<Table>().map_err(message)?)?);
    for (key, value) in overrides {
        let full = full_key(&table, key);
        full.and_then(|full| set(&mut table, &full, value))
            .map_err(|what| format!("{key}: {what}"))?;
    }
    let Value::Table(table) = table else { unreachable!("the recipe is a table") };
    let config: TrainConfig = completed(table, head)?.try_into().map_err(message)?;
    config.check().map_err(|e| match e {
        TrainError::Config(what) => what,
        other => other.to_string(),
    })?;
    Ok(config)
}

/// The full key of a short form.
fn full_key(table: &Value, key: &str) -> Result<String, String> {
    let first = key.split('.').next().unwrap_or_default();
    let list = match first {
        "cache" => "data",
        _ if HEAD_FIELDS.contains(&first) => "heads",
        _ => return Ok(key.to_owned()),
    };
    match table.get(list).and_then(Value::as_array).map_or(0, Vec::len) {
        0 | 1 => Ok(format!("{list}.0.{key}")),
        count => Err(format!("there are {count} {list}: write which, as in {list}.0.{key}")),
    }
}

/// Sets the value at `key`; missing tables on the way are created.
fn set(mut at: &mut Value, key: &str, value: &str) -> Result<(), String> {
    // A value alone is not a TOML document, but `x = VALUE` is. Anything else is a string.
    let value = match format!("x = {value}").parse::<Table>() {
        Ok(mut table) if table.len() == 1 => table.remove("x"),
        _ => None,
    }
    .unwrap_or_else(|| Value::String(value.to_owned()));
    for part in key.split('.') {
        at = match at {
            Value::Array(list) => {
                if list.is_empty() {
                    list.push(Value::Table(Table::new()));
                }
                let count = list.len();
                let entry = part.parse::<usize>().ok().and_then(|i| list.get_mut(i));
                entry.ok_or_else(|| format!("no entry {part} in a list of {count}"))?
            }
            Value::Table(table) => table.entry(part).or_insert_with(|| Value::Table(Table::new())),
            _ => return Err(format!("{part} is not in a table or list")),
        };
    }
    *at = value;
    Ok(())
}

/// Expands the short forms into lists.
fn expanded(mut table: Table) -> Result<Table, String> {
    let mut short = Table::new();
    for field in HEAD_FIELDS {
        short.extend(table.remove(field).map(|value| (field.to_owned(), value)));
    }
    if let (Some(field), true) = (short.keys().next(), table.contains_key("heads")) {
        return Err(format!("{field} belongs in [[heads]] if the recipe has them"));
    }
    let cache = table.remove("cache");
    if cache.is_some() && table.contains_key("data") {
        return Err("cache is short for [[data]]: give only one of them".into());
    }
    let cache = Table::from_iter(cache.map(|cache| ("cache".to_owned(), cache)));
    for (list, only) in [("data", cache), ("heads", short), ("phases", Table::new())] {
        let only = (!only.is_empty()).then_some(Value::Table(only));
        table.entry(list).or_insert_with(|| Value::Array(only.into_iter().collect()));
    }
    Ok(table)
}

/// Fills in defaults that depend on other values; `head` is the kind of the only head if
/// the recipe has none.
fn completed(mut table: Table, head: &str) -> Result<Table, String> {
    let is_empty =
        |table: &Table, list| matches!(table.get(list), Some(Value::Array(l)) if l.is_empty());
    if is_empty(&table, "heads") {
        let only = Table::from_iter([("kind".to_owned(), Value::String(head.into()))]);
        table.insert("heads".into(), Value::Array(vec![Value::Table(only)]));
    }
    for list in ["data", "phases"] {
        // An empty list means the default.
        if is_empty(&table, list) {
            table.remove(list);
        }
    }
    let heads = table.get_mut("heads").and_then(Value::as_array_mut);
    for head in heads.into_iter().flatten().filter_map(Value::as_table_mut) {
        complete(head)?;
    }
    Ok(table)
}

/// Fills in a head's kind and the defaults of its task.
fn complete(head: &mut Table) -> Result<(), String> {
    let kind = head.entry("kind").or_insert_with(|| Value::String("labels".into()));
    if kind.as_str() != Some("labels") {
        return Ok(());
    }
    let task = head.entry("task").or_insert_with(|| Value::String("age".into()));
    let task = task.as_str().unwrap_or_default().to_owned();
    let range = |min: f64, max: f64, step: f64| {
        let pairs = [("min", min), ("max", max), ("step", step)];
        Value::Table(pairs.into_iter().map(|(k, v)| (k.to_owned(), Value::Float(v))).collect())
    };
    if let Some(Value::String(model)) = head.get("teacher") {
        let models = Value::Array(vec![Value::String(model.clone())]);
        head.insert("teacher".into(), Value::Table(Table::from_iter([("models".into(), models)])));
    }
    if task == "age" {
        head.entry("labels").or_insert_with(|| range(0.0, 100.0, 1.0));
        head.entry("sigma").or_insert(Value::Float(2.0));
    }
    for (field, example) in
        [("labels", "labels = { min = 1.0, max = 5.0, step = 0.1 }"), ("sigma", "sigma = 0.5")]
    {
        if !head.contains_key(field) {
            return Err(format!("the head of {task} needs {field}, such as {example}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{HeadConfig, Phase, Sigma};

    fn pairs(overrides: &[(&str, &str)]) -> Vec<(String, String)> {
        overrides.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn the_short_form_round_trips() {
        let text = "cache = 'c.tar'\nrun = 'r/x'\nlearning_rate = 2e-3\n\
            [method]\nname = 'dldl-v2'\n[[phases]]\nsize = 96\nepochs = 16\n";
        let config = TrainConfig::parse(text, &[]).unwrap();
        assert_eq!(config.phases, [Phase::new(96, 16, 64)]);
        assert_eq!(config.model_name(), "x");
        assert_eq!(config.data[0].cache, Path::new("c.tar"));
        assert_eq!(TrainConfig::parse(&config.to_toml(), &[]).unwrap(), config);
        assert_eq!(
            TrainConfig { phases: config.phases.clone(), ..TrainConfig::new("c.tar", "r/x") },
            TrainConfig { learning_rate: 1e-3, ..config }
        );
    }

    #[test]
    fn several_datasets_and_heads_round_trip() {
        let text = "run = 'r'\n[[data]]\ncache = 'a'\n[[data]]\ncache = 'b'\nweight = 2.5\n\
            rescale = { task = 'attractiveness', from = [1, 10], to = [1, 5] }\n\
            [[heads]]\ntask = 'age'\n[[heads]]\ntask = 'attractiveness'\nsigma = 0.5\n\
            labels = { min = 1.0, max = 5.0, step = 0.1 }\nweight = 5.0\nspread = 'fixed'\n";
        let config = TrainConfig::parse(text, &[]).unwrap();
        assert_eq!(config.spec().outputs, 142);
        let names: Vec<&str> = config.heads.iter().map(HeadConfig::name).collect();
        assert_eq!(names, ["age", "attractiveness"]);
        assert_eq!(TrainConfig::parse(&config.to_toml(), &[]).unwrap(), config);
    }

    #[test]
    fn overrides_reach_every_value() {
        let text = "cache = 'c'\nrun = 'r'\n[[phases]]\nsize = 96\nepochs = 16\n";
        let overrides = pairs(&[
            ("run", "runs/other"),
            ("phases.0.size", "64"),
            ("optimizer.weight_decay", "0.05"),
            ("sigma", "3.5"),
            ("net", "{ stages = [[16], [16]], pooling = \"average\" }"),
            ("schedule", "{ kind = \"cosine\", warmup = 2.0 }"),
        ]);
        let config = TrainConfig::parse(text, &overrides).unwrap();
        assert_eq!((config.phases[0].size, config.optimizer.weight_decay), (64, 0.05));
        assert_eq!(config.run, Path::new("runs/other"));
        assert!(matches!(config.heads[0], HeadConfig::Labels { sigma: Sigma::One(3.5), .. }));
        assert_eq!(config.spec().size_step(), 4);
        // Short forms reach the full ones, and missing entries are created.
        let long = "run = 'r'\n[[data]]\ncache = 'c'\nweight = 2.0\n[[heads]]\ntask = 'age'\n";
        let more = [("cache", "d"), ("sigma", "3.5"), ("phases.0", "{ size = 64, epochs = 3 }")];
        let config = TrainConfig::parse(long, &pairs(&more)).unwrap();
        assert_eq!((config.data[0].weight, config.data[0].cache.to_str()), (2.0, Some("d")));
        assert!(matches!(config.heads[0], HeadConfig::Labels { sigma: Sigma::One(3.5), .. }));
        assert_eq!(config.phases, [Phase::new(64, 3, 64)]);
        let config = TrainConfig::parse("run = 'r'", &pairs(&[("cache", "d")])).unwrap();
        assert_eq!(config, TrainConfig::new("d", "r"));
        let two = format!("{long}[[heads]]\ntask = 'attractiveness'\n");
        let message = TrainConfig::parse(&two, &pairs(&[("sigma", "1.0")])).unwrap_err();
        assert!(message.to_string().contains("write which, as in heads.0.sigma"), "{message}");
        for (key, value, part) in [
            ("phases.1.size", "64", "no entry 1"),
            ("phases.0.sise", "64", "sise"),
            ("run.x", "1", "not in a table"),
            ("learning_rate", "fast", "learning_rate"),
        ] {
            let message = TrainConfig::parse(text, &pairs(&[(key, value)])).unwrap_err();
            assert!(message.to_string().contains(part), "{key}: {message}");
        }
    }

    #[test]
    fn sigma_may_depend_on_the_label() {
        let text = "cache = 'c'\nrun = 'r'\nsigma = [[1, 0.6], [25, 4.0]]\n";
        let config = TrainConfig::parse(text, &[]).unwrap();
        let points = Sigma::ByLabel(vec![[1.0, 0.6], [25.0, 4.0]]);
        assert!(matches!(&config.heads[0], HeadConfig::Labels { sigma, .. } if *sigma == points));
        assert_eq!(TrainConfig::parse(&config.to_toml(), &[]).unwrap(), config);
        let one = TrainConfig::parse(text, &pairs(&[("sigma", "3")])).unwrap();
        assert!(matches!(one.heads[0], HeadConfig::Labels { sigma: Sigma::One(3.0), .. }));
    }

    #[test]
    fn a_teacher_is_models_or_distributions() {
        let teacher = |text: &str| {
            let text = format!("cache = 'c'\nrun = 'r'\nteacher = {text}\n");
            TrainConfig::parse(&text, &[]).map(|config| match config.heads.into_iter().next() {
                Some(HeadConfig::Labels { teacher, .. }) => teacher.unwrap(),
                other => panic!("{other:?}"),
            })
        };
        let short = teacher("'runs/thin/model.safetensors'").unwrap();
        let long = "{ models = ['runs/thin/model.safetensors'], weight = 0.5 }";
        assert_eq!(short, teacher(long).unwrap());
        assert!(teacher("{ distributions = 'a.npy', list = 'a.txt', sigma = 3 }").is_ok());
        for (text, part) in [
            ("{ weight = 0.5 }", "either models"),
            ("{ distributions = 'a.npy' }", "either models"),
            ("{ models = ['m'], distributions = 'a.npy', list = 'a.txt' }", "either models"),
            ("{ models = ['m'], sigma = 3 }", "sigma to distributions"),
            ("{ distributions = 'a.npy', list = 'a.txt', size = 64 }", "size belongs to models"),
            ("{ models = ['m'], weight = 1.5 }", "weight must be above 0"),
        ] {
            let message = teacher(text).unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
        let message = TrainConfig::parse("cache = 'c'\nrun = 'r'\nval = 'all'\n", &[]);
        assert!(message.unwrap_err().to_string().contains("expected `split` or `none`"));
    }

    /// Those of docs/training.md, the two stages of specification 2.5 among them.
    #[test]
    fn recipes_of_the_documentation_parse() {
        let docs = include_str!("../../../../docs/training.md");
        let blocks = docs.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        let configs: Vec<TrainConfig> =
            blocks.map(|text| TrainConfig::parse(text, &[]).unwrap()).collect();
        let [short, both, paper] = &configs[..] else { panic!("{} recipes", configs.len()) };
        assert_eq!(*short, TrainConfig::new("cache/mine", "runs/mine"));
        assert_eq!((both.data.len(), both.spec().outputs), (3, 101 + 41));
        let [first, second] = &paper.phases[..] else { panic!("two phases") };
        let dldl = Some(dldl_label::Method::Dldl);
        assert_eq!((first.batch, first.epochs, first.method), (128, 60, dldl));
        assert!(second.restart && second.reset_bias && second.method.is_none());
    }

    #[test]
    fn recipes_of_the_models_parse() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../recipes");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut names = Vec::new();
        for path in files.filter(|path| path.extension().is_some_and(|e| e == "toml")) {
            let config = TrainConfig::load(&path, &[]).unwrap();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            assert_eq!(config.model_name(), name);
            assert!(config.run.ends_with(&name) && !config.license.is_empty(), "{name}");
            names.push(name);
        }
        assert!(names.contains(&"tiny".to_owned()), "{names:?}");
    }

    #[test]
    fn unknown_fields_and_invalid_values_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bad.toml");
        for (text, word) in [
            ("cache = 'c'\nrun = 'r'\nlearningrate = 1.0\n", "learningrate"),
            ("cache = 'c'\nrun = 'r'\n[[phases]]\nsize = 100\nepochs = 1\n", "multiple of 32"),
            ("cache = 'c'\nrun = 'r'\n[augment]\nflip = 2.0\n", "flip"),
            ("cache = 'c'\nrun = 'r'\n[schedule]\nkind = 'one-cycle'\nrise = 1.5\n", "rise"),
            ("run = 'r'\n", "data"),
            ("cache = 'c'\nrun = 'r'\ntask = 'attractiveness'\n", "labels"),
            ("cache = 'c'\nrun = 'r'\nsigma = 2\n[[heads]]\ntask = 'age'\n", "sigma belongs"),
            ("cache = 'c'\nrun = 'r'\nsigma = [[9, 2], [1, 1]]\n", "in the order"),
            ("cache = 'c'\nrun = 'r'\nsigma = 'wide'\n", "points such as"),
            ("cache = 'c'\nrun = 'r'\n[[heads]]\n[[heads]]\ntask = 'age'\n", "two heads"),
            ("cache = 'c'\nrun = 'r'\n[sampling]\nbalance = 3.0\n", "balance"),
            (
                "cache = 'c'\nrun = 'r'\n[[phases]]\nsize = 32\nepochs = 1\ntrunk_lr_scale = 0.0\n\
                 head_lr_scale = 0.0\n",
                "nothing would be trained",
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = TrainConfig::load(&path, &[]).unwrap_err();
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert!(error.to_string().contains("bad.toml"), "{error}");
            assert!(cause.contains(word), "{cause}");
        }
    }
}

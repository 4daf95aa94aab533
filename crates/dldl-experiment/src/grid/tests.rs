//! What grids resolve to, and which files are refused.

use std::error::Error;

use super::*;
use dldl_label::{Method, Task};

/// The trainings of a file's text.
pub fn trials_of(text: &str) -> Vec<Trial> {
    trials(&Spec::parse(text).unwrap()).unwrap()
}

/// The grid of a file's text.
pub fn grid_of(text: &str) -> Grid {
    let spec = Spec::parse(text).unwrap();
    Grid { path: "experiments/x.toml".into(), trials: trials(&spec).unwrap(), spec }
}

const FILE: &str = "name = 'x'\n[recipe]\ncache = 'c'\nphases = [{ size = 64, epochs = 3 }]\n\
    [[axis]]\nname = 'method'\nvalues = [{ label = 'KL', set = { method = { name = 'dldl' } } },\n\
    { label = 'KL + L1', set = { method = { name = 'dldl-v2', lambda = 0.5 } } }]\n\
    [[axis]]\nname = 'seed'\nover = true\nvalues = [7, 8]\n\
    [[axis]]\nname = 'size'\nkey = 'phases.0.size'\nvalues = [64, 96]\n";

#[test]
fn all_lines_run_with_the_first_seed_before_the_second() {
    let trials = trials_of(FILE);
    let names: Vec<&str> = trials.iter().map(|t| t.name.as_str()).collect();
    let of = |seed: u64| {
        ["kl_S_64", "kl_S_96", "kl-l1_S_64", "kl-l1_S_96"]
            .map(|name| name.replace('S', &seed.to_string()))
    };
    assert_eq!(names, [of(7), of(8)].concat());
    for trial in &trials {
        let HeadConfig::Labels { method, .. } = &trial.config.heads[0] else { panic!() };
        let l1 = trial.labels["method"] == "KL + L1";
        let lambda = if let Method::DldlV2 { lambda, .. } = method { Some(*lambda) } else { None };
        assert_eq!(lambda, l1.then_some(0.5));
        assert_eq!(trial.config.seed.to_string(), trial.labels["seed"]);
        assert_eq!(trial.config.phases[0].size.to_string(), trial.labels["size"]);
        assert_eq!(trial.config.phases[0].epochs, 3);
        assert_eq!(trial.config.run, Path::new("runs/experiments/x").join(&trial.name));
    }
}

#[test]
fn tests_default_to_the_recipe_and_can_be_set_by_axes() {
    let text = "name = 'x'\n[recipe]\ncache = 'c'\n[[axis]]\nname = 'fold'\nover = true\n\
        values = [{ label = '1', set = { cache = 'c1' } },\n\
        { label = '2', set = { cache = 'c2', 'test.1.root' = 'other2', 'test.split' = 'val' } }]\n\
        [[test]]\nname = 'own'\n[[test]]\nname = 'other'\nroot = 'other1'\n";
    let trials = trials_of(text);
    let tests = |trial: &Trial| -> Vec<(String, String)> {
        let root = |t: &Test| t.root.as_ref().unwrap().display().to_string();
        trial.tests.iter().map(|t| (root(t), t.split.clone())).collect()
    };
    let pair = |root: &str, split: &str| (root.to_owned(), split.to_owned());
    assert_eq!(tests(&trials[0]), [pair("c1", "test"), pair("other1", "test")]);
    assert_eq!(tests(&trials[1]), [pair("c2", "val"), pair("other2", "val")]);
    assert_eq!(trials[0].tests[0].task, Some(Task::Age));
}

#[test]
fn trials_are_selected_by_label() {
    let grid = grid_of(FILE);
    let names = |only: &[&str]| -> Result<Vec<&str>, String> {
        let only: Vec<String> = only.iter().map(|s| (*s).to_owned()).collect();
        let trials = grid.select(&only).map_err(|e| e.to_string())?;
        Ok(trials.into_iter().map(|t| t.name.as_str()).collect())
    };
    assert_eq!(names(&[]).unwrap().len(), 8);
    assert_eq!(names(&["kl", "seed=8"]).unwrap(), ["kl_8_64", "kl_8_96"]);
    assert_eq!(names(&["KL", "KL + L1", "size=96", "7"]).unwrap(), ["kl_7_96", "kl-l1_7_96"]);
    assert!(names(&["KL2"]).unwrap_err().contains("method: KL, KL + L1; seed: 7, 8"));
}

fn error_of(text: &str) -> SpecError {
    let result = Spec::parse(text).and_then(|spec| trials(&spec));
    result.err().unwrap_or_else(|| panic!("{text} is accepted"))
}

fn with(more: &str) -> String {
    format!("name = 'x'\n[recipe]\ncache = 'c'\n{more}")
}

#[test]
fn invalid_files_are_refused_with_the_place() {
    let refused = |text: &str, part: &str| {
        let error = error_of(text);
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        let message = format!("{error}: {cause}");
        assert!(message.contains(part), "{message}\n{part}");
    };
    refused("name = 'a/b'\n[recipe]\n", "name");
    refused("name = 'x'\nrecipes = 1\n[recipe]\n", "recipes");
    refused("name = 'x'\n[recipe]\nseed = 1\n", "data");
    refused(&with("[[axis]]\nname = 'seed'\nvalues = []\n"), "seed has no values");
    refused(&with("[[axis]]\nname = 'x'\nvalues = [{ name = 1 }]\n"), "label");
    refused(&with("[[axis]]\nname = 'x'\nkey = 'sede'\nvalues = [1]\n"), "recipe of 1: ");
    refused(&with("[[axis]]\nname = 'x'\nkey = 'sede'\nvalues = [1]\n"), "sede");
    refused(&with("[[axis]]\nname = 'x'\nkey = 'seed'\nvalues = [1, '1.']\n"), "invalid type");
    refused(&with("[[test]]\n[[test]]\n"), "own name");
    refused(&with("[[test]]\nsplit = 'trian'\n"), "trian");
    refused(&with("[[test]]\ndataset = 'utkfaces'\n"), "utkfaces");
    refused(&with("[[test]]\ncolumns = ['mea']\n"), "unknown metric `mea`: expected one of mae, ");
    refused(&with("[[reference]]\nlabel = 'a'\nsource = ''\nfigures.mea = 1.0\n"), "mea");
    let other = "[[reference]]\nlabel = 'a'\nsource = ''\ntest = 'b'\nfigures.mae = 1.0\n";
    refused(&with(other), "there is no test named `b`");
    let axis = "[[axis]]\nname = 'x'\nvalues = [{ label = 'l', set = { 'test.3.root' = 'r' } }]\n";
    refused(&with(axis), "no test 3");
}

#[test]
fn labels_that_are_no_folder_names_are_refused() {
    let axis = |labels: &[&str]| {
        let value = |label: &&str| format!("{{ label = '{label}', set = {{}} }}");
        let values = labels.iter().map(value).collect::<Vec<_>>().join(", ");
        with(&format!("[[axis]]\nname = 'a'\nvalues = [{values}]\n"))
    };
    for (label, folder) in [("", ""), ("+", ""), (" - ", ""), (".", "."), ("(..)", "..")] {
        match error_of(&axis(&["ok", label])) {
            SpecError::Label { axis, label: l, folder: f } => {
                assert_eq!((axis.as_str(), l.as_str(), f.as_str()), ("a", label, folder));
            }
            e => panic!("{label}: {e}"),
        }
    }
    for (first, second, folder) in [("a b", "A-b", "a-b"), ("1/4", "1:4", "1-4"), ("x", "x", "x")] {
        match error_of(&axis(&[first, second])) {
            SpecError::DuplicateLabel { first: a, second: b, folder: f, .. } => {
                assert_eq!((a.as_str(), b.as_str(), f.as_str()), (first, second, folder));
            }
            e => panic!("{first}, {second}: {e}"),
        }
    }
    // Path separators cannot leave the folder of the experiment.
    let trials = trials_of(&axis(&["../../etc", "/"]).replace("'/'", "'/x'"));
    let names: Vec<&str> = trials.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["..-..-etc", "x"]);
}

#[test]
fn run_folders_cannot_leave_the_folder_of_the_experiment() {
    for name in ["", ".", ".."] {
        let error = error_of(&format!("name = '{name}'\n[recipe]\ncache = 'c'\n"));
        assert!(matches!(&error, SpecError::Name { name: n } if n == name), "{error}");
    }
    for more in [
        "run = 'r'\n",
        "[[axis]]\nname = 'run'\nvalues = ['a']\n",
        "[[axis]]\nname = 'x'\nkey = 'run'\nvalues = ['a']\n",
        "[[axis]]\nname = 'x'\nvalues = [{ label = 'a', set = { run = '/home' } }]\n",
    ] {
        let error = error_of(&with(more));
        assert!(matches!(error, SpecError::RunFolder { .. }), "{error}");
    }
}

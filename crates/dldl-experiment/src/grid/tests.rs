//! Grids of files by hand: what they resolve to, and what is refused.

use super::*;
use dldl_label::{Method, Task};

/// The trainings of a file's text.
pub fn cells_of(text: &str) -> Vec<Cell> {
    cells(&Spec::parse(text).unwrap()).unwrap()
}

/// The grid of a file's text.
pub fn grid_of(text: &str) -> Grid {
    let spec = Spec::parse(text).unwrap();
    Grid { path: "experiments/x.toml".into(), cells: cells(&spec).unwrap(), spec }
}

const FILE: &str = "name = 'x'\n[recipe]\ncache = 'c'\nphases = [{ size = 64, epochs = 3 }]\n\
    [[axis]]\nname = 'method'\nvalues = [{ label = 'KL', set = { method = { name = 'dldl' } } },\n\
    { label = 'KL + L1', set = { method = { name = 'dldl-v2', lambda = 0.5 } } }]\n\
    [[axis]]\nname = 'seed'\nover = true\nvalues = [7, 8]\n\
    [[axis]]\nname = 'size'\nkey = 'phases.0.size'\nvalues = [64, 96]\n";

#[test]
fn every_line_is_compared_with_the_first_seed_before_the_second() {
    let cells = cells_of(FILE);
    let names: Vec<&str> = cells.iter().map(|c| c.name.as_str()).collect();
    let of = |seed: u64| {
        ["kl_S_64", "kl_S_96", "kl-l1_S_64", "kl-l1_S_96"]
            .map(|name| name.replace('S', &seed.to_string()))
    };
    assert_eq!(names, [of(7), of(8)].concat());
    for cell in &cells {
        let HeadConfig::Labels { method, .. } = &cell.config.heads[0] else { panic!() };
        let l1 = cell.labels["method"] == "KL + L1";
        let lambda = if let Method::DldlV2 { lambda, .. } = method { Some(*lambda) } else { None };
        assert_eq!(lambda, l1.then_some(0.5));
        assert_eq!(cell.config.seed.to_string(), cell.labels["seed"]);
        assert_eq!(cell.config.phases[0].size.to_string(), cell.labels["size"]);
        assert_eq!(cell.config.phases[0].epochs, 3);
        assert_eq!(cell.config.run, Path::new("runs/experiments/x").join(&cell.name));
    }
}

#[test]
fn tests_follow_the_recipe_and_can_be_set() {
    let text = "name = 'x'\n[recipe]\ncache = 'c'\n[[axis]]\nname = 'fold'\nover = true\n\
        values = [{ label = '1', set = { cache = 'c1' } },\n\
        { label = '2', set = { cache = 'c2', 'test.1.root' = 'other2', 'test.split' = 'val' } }]\n\
        [[test]]\nname = 'own'\n[[test]]\nname = 'other'\nroot = 'other1'\n";
    let cells = cells_of(text);
    let places = |cell: &Cell| -> Vec<(String, String)> {
        let root = |t: &Test| t.root.as_ref().unwrap().display().to_string();
        cell.tests.iter().map(|t| (root(t), t.split.clone())).collect()
    };
    let pair = |root: &str, split: &str| (root.to_owned(), split.to_owned());
    assert_eq!(places(&cells[0]), [pair("c1", "test"), pair("other1", "test")]);
    assert_eq!(places(&cells[1]), [pair("c2", "val"), pair("other2", "val")]);
    assert_eq!(cells[0].tests[0].task, Some(Task::Age));
}

#[test]
fn selections_are_by_label() {
    let grid = grid_of(FILE);
    let names = |only: &[&str]| -> Result<Vec<&str>, String> {
        let only: Vec<String> = only.iter().map(|s| (*s).to_owned()).collect();
        let cells = grid.select(&only).map_err(|e| e.to_string())?;
        Ok(cells.into_iter().map(|c| c.name.as_str()).collect())
    };
    assert_eq!(names(&[]).unwrap().len(), 8);
    assert_eq!(names(&["kl", "seed=8"]).unwrap(), ["kl_8_64", "kl_8_96"]);
    assert_eq!(names(&["KL", "KL + L1", "size=96", "7"]).unwrap(), ["kl_7_96", "kl-l1_7_96"]);
    assert!(names(&["KL2"]).unwrap_err().contains("method: KL, KL + L1; seed: 7, 8"));
}

#[test]
fn what_makes_no_sense_is_named_before_anything_runs() {
    let refused = |text: &str, part: &str| {
        let found = Spec::parse(text).and_then(|spec| cells(&spec)).err();
        let found = found.unwrap_or_else(|| panic!("{text} passes"));
        assert!(found.contains(part), "{found}\n{part}");
    };
    let with = |more: &str| format!("name = 'x'\n[recipe]\ncache = 'c'\n{more}");
    refused("name = 'a/b'\n[recipe]\n", "name");
    refused("name = 'x'\nrecipes = 1\n[recipe]\n", "recipes");
    refused("name = 'x'\n[recipe]\nseed = 1\n", "data");
    refused(&with("run = 'r'\n"), "run is chosen");
    refused(&with("[[axis]]\nname = 'seed'\nvalues = []\n"), "seed: it has no values");
    refused(&with("[[axis]]\nname = 'seed'\nvalues = [1, 1]\n"), "two values are called 1");
    refused(&with("[[axis]]\nname = 'x'\nvalues = [{ name = 1 }]\n"), "label");
    refused(&with("[[axis]]\nname = 'x'\nkey = 'sede'\nvalues = [1]\n"), "1: ");
    refused(&with("[[axis]]\nname = 'x'\nkey = 'sede'\nvalues = [1]\n"), "sede");
    refused(&with("[[axis]]\nname = 'x'\nkey = 'seed'\nvalues = [1, '1.']\n"), "invalid type");
    let labels = "values = [{ label = 'a b', set = {} }, { label = 'a-b', set = {} }]\n";
    refused(&with(&format!("[[axis]]\nname = 'x'\n{labels}")), "folder a-b");
    refused(&with("[[test]]\n[[test]]\n"), "a name each");
    refused(&with("[[test]]\nsplit = 'trian'\n"), "trian");
    refused(&with("[[test]]\ndataset = 'utkfaces'\n"), "utkfaces");
    refused(&with("[[test]]\ncolumns = ['mea']\n"), "mea is none of mae, ");
    refused(&with("[[reference]]\nlabel = 'a'\nsource = ''\nfigures.mea = 1.0\n"), "mea");
    let other = "[[reference]]\nlabel = 'a'\nsource = ''\ntest = 'b'\nfigures.mae = 1.0\n";
    refused(&with(other), "there is no test b");
    let axis = "[[axis]]\nname = 'x'\nvalues = [{ label = 'l', set = { 'test.3.root' = 'r' } }]\n";
    refused(&with(axis), "no test 3");
}

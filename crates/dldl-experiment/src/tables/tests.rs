//! Tables made of rows by hand.

use std::collections::BTreeMap;

use super::*;
use crate::grid::essence;
use crate::grid::tests::grid_of;
use crate::rows::{Measured, Training};

const FILE: &str = "name = 'x'\ntitle = 'A & B'\ntraining = ['val']\n[recipe]\ncache = 'c'\n\
    [[axis]]\nname = 'lambda'\n\
    values = [{ label = '0|1', set = { method = { name = 'dldl' } } },\n\
    { label = '0_5', set = { method = { name = 'dldl-v2', lambda = 0.5 } } }]\n\
    [[axis]]\nname = 'seed'\nover = true\nvalues = [1, 2, 3]\n\
    [[test]]\nname = 'own'\ncolumns = ['mae', 'cs5']\n\
    [[test]]\nname = 'far'\nroot = 'f'\ncolumns = ['mae']\n\
    [[reference]]\nlabel = 'Paper'\nsource = 'Table 1, 50 % more data'\ntest = 'far'\n\
    figures.mae = [4.0, 5.0]\n";

fn row(cell: &Cell, own: [f64; 2], far: f64) -> Row {
    let measured = |(test, figures): (&Test, &[(&str, f64)])| Measured {
        name: test.name.clone(),
        test: test.place(),
        pictures: 10,
        failed: 1,
        figures: figures.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect(),
    };
    let figures: [&[(&str, f64)]; 2] = [&[("mae", own[0]), ("cs5", own[1])], &[("mae", far)]];
    Row {
        labels: cell.labels.clone(),
        training: Some(Training {
            epoch: 3,
            val: BTreeMap::from([("age".to_owned(), own[0] - 1.0)]),
            seconds: 10.0,
            images_per_second: 100.0,
            parameters: 9,
        }),
        measured: cell.tests.iter().zip(figures).map(measured).collect(),
        error: None,
        diverged: false,
        recipe: serde_json::to_value(essence(&cell.config)).unwrap(),
    }
}

/// Two lines, of which the second has one seed only and one that diverged.
pub fn table() -> Table {
    let grid = grid_of(FILE);
    let cells = &grid.cells;
    let rows = [
        row(&cells[0], [5.0, 50.0], 7.0),
        row(&cells[1], [4.5, 60.04], 8.0),
        row(&cells[2], [6.0, 60.0], 7.5),
        Row { error: Some("the loss became NaN".into()), ..row(&cells[3], [0.0; 2], 0.0) },
        row(&cells[4], [7.0, 70.0], 8.0),
    ];
    Table::new(&grid, &rows)
}

/// By hand: 5, 6, 7 have the mean 6 and the standard deviation 1.
#[test]
fn lines_have_mean_and_spread_and_the_best_is_marked() {
    let table = table();
    let headers: Vec<&str> = table.columns.iter().map(|c| c.header.as_str()).collect();
    assert_eq!(headers, ["own: MAE", "own: CS@5 %", "far: MAE", "val MAE"]);
    let [first, second, paper] = &table.lines[..] else { panic!("{:?}", table.lines) };
    assert_eq!(first.figures[0], Some(Spread { mean: 6.0, std: Some(1.0), n: 3 }));
    assert_eq!(first.figures[1], Some(Spread { mean: 60.0, std: Some(10.0), n: 3 }));
    assert_eq!(first.figures[3], Some(Spread { mean: 5.0, std: Some(1.0), n: 3 }));
    assert_eq!(second.figures[0], Some(Spread { mean: 4.5, std: None, n: 1 }));
    // 60.04 and 60.0 read the same: neither is the better one.
    assert_eq!(first.best, [false, true, true, false]);
    assert_eq!(second.best, [true, true, false, true]);
    assert_eq!(paper.labels, ["Paper"]);
    assert_eq!(paper.figures[..2], [None, None]);
    let half = Spread { mean: 4.5, std: Some(0.5f64.sqrt()), n: 2 };
    assert_eq!((paper.figures[2], paper.best[2]), (Some(half), false));
    let notes = table.notes.join("\n");
    for part in [
        "own: test split, 10 pictures, flip fusion; in all measurements together, 4 times",
        "the seeds, n = 1 to 3",
        "Left out: 0_5, 2: the loss became NaN",
        "1 of 6 trainings are not done",
    ] {
        assert!(notes.contains(part), "{notes}\n{part}");
    }
}

#[test]
fn a_changed_recipe_leaves_its_old_rows_out() {
    let grid = grid_of(FILE);
    let rows = [row(&grid.cells[0], [5.0, 50.0], 7.0)];
    let other = grid_of(&FILE.replace("lambda = 0.5", "lambda = 0.7"));
    assert!(Table::new(&other, &rows).lines[0].figures[0].is_some());
    let other = grid_of(&FILE.replace("cache = 'c'", "cache = 'd'"));
    assert!(Table::new(&other, &rows).lines[0].figures[0].is_none());
}

#[test]
fn without_axes_there_is_one_line() {
    let grid = grid_of("name = 'alone'\n[recipe]\ncache = 'c'\n");
    let table = Table::new(&grid, &[]);
    assert_eq!((table.lines.len(), table.lines[0].labels[0].as_str()), (1, "alone"));
}

#[test]
fn the_three_forms_say_the_same_and_escape_what_they_must() {
    let table = table();
    let markdown = table.to_markdown();
    for part in [
        "# A & B\n",
        "| lambda | own: MAE | own: CS@5 % | far: MAE | val MAE |\n| --- | ---: |",
        "| 0\\|1 | 6.000 ± 1.000 | **60.0 ± 10.0** | **7.500 ± 0.500** | 5.000 ± 1.000 |",
        "| 0\\_5 | **4.500** | **60.0** | 8.000 | **3.500** |",
        "| Paper [1] | - | - | 4.500 ± 0.707 | - |",
        "[1] Table 1, 50 % more data",
        "Made by `dldl experiment experiments/x.toml`.",
    ] {
        assert!(markdown.contains(part), "{markdown}\n{part}");
    }
    let latex = table.to_latex();
    for part in [
        "\\caption{A \\& B}",
        "\\begin{tabular}{lrrrr}",
        "lambda & own: MAE & own: CS@5 \\% & far: MAE & val MAE \\\\",
        "0$\\vert$1 & 6.000 $\\pm$ 1.000 & \\textbf{60.0 $\\pm$ 10.0} &",
        "0\\_5 & \\textbf{4.500}",
        "Paper\\textsuperscript{1} & - & - & 4.500 $\\pm$ 0.707 & - \\\\",
        "\\textsuperscript{1} Table 1, 50 \\% more data",
    ] {
        assert!(latex.contains(part), "{latex}\n{part}");
    }
    let csv = table.to_csv();
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("lambda,own mae mean,own mae std,own mae n,own cs5 mean"));
    assert!(lines[1].starts_with("0|1,6,1,3,60,10,3,7.5,0.5,3,"), "{csv}");
    assert!(lines[2].starts_with("0_5,4.5,,1,60.04,,1,8,,1,3.5,,1,"), "{csv}");
    assert!(lines[3].ends_with(",\"Table 1, 50 % more data\""), "{csv}");
    let commas = |line: &str| line.replace("1, 50", "").matches(',').count();
    assert!(lines.iter().all(|line| commas(line) == commas(lines[0])), "{csv}");
}

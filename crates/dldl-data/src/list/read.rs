//! Reading lists of pictures with their splits or folds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::Entry;
use crate::DataError;
use crate::sample::{Problem, Split};
use crate::table::{for_each_line, for_each_row};

/// The columns that may name the picture, of which the first present one does.
const FILE: [&str; 7] = ["file", "img_path", "photo", "image", "path", "filename", "name"];
/// The columns that may name its split or fold.
const PART: [&str; 3] = ["split", "fold", "folder"];
/// The five splits of the benchmark of Paplham and Franc ("A Call to Reflect on Evaluation
/// Practices for Age Estimation", CVPR 2024) by the first of the ten folders: six are for
/// training, the next two for validation, the last two for testing.
const FIRST_FOLDERS: [i64; 5] = [0, 2, 4, 5, 6];

/// One line: the picture, its split or fold as written, and its place.
struct Line {
    file: String,
    key: String,
    place: String,
}

/// The lines of a list and the column that the keys are from.
struct Lines {
    column: String,
    lines: Vec<Line>,
}

/// Reads the list at `path`: a CSV table or a JSON file with a column for the picture and
/// one for the split or fold, or a folder of lists for train, val and test. Lines that do
/// not parse become problems.
///
/// # Errors
/// It cannot be read, or does not have the part.
pub(super) fn entries(
    path: &Path,
    part: Option<&str>,
    problems: &mut Vec<Problem>,
) -> Result<Vec<Entry>, DataError> {
    if path.is_dir() {
        return match part {
            None => folder(path, problems),
            Some(part) => Err(DataError::table(
                path,
                format!("a folder of lists has no part `{part}`: use list:{}", path.display()),
            )),
        };
    }
    let is_json = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
    let lines = if is_json { json(path, part, problems) } else { csv(path, part, problems) }?;
    interpret(path, part, lines, problems)
}

fn csv(path: &Path, part: Option<&str>, problems: &mut Vec<Problem>) -> Result<Lines, DataError> {
    let mut columns: Vec<&str> = part.into_iter().collect();
    columns.extend(PART);
    let mut used = String::new();
    let mut lines = Vec::new();
    let required = [FILE.join("|"), columns.join("|")];
    for_each_row(path, &required.each_ref().map(String::as_str), problems, |row| {
        if used.is_empty() {
            let column = columns.iter().find(|column| row.has(column));
            used = column.expect("one of them is required").to_string();
        }
        let file = FILE.iter().find_map(|column| row.cell(column));
        let file = file.ok_or("missing file name")?.replace('\\', "/");
        let key = row.required(&used)?.to_owned();
        lines.push(Line { file, key, place: row.place(path) });
        Ok(())
    })?;
    Ok(Lines { column: used, lines })
}

fn json(path: &Path, part: Option<&str>, problems: &mut Vec<Problem>) -> Result<Lines, DataError> {
    let bytes = std::fs::read(path).map_err(DataError::io(path))?;
    if bytes.starts_with(b"version https://git-lfs") {
        let reason = "a pointer of Git LFS, not the file itself: run `git lfs pull`";
        return Err(DataError::table(path, reason));
    }
    let list: Vec<Map<String, Value>> = serde_json::from_slice(&bytes)
        .map_err(DataError::malformed(path, "a JSON array of objects"))?;
    let first = list.first().ok_or_else(|| DataError::table(path, "the list is empty"))?;
    let has = |column: &&&str| first.contains_key(**column);
    let mut columns: Vec<&str> = part.into_iter().collect();
    columns.extend(PART);
    let (Some(name), Some(used)) = (FILE.iter().find(has), columns.iter().find(has)) else {
        let (files, parts) = (FILE.join("`, `"), columns.join("`, `"));
        let reason =
            format!("the first entry lacks a picture (`{files}`), or a split or fold (`{parts}`)");
        return Err(DataError::table(path, reason));
    };
    let text = |value: Option<&Value>| match value {
        Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    let mut lines = Vec::new();
    for (i, entry) in list.iter().enumerate() {
        let place = format!("{}, entry {}", path.display(), i + 1);
        match (text(entry.get(*name)), text(entry.get(*used))) {
            (Some(file), Some(key)) => {
                lines.push(Line { file: file.replace('\\', "/"), key, place });
            }
            _ => {
                let reason = format!("missing `{name}` or `{used}`");
                problems.push(Problem { file: place, reason });
            }
        }
    }
    Ok(Lines { column: (*used).to_owned(), lines })
}

/// From a key to its split; none if that part of the list is not used.
type SplitOf = dyn Fn(&str) -> Result<Option<Split>, String>;

/// The splits that the keys of lines stand for.
fn interpret(
    path: &Path,
    part: Option<&str>,
    Lines { column, lines }: Lines,
    problems: &mut Vec<Problem>,
) -> Result<Vec<Entry>, DataError> {
    let refuse = |reason: String| Err(DataError::table(path, reason));
    let shown = path.display();
    let split_of: Box<SplitOf> = if lines.iter().any(|line| line.key.parse::<Split>().is_ok()) {
        if let Some(part) = part.filter(|part| !part.eq_ignore_ascii_case(&column)) {
            return refuse(format!(
                "no column `{part}`, and `{column}` has splits, not folds: use list:{shown}"
            ));
        }
        Box::new(|key| key.parse::<Split>().map(Some).map_err(|e| e.to_string()))
    } else {
        let folds: BTreeSet<&str> = lines.iter().map(|line| line.key.as_str()).collect();
        let last = folds.iter().filter_map(|fold| fold.parse::<i64>().ok()).max();
        match (column.as_str(), last) {
            ("folder", Some(0..=2)) => match part {
                None | Some("0") => Box::new(published),
                Some(part) => return refuse(format!("no split `{part}`: it has one")),
            },
            ("folder", Some(3..=9)) => {
                let split = part.and_then(|part| part.parse::<usize>().ok());
                let Some(first) = split.and_then(|split| FIRST_FOLDERS.get(split).copied()) else {
                    return refuse(format!("has the splits 0 to 4: use list:{shown}:0"));
                };
                Box::new(move |key| {
                    let folder = number(key)?;
                    Ok((folder >= 0).then(|| match (folder - first).rem_euclid(10) {
                        0..=5 => Split::Train,
                        6 | 7 => Split::Val,
                        _ => Split::Test,
                    }))
                })
            }
            _ => {
                let Some(test) = part.filter(|part| folds.contains(part)) else {
                    let folds: Vec<&str> = folds.into_iter().take(10).collect();
                    return refuse(format!(
                        "choose the fold to test on as list:{shown}:FOLD, one of {}",
                        folds.join(", ")
                    ));
                };
                let test = test.to_owned();
                Box::new(move |key| Ok(Some(if key == test { Split::Test } else { Split::Train })))
            }
        }
    };
    let mut entries = Vec::new();
    for Line { file, key, place } in &lines {
        match split_of(key) {
            Ok(split) => {
                entries.push(Entry { file: file.clone(), place: place.clone(), split });
            }
            Err(reason) => problems.push(Problem { file: place.clone(), reason }),
        }
    }
    Ok(entries)
}

/// Folder 0 is for training, 1 for validation, 2 for testing; -1 is not used.
fn published(key: &str) -> Result<Option<Split>, String> {
    Ok(usize::try_from(number(key)?).ok().map(|folder| Split::ALL[folder]))
}

fn number(key: &str) -> Result<i64, String> {
    key.parse().map_err(|_| format!("invalid folder `{key}`: expected a number"))
}

/// The lists in a folder whose names end in train, val or test: tables, or texts that begin
/// each line with the picture.
fn folder(path: &Path, problems: &mut Vec<Problem>) -> Result<Vec<Entry>, DataError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(DataError::io(path))? {
        files.push(entry.map_err(DataError::io(path))?.path());
    }
    files.sort();
    for extension in ["csv", "txt"] {
        let mut lists: Vec<(Split, &PathBuf)> = Vec::new();
        for file in &files {
            if !file.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension)) {
                continue;
            }
            let Some(split) = split_of_name(file) else { continue };
            if let Some((_, other)) = lists.iter().find(|(known, _)| *known == split) {
                let (a, b) = (other.display(), file.display());
                let reason = format!("two lists for {split}: {a} and {b}: remove one of them");
                return Err(DataError::table(path, reason));
            }
            lists.push((split, file));
        }
        if lists.is_empty() {
            continue;
        }
        let mut entries = Vec::new();
        for (split, file) in lists {
            let split = Some(split);
            let mut add = |name: &str, place: String| {
                entries.push(Entry { file: name.replace('\\', "/"), place, split });
            };
            if extension == "csv" {
                for_each_row(file, &[&FILE.join("|")], problems, |row| {
                    let name = FILE.iter().find_map(|column| row.cell(column));
                    add(name.ok_or("missing file name")?, row.place(file));
                    Ok(())
                })?;
            } else {
                for_each_line(file, problems, |line| {
                    let end = |c: char| c.is_whitespace() || c == ',' || c == ';';
                    add(line.split(end).next().unwrap_or(line), file.display().to_string());
                    Ok(())
                })?;
            }
        }
        return Ok(entries);
    }
    let reason = "expected lists whose names end in train, val or test, as dex_train.csv";
    Err(DataError::table(path, reason))
}

/// The split at the end of a file name: `dex_train.csv`, `S1_Test.txt`, `val.csv`.
fn split_of_name(file: &Path) -> Option<Split> {
    let stem = file.file_stem()?.to_str()?;
    stem.rsplit(|c: char| !c.is_ascii_alphabetic()).next()?.parse().ok()
}

//! Which pictures of a dataset the names in a list stand for.

use std::collections::BTreeMap;
use std::path::Path;

use super::Entry;
use crate::DataError;

/// For each entry, the index of its picture in `files`; none if there is no such picture.
///
/// Names agree if they are the same without folders, extensions (`.jpg`, but also `.chip.jpg`
/// and `.jpg_face.jpg`, which the publishers of UTKFace and APPA-REAL append) and case. Of
/// several, the one that agrees in the most folders is meant.
///
/// # Errors
/// [`DataError::Table`] if several are equally close; it names two of them.
pub(super) fn pictures(
    files: &[&str],
    entries: &[Entry],
    path: &Path,
) -> Result<Vec<Option<usize>>, DataError> {
    let mut by_name: BTreeMap<String, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for (i, file) in files.iter().enumerate() {
        by_name.entry(name(file)).or_default().0.push(i);
    }
    for (i, entry) in entries.iter().enumerate() {
        by_name.entry(name(&entry.file)).or_default().1.push(i);
    }
    let mut found = vec![None; entries.len()];
    for (pictures, listed) in by_name.values() {
        let mut listed_names: Vec<&str> =
            listed.iter().map(|&e| entries[e].file.as_str()).collect();
        listed_names.sort_unstable();
        listed_names.dedup();
        if let ([picture], [_]) = (&pictures[..], &listed_names[..]) {
            listed.iter().for_each(|&e| found[e] = Some(*picture));
            continue;
        }
        let mut rest = Vec::new();
        for &e in listed {
            match closest(files, pictures, &entries[e].file) {
                Closest::One(picture) => found[e] = Some(picture),
                Closest::Several(a, b) => {
                    return Err(ambiguous(path, &entries[e], files[a], files[b]));
                }
                Closest::None => rest.push(e),
            }
        }
        // A picture that no folder connects with a name may be any of these.
        let free = |p: &&usize| listed.iter().all(|&e| found[e] != Some(**p));
        if let (Some(&e), Some(&picture)) = (rest.first(), pictures.iter().find(free)) {
            let other = pictures.iter().find(|&&p| p != picture);
            return Err(match (other, rest.get(1)) {
                (Some(&other), _) => ambiguous(path, &entries[e], files[picture], files[other]),
                (None, second) => {
                    let second = second.map_or("another", |&e| entries[e].file.as_str());
                    let (first, file) = (&entries[e].file, files[picture]);
                    let reason = format!(
                        "the names {first} and {second} may both stand for {file}: its folders \
                         differ from theirs"
                    );
                    DataError::table(path, reason)
                }
            });
        }
    }
    Ok(found)
}

fn ambiguous(path: &Path, entry: &Entry, first: &str, second: &str) -> DataError {
    let (file, place) = (&entry.file, &entry.place);
    let reason = format!("{place}: {file} may stand for {first} or {second}");
    DataError::table(path, reason)
}

enum Closest {
    None,
    One(usize),
    Several(usize, usize),
}

/// Which of the pictures of the same name agrees with a listed file in the most folders,
/// counted from the file upwards; at least one, or the whole path.
fn closest(files: &[&str], pictures: &[usize], listed: &str) -> Closest {
    let score = |file: &str| {
        if file.eq_ignore_ascii_case(listed) {
            return usize::MAX;
        }
        let same = folders(file).zip(folders(listed));
        same.take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count()
    };
    let best = pictures.iter().map(|&p| score(files[p])).max().unwrap_or(0);
    let mut closest = pictures.iter().filter(|&&p| score(files[p]) == best);
    match (best, closest.next(), closest.next()) {
        (0, ..) | (_, None, _) => Closest::None,
        (_, Some(&one), None) => Closest::One(one),
        (_, Some(&a), Some(&b)) => Closest::Several(a, b),
    }
}

/// The folders of a file, from the innermost.
fn folders(file: &str) -> impl Iterator<Item = &str> {
    file.rsplit('/').skip(1)
}

/// A file name without folders and extensions, in lower case.
fn name(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file).to_ascii_lowercase();
    let mut name = name.as_str();
    let endings = [".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".chip", "_face"];
    while let Some(rest) = endings.iter().find_map(|end| name.strip_suffix(end)) {
        name = rest;
    }
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[&str], listed: &[&str]) -> Result<Vec<Option<usize>>, String> {
        let entry =
            |file: &&str| Entry { file: (*file).into(), place: "line 2".into(), split: None };
        let entries: Vec<Entry> = listed.iter().map(entry).collect();
        pictures(files, &entries, Path::new("l.csv")).map_err(|e| e.to_string())
    }

    #[test]
    fn other_folders_and_extensions_do_not_matter_where_names_are_unique() {
        let files = ["images/26_1_3_2017.jpg.chip.webp", "train/003856.jpg_face.jpg", "a/B.PNG"];
        let listed = ["UTKFace/part1/26_1_3_2017.jpg", "b.jpg", "x/003856.jpg", "gone.jpg"];
        assert_eq!(found(&files, &listed), Ok(vec![Some(0), Some(2), Some(1), None]));
    }

    #[test]
    fn folders_decide_between_equal_names() {
        let files = ["15/111/1-0.jpg", "15/112/1-0.jpg", "16/111/1-0.jpg"];
        let listed = ["AFAD/15/112/1-0.png", "AFAD/16/111/1-0.png", "AFAD/15/111/1-0.png"];
        assert_eq!(found(&files, &listed), Ok(vec![Some(1), Some(2), Some(0)]));
        // The list has a picture that the dataset lacks.
        assert_eq!(found(&["a/1.jpg"], &["a/1.jpg", "b/1.jpg"]), Ok(vec![Some(0), None]));
        assert_eq!(found(&["1.jpg", "a/1.jpg"], &["1.jpg"]), Ok(vec![Some(0)]));
    }

    #[test]
    fn names_that_may_stand_for_several_pictures_are_errors_that_name_two() {
        let error = found(&["a/1.jpg", "b/1.jpg"], &["x/1.jpg"]).unwrap_err();
        assert_eq!(error, "l.csv: line 2: x/1.jpg may stand for a/1.jpg or b/1.jpg");
        let error = found(&["c/a/1.jpg", "d/a/1.png"], &["a/1.webp"]).unwrap_err();
        assert_eq!(error, "l.csv: line 2: a/1.webp may stand for c/a/1.jpg or d/a/1.png");
        let error = found(&["1.jpg"], &["a/1.jpg", "b/1.jpg"]).unwrap_err();
        assert!(error.contains("a/1.jpg and b/1.jpg may both stand for 1.jpg"), "{error}");
    }
}

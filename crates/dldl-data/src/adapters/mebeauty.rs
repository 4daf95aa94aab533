//! MEBeauty (Lebedeva, Guo, Ying, 2021): scores from 1 to 10, with the individual
//! ratings if the table has them.

use std::path::Path;

use dldl_label::Task;

use crate::annotation::Annotation;
use crate::files::Index;
use crate::format::{LabelInfo, attractiveness};
use crate::table::{Row, for_each_line, for_each_row};
use crate::{DataError, Dataset, Format, Sample, Sex, Split, values};

const SCORES: LabelInfo =
    attractiveness(10.0, "individual ratings; sigma assumed for the published lists", 1.0);

/// A table with individual ratings next to `images/`, or the published lists of means.
pub const FORMAT: Format = Format {
    name: "mebeauty",
    about: "a table labels.csv of file,split,official_mean,n1..n10 next to images/SEX/RACE/, or \
            scores/{train,val,test}_2022.txt as published (means only)",
    tasks: &[SCORES],
    splits: "published train, val and test",
    folds: &[],
    citation: "Lebedeva, Guo, Ying: MEBeauty: a multi-ethnic facial beauty dataset in-the-wild, \
               Neural Computing and Applications, 2021",
    terms: "non-commercial research",
    load,
};

/// Reads `labels` or `labels.csv` in `root`, or else the published lists of means in
/// `scores`, with paths that end in `images/SEX/RACE/NAME`.
///
/// # Errors
/// The table or the lists cannot be read.
fn load(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    let mut set = Dataset::new(FORMAT.name, root, Vec::new());
    let default = root.join("labels.csv");
    let lists = root.join("scores");
    if labels.is_some() || default.is_file() || !lists.is_dir() {
        let samples = &mut set.samples;
        let required = ["file", "official_mean", "n1", "n10"];
        for_each_row(labels.unwrap_or(&default), &required, &mut set.problems, |row| {
            samples.push(sample(row)?);
            Ok(())
        })?;
        return Ok(set);
    }
    let index = Index::new(root)?;
    for split in Split::ALL {
        let path = lists.join(format!("{split}_2022.txt"));
        for_each_line(&path, &mut set.problems, |line| {
            set.samples.push(listed(root, &index, line, split)?);
            Ok(())
        })?;
    }
    Ok(set)
}

fn sample(row: &Row) -> Result<Sample, String> {
    let file = row.required("file")?;
    let mean = values::score_of(&SCORES, row.required("official_mean")?)?;
    let mut histogram = Vec::new();
    for score in 1..=10u8 {
        let count = row.number(&format!("n{score}"))?;
        if count > 0.0 {
            histogram.push([f64::from(score), count]);
        }
    }
    let rating = match histogram.is_empty() {
        true => Annotation::value(mean),
        false => Annotation::Histogram { mean, histogram },
    };
    let split = row.split()?.unwrap_or_else(|| Split::of_key(file));
    Ok(labeled(format!("images/{file}"), file, split, rating))
}

/// One line of a published list: a path, quoted if it contains spaces, and a score.
fn listed(root: &Path, index: &Index, line: &str, split: Split) -> Result<Sample, String> {
    let (path, score) =
        line.rsplit_once(char::is_whitespace).ok_or("expected a path and a score")?;
    let mean = values::score_of(&SCORES, score)?;
    let path = path.trim().trim_matches('"');
    // Folders of sex and race, below the folder of the pictures, whose name differs:
    // images/, original_images/, cropped_images/images_crop_align_mtcnn/.
    let parts: Vec<&str> = path.split('/').collect();
    let first = parts.iter().position(|part| ["female", "male"].contains(part));
    let inner = match first {
        Some(first) => parts[first..].join("/"),
        None => path.rsplit_once("images/").ok_or("expected a path in `images/`")?.1.to_owned(),
    };
    let inner = inner.as_str();
    let mut file = format!("images/{inner}");
    // File names are unique per folder only.
    if !root.join(&file).is_file()
        && let Some((folder, _)) = inner.rsplit_once('/')
    {
        let there = |path: &&String| {
            path.rsplit_once('/').is_some_and(|(found, _)| found.ends_with(folder))
        };
        file = index.all(inner).iter().find(there).cloned().unwrap_or(file);
    }
    Ok(labeled(file, inner, split, Annotation::value(mean)))
}

/// Sex and race are the folders of a picture, below others in the published lists
/// (`cropped_images/images_crop_align_mtcnn/female/indian/x.jpg`).
fn labeled(file: String, inner: &str, split: Split, rating: Annotation) -> Sample {
    let mut folders = inner.split('/');
    let sex = folders.find_map(|folder| match folder {
        "female" => Some(Sex::Female),
        "male" => Some(Sex::Male),
        _ => None,
    });
    let race = sex.and(folders.next()).map(str::to_owned);
    Sample { sex, race, ..Sample::new(file, split).with(Task::Attractiveness, rating) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dldl_label::LabelSet;

    #[test]
    fn individual_ratings_are_kept_with_the_published_mean() {
        let dir = tempfile::tempdir().unwrap();
        let table = "file,split,official_mean,n_ratings,mean,std,n1,n2,n3,n4,n5,n6,n7,n8,n9,n10\n\
            female/black/a.webp,train,3.79,3,4,1,1,0,2,0,0,0,0,0,0,0\n\
            x.webp,test,5,0,,,0,0,0,0,0,0,0,0,0,0\n";
        std::fs::write(dir.path().join("labels.csv"), table).unwrap();
        let set = crate::load("mebeauty", dir.path(), None).unwrap();
        let ratings = Annotation::Histogram { mean: 3.79, histogram: vec![[1.0, 1.0], [3.0, 2.0]] };
        assert_eq!(set.samples[0].annotation(Task::Attractiveness), Some(&ratings));
        assert_eq!(set.samples[0].race.as_deref(), Some("black"));
        assert_eq!(set.samples[1].annotation(Task::Attractiveness), Some(&Annotation::value(5.0)));
        assert_eq!((set.samples[1].sex, set.samples[1].split), (None, Split::Test));
    }

    #[test]
    fn the_published_lists_are_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("scores")).unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write(
            "scores/train_2022.txt",
            "/home/x/images/female/indian/w-1_1920.jpg 3.79\nnonsense\n\
             ./cropped_images/images_crop_align_mtcnn/female/indian/y.jpg 4.5\n",
        );
        write("scores/val_2022.txt", "\"/home/x/images/male/asian/b (1).jpg\" 7.546875\n");
        write("scores/test_2022.txt", "/home/x/images/male/black/9.jpg high\n");
        let folder = dir.path().join("cropped_images/male/asian");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("b (1).webp"), b"").unwrap();
        let original = dir.path().join("original_images/female/indian");
        std::fs::create_dir_all(&original).unwrap();
        std::fs::write(original.join("y.jpg"), b"").unwrap();
        let set = crate::load("mebeauty", dir.path(), None).unwrap();
        let files: Vec<&str> = set.samples.iter().map(|s| s.file.as_str()).collect();
        assert_eq!(
            files,
            [
                "images/female/indian/w-1_1920.jpg",
                "original_images/female/indian/y.jpg",
                "cropped_images/male/asian/b (1).webp"
            ]
        );
        assert_eq!(
            (set.samples[1].sex, set.samples[1].race.as_deref()),
            (Some(Sex::Female), Some("indian"))
        );
        assert_eq!(set.samples[0].annotation(Task::Attractiveness), Some(&Annotation::value(3.79)));
        assert_eq!((set.samples[2].split, set.samples[2].sex), (Split::Val, Some(Sex::Male)));
        assert_eq!(set.problems.len(), 2);
        assert!(set.problems[1].reason.contains("invalid score `high`"), "{:?}", set.problems);
    }

    #[test]
    fn real_ratings_keep_their_mean_and_standard_deviation() {
        let Some(data) = crate::shared_data("mebeauty") else { return };
        let set = crate::load("mebeauty", &data, None).unwrap();
        assert_eq!((set.samples.len(), set.problems.len()), (2372, 0));
        assert_eq!(Split::ALL.map(|s| set.count(s)), [1655, 211, 506]);
        let labels = LabelSet::new(1.0, 10.0, 0.1).unwrap();
        for s in set.samples.iter().step_by(97) {
            assert!(data.join(&s.file).is_file() && s.labels.len() == 1, "{s:?}");
            let Some(rating @ Annotation::Histogram { histogram, .. }) =
                s.annotation(Task::Attractiveness)
            else {
                continue;
            };
            let made = rating.distribution(&labels, crate::Spread::Given, 1.0, 0.0).unwrap();
            let count: f64 = histogram.iter().map(|[_, n]| n).sum();
            let mean = histogram.iter().map(|[v, n]| v * n).sum::<f64>() / count;
            assert!((made.expectation() - mean).abs() < 1e-9, "{s:?}");
            assert!((made.std() - rating.sigma().unwrap()).abs() < 1e-6, "{s:?}");
        }
    }
}

//! One Million Impressions (Peterson et al., PNAS 2022): faces of a generator, nobody's,
//! with many people's guesses of age and ratings of attractiveness.

use std::path::Path;

use dldl_label::Task;

use crate::annotation::Annotation;
use crate::format::{LabelInfo, age};
use crate::table::{Row, for_each_row};
use crate::{DataError, Dataset, Format, Sample, Split, values};

const SCORES: LabelInfo = LabelInfo {
    task: Task::Attractiveness,
    min: 0.0,
    max: 100.0,
    step: 1.0,
    spread: "individual ratings",
    sigma: 18.0,
};

/// A table with the answers next to `images/`.
pub const FORMAT: Format = Format {
    name: "omi",
    about: "labels.csv of file,age,age_std,attractiveness,attractiveness_std next to images/, also \
            with age_ratings and attractiveness_ratings, the answers separated by spaces",
    tasks: &[age("individual guesses of the apparent age"), SCORES],
    splits: "none: all are for choosing and testing, none for training",
    folds: &[],
    citation: "Peterson, Uddenberg, Griffiths, Todorov, Suchow: Deep models of superficial face \
               judgments, PNAS 2022",
    terms: "CC BY-NC-SA 4.0",
    load,
};

/// Reads `labels` or `labels.csv` in `root`. All pictures are in the split `val`.
///
/// # Errors
/// The table cannot be read, or lacks a column.
fn load(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    let default = root.join("labels.csv");
    let mut set = Dataset::new(FORMAT.name, root, Vec::new());
    let samples = &mut set.samples;
    let required = ["file", "age", "age_std", "attractiveness", "attractiveness_std"];
    for_each_row(labels.unwrap_or(&default), &required, &mut set.problems, |row| {
        let age = annotation(row, "age", values::age)?;
        let score = annotation(row, "attractiveness", |text| values::score_of(&SCORES, text))?;
        let sample = Sample::new(row.required("file")?, Split::Val);
        samples.push(sample.with(Task::Age, age).with(Task::Attractiveness, score));
        Ok(())
    })?;
    Ok(set)
}

/// The answers of a column, or their mean and standard deviation.
fn annotation(
    row: &Row,
    column: &str,
    parse: impl Fn(&str) -> Result<f64, String>,
) -> Result<Annotation, String> {
    let mean = parse(row.required(column)?)?;
    let Some(answers) = row.cell(&format!("{column}_ratings")) else {
        let sigma = row.number(&format!("{column}_std"))?;
        return Ok(Annotation::Value { mean, sigma: Some(sigma) });
    };
    let mut histogram: Vec<[f64; 2]> = Vec::new();
    let mut answers = answers.split(' ').map(parse).collect::<Result<Vec<f64>, String>>()?;
    answers.sort_by(f64::total_cmp);
    for answer in answers {
        match histogram.last_mut() {
            Some([value, count]) if *value == answer => *count += 1.0,
            _ => histogram.push([answer, 1.0]),
        }
    }
    Ok(Annotation::Histogram { mean, histogram })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let table = "file,age,age_std,attractiveness,attractiveness_std,age_ratings\n\
            images/1.webp,34.5,6.1,60.25,18,33 37 33\nimages/2.webp,300,1,50,10,\n";
        std::fs::write(dir.path().join("labels.csv"), table).unwrap();
        let set = load(dir.path(), None).unwrap();
        assert_eq!((set.samples.len(), set.problems.len()), (1, 1));
        let sample = &set.samples[0];
        let expected =
            Annotation::Histogram { mean: 34.5, histogram: vec![[33.0, 2.0], [37.0, 1.0]] };
        assert_eq!(sample.annotation(Task::Age), Some(&expected));
        let expected = Annotation::Value { mean: 60.25, sigma: Some(18.0) };
        assert_eq!(sample.annotation(Task::Attractiveness), Some(&expected));
        assert_eq!(sample.split, Split::Val);
    }
}

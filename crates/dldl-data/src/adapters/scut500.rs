//! SCUT-FBP (Xie et al., SMC 2015): 500 Asian women, rated from 1 to 5 by 70 people. Its
//! successor SCUT-FBP5500 is in [`super::scut`].

use std::path::{Path, PathBuf};

use dldl_label::Task;

use crate::annotation::Annotation;
use crate::files::Index;
use crate::format::{LabelInfo, attractiveness};
use crate::sheet;
use crate::values::{number, score_of};
use crate::{DataError, Dataset, Format, Problem, Sample, Sex, Split};

const SCORES: LabelInfo =
    attractiveness(5.0, "standard deviation of the ratings, per picture", 0.5);

/// The published workbook next to the pictures.
pub const FORMAT: Format = Format {
    name: "scut-fbp",
    about: "SCUT-FBP: `Rating_Collection/Attractiveness label.xlsx` (or .csv) and \
            Data_Collection/SCUT-FBP-1.jpg",
    tasks: &[SCORES],
    splits: "none published; 80/10/10 by a hash of the name. The paper divides 400/100: random:SEED",
    folds: &[],
    citation: "Xie, Liang, Jin, Xu, Li: SCUT-FBP: a benchmark dataset for facial beauty perception, \
               SMC 2015",
    terms: "non-commercial research",
    load,
};

/// Reads the first three columns of `labels`, or of the published table in `root` or its
/// folder `Rating_Collection`: number of the picture, mean and standard deviation of the
/// ratings.
///
/// # Errors
/// The table cannot be read, or there is none.
fn load(root: &Path, labels: Option<&Path>) -> Result<Dataset, DataError> {
    let table = match labels {
        Some(table) => table.to_owned(),
        None => table(root)?,
    };
    let index = Index::new(root)?;
    let mut set = Dataset::new(FORMAT.name, root, Vec::new());
    for sheet in sheet::read(&table)? {
        for row in 0..sheet.rows.len() {
            let cells = [0, 1, 2].map(|column| sheet.cell(row, column));
            // The header, and empty lines below the numbers.
            let header = cells[0].is_none_or(|cell| cell.parse::<f64>().is_err());
            if header && (row == 0 || cells.iter().all(Option::is_none)) {
                continue;
            }
            match rated(&index, cells) {
                Ok(sample) => set.samples.push(sample),
                Err(reason) => set.problems.push(Problem { file: sheet.place(row), reason }),
            }
        }
    }
    Ok(set)
}

fn table(root: &Path) -> Result<PathBuf, DataError> {
    let names = ["Attractiveness label.xlsx", "Attractiveness label.csv"];
    let folders = [root.join("Rating_Collection"), root.to_owned()];
    let paths = folders.iter().flat_map(|folder| names.map(|name| folder.join(name)));
    let found = paths.into_iter().find(|path| path.is_file());
    found.ok_or_else(|| {
        DataError::table(root, "there is no `Rating_Collection/Attractiveness label.xlsx`")
    })
}

fn rated(index: &Index, cells: [Option<&str>; 3]) -> Result<Sample, String> {
    let picture = number(cells[0].ok_or("missing number of the picture")?, "picture number")?;
    let mean = score_of(&SCORES, cells[1].ok_or("missing score")?)?;
    let sigma = cells[2].map(|cell| number(cell, "standard deviation")).transpose()?;
    let name = format!("SCUT-FBP-{picture}.jpg");
    let found = index.find(&name, "data_collection");
    let file = found.map_or_else(|| format!("Data_Collection/{name}"), str::to_owned);
    let sample = Sample::new(file, Split::of_key(&name));
    Ok(Sample { sex: Some(Sex::Female), race: Some("Asian".to_owned()), ..sample }
        .with(Task::Attractiveness, Annotation::Value { mean, sigma }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The workbook is written by openpyxl (tools/fixtures_tables.py). Of its 50 pictures,
    /// number 7 has no score and number 9 has the score 55.
    #[test]
    fn the_workbook_and_its_export_are_read_alike() {
        let book = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/scut-fbp.xlsx");
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("Rating_Collection");
        std::fs::create_dir(&folder).unwrap();
        std::fs::copy(book, folder.join("Attractiveness label.xlsx")).unwrap();
        let set = crate::load("scut-fbp", dir.path(), None).unwrap();
        assert_eq!(set.samples.len(), 48);
        let first = &set.samples[0];
        assert_eq!(first.file, "Data_Collection/SCUT-FBP-1.jpg");
        let rating = Annotation::Value { mean: 2.5125, sigma: Some(0.75) };
        assert_eq!(first.annotation(Task::Attractiveness), Some(&rating));
        let reasons: Vec<&str> = set.problems.iter().map(|p| p.reason.as_str()).collect();
        assert_eq!(reasons, ["missing score", "invalid score `55`: expected a number from 1 to 5"]);
        assert!(set.problems[0].file.ends_with("line 8"), "{:?}", set.problems);

        let mut text = String::from("#Image,Attractiveness label,Standard deviation\n");
        for i in 1..=50 {
            let score = match i {
                7 => String::new(),
                9 => "55".to_owned(),
                _ => (2.5 + 0.0125 * f64::from(i)).to_string(),
            };
            text += &format!("{i},{score},0.75\n");
        }
        let table = dir.path().join("labels.csv");
        std::fs::write(&table, text).unwrap();
        let exported = crate::load("scut-fbp", dir.path(), Some(&table)).unwrap();
        assert_eq!(exported.samples, set.samples);
        assert_eq!(exported.problems.len(), 2);
    }

    #[test]
    fn the_division_of_the_paper_is_four_to_one() {
        let dir = tempfile::tempdir().unwrap();
        let text: String = (1..=500).map(|i| format!("{i},3.0,0.5\n")).collect();
        std::fs::write(dir.path().join("Attractiveness label.csv"), text).unwrap();
        let protocol = "random:1".parse().unwrap();
        let set = crate::load_with("scut-fbp", dir.path(), None, &protocol).unwrap();
        assert_eq!(Split::ALL.map(|s| set.count(s)), [360, 40, 100]);
        assert!(crate::load("scut-fbp", &dir.path().join("no"), None).is_err());
    }
}

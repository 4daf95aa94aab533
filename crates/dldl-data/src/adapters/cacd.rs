//! CACD2000 (Chen, Chen, Hsu, ECCV 2014): 2,000 celebrities over ten years, with file names
//! like `14_Aaron_Johnson_0001.jpg` (age, name, number).

use dldl_label::Task;

use crate::adapters::file_names;
use crate::annotation::Annotation;
use crate::files::stem;
use crate::format::age;
use crate::values::is_digits;
use crate::{Format, Sample, Split, values};

/// The pictures, in any folder.
pub const FORMAT: Format = Format {
    name: "cacd",
    about: "CACD2000: pictures named like 14_Aaron_Johnson_0001.jpg (age, name, number) anywhere \
            below ROOT",
    tasks: &[age("year of the search minus year of birth; noisy")],
    splits: "80/10/10 by a hash of the person; the authors' division by rank is in their .mat file",
    folds: &[],
    citation: "Chen, Chen, Hsu: Cross-age reference coding for age-invariant face recognition and \
               retrieval, ECCV 2014",
    terms: "non-commercial research",
    load: |root, labels| file_names::load("cacd", root, labels, parse),
};

fn parse(file: &str) -> Result<Sample, String> {
    let wrong = || "expected a name like 14_Aaron_Johnson_0001.jpg".to_owned();
    let (years, rest) = stem(file).split_once('_').ok_or_else(wrong)?;
    let (person, number) = rest.rsplit_once('_').ok_or_else(wrong)?;
    if person.is_empty() || !is_digits(number) {
        return Err(wrong());
    }
    let annotation = Annotation::value(values::whole_age(years)?);
    let sample = Sample::new(file, Split::of_key(person)).with(Task::Age, annotation);
    let person = Some(person.to_owned());
    Ok(Sample { group: person.clone(), identity: person, ..sample })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed() {
        let sample = parse("CACD2000/53_Robin_Williams_0013.jpg").unwrap();
        assert_eq!(sample.annotation(Task::Age), Some(&Annotation::value(53.0)));
        assert_eq!(sample.identity.as_deref(), Some("Robin_Williams"));
        assert_eq!(sample.group, sample.identity);
        for bad in ["53_0001.jpg", "x_Robin_Williams_0013.jpg", "53_Robin_Williams.jpg", "1.jpg"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}

//! The adapters for two sets of faces from the web: AgeDB (Moschoglou et al.,
//! CVPRW 2017), named `0_MariaCallas_35_f.jpg`, and AFAD (Niu et al., CVPR 2016),
//! in folders of age and sex.

use dldl_label::Task;

use crate::adapters::fgnet::from_names;
use crate::annotation::Annotation;
use crate::format::{ONE_AGE, age};
use crate::{Format, Sample, Sex, Split};

/// AgeDB: people of whom there are pictures at many ages.
pub const AGEDB: Format = Format {
    name: "agedb",
    about: "AgeDB: pictures named 0_MariaCallas_35_f.jpg (number, person, age, sex) below ROOT",
    tasks: &[age(ONE_AGE)],
    splits: "none published; 80/10/10 by a hash of the person. subjects:5:FOLD keeps people apart, \
             too",
    folds: &[],
    citation: "Moschoglou, Papaioannou, Sagonas, Deng, Kotsia, Zafeiriou: AgeDB: the first \
               manually collected, in-the-wild age database, CVPRW 2017",
    terms: "non-commercial research",
    load: |root, labels| from_names("agedb", root, labels, agedb),
};

/// AFAD: Asian faces of a social network, the whole set or its parts.
pub const AFAD: Format = Format {
    name: "afad",
    about: "AFAD-Full or AFAD-Lite: folders Task::Age/111 (men) and Task::Age/112 (women) of pictures \
            474596-0.jpg",
    tasks: &[age(ONE_AGE)],
    splits: "none published; 80/10/10 by a hash of the photograph. The publishers' is random:SEED",
    folds: &[],
    citation: "Niu, Zhou, Wang, Gao, Hua: Ordinal regression with multiple output CNN for age \
               estimation, CVPR 2016",
    terms: "non-commercial research",
    load: |root, labels| from_names("afad", root, labels, afad),
};

fn agedb(file: &str) -> Result<Sample, String> {
    let name = file.rsplit('/').next().unwrap_or(file);
    let wrong = || "the name is not of the form 0_MariaCallas_35_f.jpg".to_owned();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    // Names of people may hold the separator.
    let (number, rest) = stem.split_once('_').ok_or_else(wrong)?;
    let (rest, sex) = rest.rsplit_once('_').ok_or_else(wrong)?;
    let (person, years) = rest.rsplit_once('_').ok_or_else(wrong)?;
    number.parse::<u32>().map_err(|_| wrong())?;
    let years: u8 = years.parse().map_err(|_| format!("`{years}` is no age in years"))?;
    let sex = match sex {
        "m" | "M" => Sex::Male,
        "f" | "F" => Sex::Female,
        _ => return Err(format!("`{sex}` is no sex: m or f")),
    };
    let sample = Sample::new(file, Split::of_key(person));
    Ok(Sample { sex: Some(sex), group: Some(person.to_owned()), ..sample }
        .with(Task::Age, Annotation::value(f64::from(years))))
}

/// The number before the dash is the photograph's, of which there may be several
/// faces: they are of one group.
fn afad(file: &str) -> Result<Sample, String> {
    let mut parts = file.rsplit('/');
    let wrong = || "not in folders of the form 25/112".to_owned();
    let (name, sex, years) = (parts.next(), parts.next(), parts.next());
    let (Some(name), Some(sex), Some(years)) = (name, sex, years) else { return Err(wrong()) };
    let sex = match sex {
        "111" => Sex::Male,
        "112" => Sex::Female,
        _ => return Err(wrong()),
    };
    let years: u8 = years.parse().map_err(|_| wrong())?;
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let photograph = stem.split_once('-').map_or(stem, |(number, _)| number);
    let sample = Sample::new(file, Split::of_key(photograph));
    Ok(Sample { sex: Some(sex), group: Some(photograph.to_owned()), ..sample }
        .with(Task::Age, Annotation::value(f64::from(years))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, files: &[&str]) -> crate::Dataset {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"").unwrap();
        }
        crate::load(name, dir.path(), None).unwrap()
    }

    #[test]
    fn names_of_agedb_say_who_how_old_and_sex() {
        let files = [
            "AgeDB/0_MariaCallas_35_f.jpg",
            "AgeDB/12_MariaCallas_52_f.jpg",
            "AgeDB/7_Robert_De_Niro_101_M.jpg",
            "AgeDB/8_X_old_m.jpg",
            "AgeDB/9_X_30_x.jpg",
            "AgeDB/readme.jpg",
        ];
        let set = set("agedb", &files);
        assert_eq!((set.samples.len(), set.problems.len()), (3, 3));
        let [a, b, c] = &set.samples[..] else { panic!() };
        assert_eq!(
            (a.annotation(Task::Age), a.sex),
            (Some(&Annotation::value(35.0)), Some(Sex::Female))
        );
        assert_eq!((a.group.as_deref(), a.split), (Some("MariaCallas"), b.split));
        assert_eq!(c.group.as_deref(), Some("Robert_De_Niro"));
        assert_eq!(
            (c.annotation(Task::Age), c.sex),
            (Some(&Annotation::value(101.0)), Some(Sex::Male))
        );
    }

    #[test]
    fn folders_of_afad_say_age_and_sex() {
        let files = [
            "AFAD-Full/15/111/474596-0.jpg",
            "AFAD-Full/15/112/474596-1.jpg",
            "AFAD-Full/72/112/9.jpg",
            "AFAD-Full/72/113/9.jpg",
            "AFAD-Full/logo.jpg",
        ];
        let set = set("afad", &files);
        assert_eq!((set.samples.len(), set.problems.len()), (3, 2));
        let [a, b, c] = &set.samples[..] else { panic!() };
        assert_eq!(
            (a.annotation(Task::Age), a.sex),
            (Some(&Annotation::value(15.0)), Some(Sex::Male))
        );
        assert_eq!((b.sex, b.group.as_deref()), (Some(Sex::Female), Some("474596")));
        assert_eq!((a.split, c.annotation(Task::Age)), (b.split, Some(&Annotation::value(72.0))));
    }
}

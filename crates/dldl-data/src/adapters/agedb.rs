//! AgeDB (Moschoglou et al., CVPRW 2017), with file names like
//! `0_MariaCallas_35_f.jpg`, and AFAD (Niu et al., CVPR 2016), with folders by age and
//! sex.

use dldl_label::Task;

use crate::adapters::file_names;
use crate::annotation::Annotation;
use crate::files::stem;
use crate::format::{SINGLE_AGE, age};
use crate::{Format, Sample, Sex, Split, values};

/// AgeDB: pictures of the same people at many ages.
pub const AGEDB: Format = Format {
    name: "agedb",
    about: "AgeDB: pictures named 0_MariaCallas_35_f.jpg (number, person, age, sex) below ROOT",
    tasks: &[age(SINGLE_AGE)],
    splits: "none published; 80/10/10 by a hash of the person. subjects:5:FOLD keeps people apart, too",
    folds: &[],
    citation: "Moschoglou, Papaioannou, Sagonas, Deng, Kotsia, Zafeiriou: AgeDB: the first \
               manually collected, in-the-wild age database, CVPRW 2017",
    terms: "non-commercial research",
    load: |root, labels| file_names::load("agedb", root, labels, agedb),
};

/// AFAD: Asian faces from a social network, the full set or AFAD-Lite.
pub const AFAD: Format = Format {
    name: "afad",
    about: "AFAD-Full or AFAD-Lite: folders AGE/111 (men) and AGE/112 (women) with pictures \
            like 474596-0.jpg",
    tasks: &[age(SINGLE_AGE)],
    splits: "none published; 80/10/10 by a hash of the photograph. The publishers use a random split: \
             random:SEED",
    folds: &[],
    citation: "Niu, Zhou, Wang, Gao, Hua: Ordinal regression with multiple output CNN for age \
               estimation, CVPR 2016",
    terms: "non-commercial research",
    load: |root, labels| file_names::load("afad", root, labels, afad),
};

fn agedb(file: &str) -> Result<Sample, String> {
    let wrong = || "expected a name like 0_MariaCallas_35_f.jpg".to_owned();
    // The person's name may contain underscores.
    let (number, rest) = stem(file).split_once('_').ok_or_else(wrong)?;
    let (rest, sex) = rest.rsplit_once('_').ok_or_else(wrong)?;
    let (person, years) = rest.rsplit_once('_').ok_or_else(wrong)?;
    number.parse::<u32>().map_err(|_| wrong())?;
    let years = values::whole_age(years)?;
    let sex = match sex {
        "m" | "M" => Sex::Male,
        "f" | "F" => Sex::Female,
        _ => return Err(format!("invalid sex `{sex}`: expected m or f")),
    };
    let sample = Sample::new(file, Split::of_key(person));
    Ok(Sample { sex: Some(sex), group: Some(person.to_owned()), ..sample }
        .with(Task::Age, Annotation::value(years)))
}

/// The number before the dash identifies the photograph. Faces from one photograph form
/// a group.
fn afad(file: &str) -> Result<Sample, String> {
    let mut parts = file.rsplit('/');
    let wrong = || "expected a path like 25/112/474596-0.jpg".to_owned();
    let (name, sex, years) = (parts.next(), parts.next(), parts.next());
    let (Some(name), Some(sex), Some(years)) = (name, sex, years) else { return Err(wrong()) };
    let sex = match sex {
        "111" => Sex::Male,
        "112" => Sex::Female,
        _ => return Err(wrong()),
    };
    let years = values::whole_age(years)?;
    let stem = stem(name);
    let photograph = stem.split_once('-').map_or(stem, |(number, _)| number);
    let sample = Sample::new(file, Split::of_key(photograph));
    Ok(Sample { sex: Some(sex), group: Some(photograph.to_owned()), ..sample }
        .with(Task::Age, Annotation::value(years)))
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
    fn agedb_file_names_are_parsed() {
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
    fn afad_folders_are_parsed() {
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

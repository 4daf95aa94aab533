//! Parsing and checking label values. All adapters use these, so that the same
//! limits hold for every dataset.

use dldl_label::Task;

use crate::format::LabelInfo;

/// The highest accepted age in years. It is above the highest label (100) because
/// published datasets hold real ages up to 116; 2014 or 20140101 is an error in the
/// table.
const MAX_AGE: f64 = 120.0;
/// The highest accepted score in tables with a scale of their own.
const MAX_SCORE: f64 = 100.0;

/// An age in years, with or without the unit.
pub(crate) fn age(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix("years").or_else(|| text.strip_suffix("year"));
    within(number.map_or(text, str::trim_end), "age", 0.0, MAX_AGE).map_err(|_| {
        let reason = invalid(text, "age", 0.0, MAX_AGE);
        match parse(text) {
            Some(year) if (1850.0..2100.0).contains(&year) => {
                reason + " (is this a year of birth?)"
            }
            _ => reason,
        }
    })
}

/// An age in whole years, written in digits only, as in file names.
pub(crate) fn whole_age(text: &str) -> Result<f64, String> {
    if is_digits(text) { age(text) } else { Err(invalid(text, "age", 0.0, MAX_AGE)) }
}

/// A score on a scale that is not known in advance.
pub(crate) fn score(text: &str) -> Result<f64, String> {
    within(text, "score", 0.0, MAX_SCORE)
}

/// A score on the scale of a dataset.
pub(crate) fn score_of(info: &LabelInfo, text: &str) -> Result<f64, String> {
    debug_assert_eq!(info.task, Task::Attractiveness);
    within(text, "score", info.min, info.max)
}

/// A finite number of at least 0; `what` names it in the error.
pub(crate) fn number(text: &str, what: &str) -> Result<f64, String> {
    let value = parse(text).filter(|v| v.is_finite() && *v >= 0.0);
    value.ok_or_else(|| format!("invalid {what} `{text}`: expected a number from 0"))
}

/// Whether a text is a sequence of ASCII digits, at least one.
pub(crate) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// A number, also with a decimal comma (`24,5`). A comma before three digits may separate
/// thousands: it is refused.
fn parse(text: &str) -> Option<f64> {
    match text.split_once(',') {
        Some((whole, part)) if is_digits(part) && part.len() < 3 => {
            format!("{whole}.{part}").parse().ok()
        }
        _ => text.parse().ok(),
    }
}

fn within(text: &str, what: &str, min: f64, max: f64) -> Result<f64, String> {
    let value = parse(text).filter(|v| (min..=max).contains(v));
    value.ok_or_else(|| invalid(text, what, min, max))
}

fn invalid(text: &str, what: &str, min: f64, max: f64) -> String {
    format!("invalid {what} `{text}`: expected a number from {min} to {max}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_bounded() {
        for (text, value) in [("0", 0.0), ("116", 116.0), ("120", 120.0), ("31.5", 31.5)] {
            assert_eq!(age(text), Ok(value));
        }
        for (text, value) in [("24,5", 24.5), ("24 years", 24.0), ("1 year", 1.0)] {
            assert_eq!(age(text), Ok(value));
        }
        assert!(age("1990").unwrap_err().ends_with("(is this a year of birth?)"));
        for text in [
            "",
            "old",
            "-1",
            "-31",
            "120.5",
            "1,000",
            "18 months",
            "20140101",
            "1e12",
            "inf",
            "NaN",
        ] {
            let reason = format!("invalid age `{text}`: expected a number from 0 to 120");
            assert_eq!(age(text), Err(reason));
        }
        assert_eq!(whole_age("007"), Ok(7.0));
        for text in ["+4", "3.5", "", "255", "1e1"] {
            assert!(whole_age(text).is_err(), "{text}");
        }
    }

    #[test]
    fn scores_are_bounded_by_the_scale() {
        let info = crate::format::attractiveness(7.0, "", 1.0);
        assert_eq!(score_of(&info, "7"), Ok(7.0));
        let reason = score_of(&info, "7.5").unwrap_err();
        assert_eq!(reason, "invalid score `7.5`: expected a number from 1 to 7");
        assert_eq!(score("10"), Ok(10.0));
        assert!(score("1e12").is_err() && score("-1").is_err());
        assert!(number("-1", "sigma").is_err() && number("1e300", "sigma").is_ok());
    }
}

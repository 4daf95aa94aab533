//! A part of a task that several machines share: [`mod@crate::prepare`] and evaluations do one
//! each, and [`mod@crate::merge`] joins what they made.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One of several parts of nearly the same size, as text `2/8`: the second of eight. The parts of
/// a list are consecutive, so that their results only have to be put one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Part {
    number: usize,
    of: usize,
}

/// A text that is not a part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid part `{0}`: expected one such as 2/8, the second of eight")]
pub struct InvalidPart(String);

impl Part {
    /// Its number, from 1.
    pub fn number(self) -> usize {
        self.number
    }

    /// How many parts there are.
    pub fn of(self) -> usize {
        self.of
    }

    /// The indices of its share of a list.
    pub fn range(self, len: usize) -> Range<usize> {
        let end = |number: usize| (len as u128 * number as u128 / self.of as u128) as usize;
        end(self.number - 1)..end(self.number)
    }

    /// Checks that these are all parts, each once, and returns their order.
    ///
    /// # Errors
    /// Which one is missing, or there twice.
    pub fn order(parts: &[Part]) -> Result<Vec<usize>, String> {
        let Some(first) = parts.first() else { return Err("there are no parts".into()) };
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by_key(|&i| parts[i].number);
        if let Some(other) = parts.iter().find(|part| part.of != first.of) {
            return Err(format!("part {first} and part {other} are of different divisions"));
        }
        for (number, &i) in (1..).zip(&order) {
            match parts[i].number {
                found if found > number => {
                    return Err(format!("part {number}/{} is missing", first.of));
                }
                found if found < number => return Err(format!("part {} is there twice", parts[i])),
                _ => (),
            }
        }
        match parts.len() < first.of {
            true => Err(format!("part {}/{} is missing", parts.len() + 1, first.of)),
            false => Ok(order),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Part {
    type Err = InvalidPart;

    fn from_str(text: &str) -> Result<Self, InvalidPart> {
        let invalid = || InvalidPart(text.to_owned());
        let (number, of) = text.split_once('/').ok_or_else(invalid)?;
        let [number, of] = [number, of].map(|n| n.trim().parse().ok());
        match (number, of) {
            (Some(number), Some(of)) if 0 < number && number <= of => Ok(Self { number, of }),
            _ => Err(invalid()),
        }
    }
}

impl TryFrom<String> for Part {
    type Error = InvalidPart;

    fn try_from(text: String) -> Result<Self, InvalidPart> {
        text.parse()
    }
}

impl From<Part> for String {
    fn from(part: Part) -> Self {
        part.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str) -> Part {
        text.parse().unwrap()
    }

    #[test]
    fn parts_cover_a_list_once_in_order() {
        for (len, of) in [(0, 3), (1, 3), (10, 3), (9, 3), (1000, 7), (usize::MAX, 2)] {
            let ranges: Vec<_> =
                (1..=of).map(|number| part(&format!("{number}/{of}")).range(len)).collect();
            assert_eq!((ranges[0].start, ranges[of - 1].end), (0, len));
            assert!(ranges.windows(2).all(|two| two[0].end == two[1].start));
            let sizes: Vec<usize> = ranges.iter().map(|range| range.len()).collect();
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1);
        }
    }

    #[test]
    fn parts_are_written_as_fractions() {
        assert_eq!((part("2/8").number(), part(" 2 / 8").of()), (2, 8));
        assert_eq!(serde_json::to_string(&part("2/8")).unwrap(), "\"2/8\"");
        assert_eq!(serde_json::from_str::<Part>("\"2/8\"").unwrap(), part("2/8"));
        for bad in ["", "2", "0/3", "4/3", "-1/3", "1/0", "a/b", "1/2/3"] {
            assert!(bad.parse::<Part>().is_err(), "{bad}");
        }
    }

    #[test]
    fn incomplete_sets_of_parts_are_refused() {
        let order =
            |texts: &[&str]| Part::order(&texts.iter().map(|text| part(text)).collect::<Vec<_>>());
        assert_eq!(order(&["2/3", "3/3", "1/3"]), Ok(vec![2, 0, 1]));
        assert_eq!(order(&["1/1"]), Ok(vec![0]));
        assert!(order(&["1/3", "3/3"]).unwrap_err().contains("2/3 is missing"));
        assert!(order(&["1/3", "2/3"]).unwrap_err().contains("3/3 is missing"));
        assert!(order(&["1/3", "2/3", "2/3"]).unwrap_err().contains("2/3 is there twice"));
        assert!(order(&["1/2", "2/3"]).unwrap_err().contains("different"));
        assert!(order(&[]).is_err());
    }
}

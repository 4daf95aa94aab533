//! What is estimated: the quantity that a label, a head or an estimate is of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::LabelError;

/// What is estimated. As text, in JSON and on the command line: `age`,
/// `attractiveness`, `real_age`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Task {
    /// Age in years: apparent where a dataset distinguishes the two.
    Age,
    /// Attractiveness, on the scale of the dataset's raters.
    Attractiveness,
    /// Chronological age in years, in datasets whose [`Task::Age`] is the age
    /// that people look.
    RealAge,
}

impl Task {
    /// All tasks.
    pub const ALL: [Task; 3] = [Task::Age, Task::Attractiveness, Task::RealAge];

    /// Its name in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Task::Age => "age",
            Task::Attractiveness => "attractiveness",
            Task::RealAge => "real_age",
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Task {
    type Err = LabelError;

    fn from_str(name: &str) -> Result<Self, LabelError> {
        let known = Task::ALL.into_iter().find(|task| task.name() == name);
        known.ok_or_else(|| LabelError::UnknownTask { name: name.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_text_and_json() {
        for task in Task::ALL {
            assert_eq!(task.name().parse(), Ok(task));
            assert_eq!(serde_json::to_value(task).unwrap(), task.name());
        }
        let unknown = "weight".parse::<Task>().unwrap_err().to_string();
        assert!(unknown.contains("`weight`") && unknown.contains("attractiveness"), "{unknown}");
    }
}

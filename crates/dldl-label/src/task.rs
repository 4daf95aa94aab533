//! The quantity that is estimated.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::LabelError;

/// The quantity that a label, a head or an estimate refers to. Written as `age`,
/// `attractiveness` or `real_age`, in JSON and on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Task {
    /// Age in years: the apparent age in datasets that also have the real one.
    Age,
    /// Attractiveness, on the rating scale of the dataset.
    Attractiveness,
    /// Chronological age in years, in datasets whose [`Task::Age`] is the apparent
    /// age.
    RealAge,
}

impl Task {
    /// All tasks.
    pub const ALL: [Task; 3] = [Task::Age, Task::Attractiveness, Task::RealAge];

    /// The name in files and on the command line.
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

//! The query of an estimate.

use dldl::{ModelInfo, RecordOptions, Task, check_thresholds};

use crate::problem::Problem;

/// The parameters that are known, for messages.
const KNOWN: &str = "level, distribution, threshold, min_quality, task";

/// What a request asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parameters {
    pub options: RecordOptions,
    /// The only task whose estimates are wanted.
    pub task: Option<Task>,
}

impl Parameters {
    /// Reads a query; what it does not contain is as in `defaults`.
    pub fn parse(
        query: &str,
        defaults: &RecordOptions,
        model: &ModelInfo,
    ) -> Result<Self, Problem> {
        let mut options = defaults.clone();
        let mut thresholds = Vec::new();
        let mut task = None;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let expected = |what: &str| {
                let shown: String = value.chars().take(40).collect();
                Problem::bad_parameter(format!("invalid {name} `{shown}`: expected {what}"))
            };
            match &*name {
                "level" => {
                    let right = |level: &f64| 0.0 < *level && *level < 1.0;
                    options.level = number(&value)
                        .filter(right)
                        .ok_or_else(|| expected("a number between 0 and 1, such as 0.9"))?;
                }
                "distribution" => {
                    options.distribution = match &*value {
                        "" | "true" | "1" => true,
                        "false" | "0" => false,
                        _ => return Err(expected("true or false")),
                    };
                }
                "threshold" => {
                    for part in value.split(',').filter(|_| !value.is_empty()) {
                        let age = number(part).ok_or_else(|| expected("an age, such as 25"))?;
                        if !thresholds.contains(&age) {
                            thresholds.push(age);
                        }
                    }
                }
                "min_quality" => {
                    options.min_quality = number(&value)
                        .filter(|quality| (0.0..=1.0).contains(quality))
                        .ok_or_else(|| expected("a number from 0 to 1"))?;
                }
                "task" => {
                    let tasks = model.heads.iter().map(|head| head.task);
                    let names: Vec<&str> = tasks.clone().map(|task| task.name()).collect();
                    let named = tasks.clone().find(|task| task.name() == value);
                    task = Some(named.ok_or_else(|| expected(&names.join(" or ")))?);
                }
                _ => {
                    let shown: String = name.chars().take(40).collect();
                    let text = format!("unknown parameter `{shown}`: expected one of {KNOWN}");
                    return Err(Problem::bad_parameter(text));
                }
            }
        }
        if !thresholds.is_empty() {
            check_thresholds(model, &thresholds)
                .map_err(|e| Problem::bad_parameter(e.to_string()))?;
            options.thresholds = thresholds;
        }
        Ok(Self { options, task })
    }
}

fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|v: &f64| v.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_replace_the_defaults() {
        let model = dldl::models::info("tiny").unwrap();
        let defaults = RecordOptions { thresholds: vec![18.0], ..RecordOptions::default() };
        let parse = |query: &str| Parameters::parse(query, &defaults, &model);
        let same = Parameters { options: defaults.clone(), task: None };
        assert_eq!(parse("").unwrap(), same);
        let all = "level=0.8&distribution&threshold=25,30&threshold=25&min_quality=0.5&task=age";
        let all = parse(all).unwrap();
        assert_eq!(all.task, Some(Task::Age));
        let options = RecordOptions {
            level: 0.8,
            distribution: true,
            thresholds: vec![25.0, 30.0],
            min_quality: 0.5,
        };
        assert_eq!(all.options, options);
    }

    #[test]
    fn wrong_queries_are_refused_by_name() {
        let model = dldl::models::info("tiny").unwrap();
        for (query, part) in [
            ("level=90", "invalid level `90`"),
            ("level=nan", "between 0 and 1"),
            ("distribution=yes", "true or false"),
            ("threshold=18,x", "expected an age"),
            ("threshold=180", "not in the model's range"),
            ("min_quality=-1", "from 0 to 1"),
            ("task=height", "expected age or attractiveness"),
            ("levle=0.9", "unknown parameter `levle`"),
        ] {
            let problem = Parameters::parse(query, &RecordOptions::default(), &model).unwrap_err();
            assert_eq!((problem.status.as_u16(), problem.code), (400, "bad-parameter"));
            assert!(problem.detail.contains(part), "{query}: {}", problem.detail);
        }
    }
}

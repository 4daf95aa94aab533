//! Evaluation protocols, metrics and reports.

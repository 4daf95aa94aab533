//! The progress bar on stderr. There is none where stderr is no terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar for so many pictures, or none where one would only flicker.
pub fn bar(total: usize) -> ProgressBar {
    if total < 2 {
        return ProgressBar::hidden();
    }
    // Indicatif draws on stderr, and only on a terminal.
    let bar = ProgressBar::new(total as u64);
    bar.set_style(style("{bar:30} {pos}/{len} pictures, {eta} left"));
    bar
}

/// A style from its template, without colors.
pub fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a valid template").progress_chars("=> ")
}

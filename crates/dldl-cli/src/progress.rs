//! The progress bar on stderr, shown only if stderr is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over `total` pictures; hidden for a single one, where it would only flicker.
pub fn bar(total: usize) -> ProgressBar {
    if total < 2 {
        return ProgressBar::hidden();
    }
    // Indicatif draws on stderr, and only if it is a terminal.
    let bar = ProgressBar::new(total as u64);
    bar.set_style(style("{bar:30} {pos}/{len} pictures, {eta} left"));
    bar
}

/// A style from its template, without colors.
pub fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a valid template").progress_chars("=> ")
}

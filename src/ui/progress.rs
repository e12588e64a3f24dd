//! A line that says what is going on, on a terminal only and only when it takes a while.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::Ui;
use super::visible::visible;

/// A line on standard error that disappears when dropped.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// Starts it, hidden where there is no terminal.
    #[must_use]
    pub fn start(ui: Ui, message: &str) -> Self {
        if !ui.progress {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner().with_message(visible(message).into_owned());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(bar)
    }

    /// Says what is going on now.
    pub fn say(&self, message: &str) {
        self.0.set_message(visible(message).into_owned());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

//! How far long work has come: a bar on a terminal, a plain line every few seconds elsewhere.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Time between plain lines.
const EVERY: Duration = Duration::from_secs(10);
/// Time between changes of the bar.
const BAR_EVERY: Duration = Duration::from_millis(100);

/// Progress of one piece of work, on standard error.
pub struct Progress {
    bar: Option<ProgressBar>,
    plain: bool,
    what: String,
    total: u64,
    start: Instant,
    last: Cell<Instant>,
}

impl Progress {
    /// Work of `total` units; silent if `quiet`.
    pub fn new(total: u64, what: &str, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = (!quiet && terminal).then(|| {
            let bar = ProgressBar::new(total);
            let style = ProgressStyle::with_template("{prefix} [{bar:32}] {pos}/{len}  {msg}  {elapsed} +{eta}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
            bar.set_prefix(what.to_owned());
            bar
        });
        let now = Instant::now();
        Self { bar, plain: !quiet && !terminal, what: what.to_owned(), total, start: now, last: Cell::new(now) }
    }

    /// `done` units are done. Shows it if it is time to; the message is made only then.
    pub fn at(&self, done: u64, message: impl FnOnce() -> String) {
        let every = if self.bar.is_some() { BAR_EVERY } else { EVERY };
        if (self.bar.is_none() && !self.plain) || self.last.get().elapsed() < every {
            return;
        }
        self.last.set(Instant::now());
        let message = message();
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(message);
        } else {
            let elapsed = self.start.elapsed().as_secs_f64();
            let left = elapsed / done.max(1) as f64 * self.total.saturating_sub(done) as f64;
            let sep = if message.is_empty() { "" } else { ", " };
            eprintln!("{}: {done} of {}{sep}{message}, {left:.0} s left", self.what, self.total);
        }
    }

    /// The work is of `total` units after all.
    pub fn resize(&mut self, total: u64) {
        self.total = total;
        if let Some(bar) = &self.bar {
            bar.set_length(total);
        }
    }

    /// The work is over; the bar goes away.
    pub fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

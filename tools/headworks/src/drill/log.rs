//! What a node says, and when: its standard error, followed as it grows.
//!
//! A drill takes the moment at which something was noticed from here, since a line is written at that moment, and asking from outside would add
//! its own interval. That it is so is taken from the node's status. Nodes and drill share one host and so one clock.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

#[cfg(test)]
mod tests;

/// What a drill listens for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It has swapped the register, promised the epoch, and begins to lead in it.
    Leading(u64),
    /// Records are committed here only: the register says so.
    Alone,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// When, in ns since 1970.
    pub at_ns: u64,
    /// What.
    pub said: Said,
}

/// A file that grows.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    read_bytes: u64,
    partial: String,
}

impl Log {
    /// Of that file, from its start.
    pub fn new(path: PathBuf) -> Log {
        Log { path, read_bytes: 0, partial: String::new() }
    }

    /// Where it is.
    pub fn path(&self) -> &PathBuf {
        &self.path
    }

    /// What was said since the last look.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn follow(&mut self) -> std::io::Result<Vec<Line>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(self.read_bytes))?;
        let mut bytes = Vec::new();
        self.read_bytes += file.read_to_end(&mut bytes)? as u64;
        self.partial.push_str(&String::from_utf8_lossy(&bytes));
        let whole = self.partial.rfind('\n').map_or(0, |at| at + 1);
        let rest = self.partial.split_off(whole);
        let whole = std::mem::replace(&mut self.partial, rest);
        Ok(whole.lines().filter_map(parse).collect())
    }
}

/// `2026-11-28T10:03:02.123456Z  INFO leading epoch=3`
fn parse(line: &str) -> Option<Line> {
    let (time, rest) = line.split_once(' ')?;
    let (_level, text) = rest.trim_start().split_once(' ')?;
    Some(Line { at_ns: since_1970(time)?, said: said(text.trim_start())? })
}

fn said(text: &str) -> Option<Said> {
    let epoch = || text.rsplit_once("epoch=")?.1.trim().parse().ok();
    match text {
        _ if text.starts_with("leading ") => epoch().map(Said::Leading),
        _ if text.starts_with("alone:") => Some(Said::Alone),
        _ => None,
    }
}

/// RFC 3339 in UTC, with any number of digits behind the second.
fn since_1970(time: &str) -> Option<u64> {
    let (date, clock) = time.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.split('-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut clock = clock.split(':').map(|part| part.parse::<u64>().ok());
    let seconds = clock.next()?? * 3600 + clock.next()?? * 60 + clock.next()??;
    let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    // Days since 1970 of the civil calendar, with years that begin in March, so that a leap day is the last of its year.
    let (shifted, from_march) = (year.checked_sub(u64::from(month < 3))?, (month + 9) % 12);
    let days = 365 * shifted + shifted / 4 - shifted / 100 + shifted / 400 + (153 * from_march + 2) / 5 + day - 1;
    let since = days.checked_sub(719_468)? * 86_400 + seconds;
    Some(since * 1_000_000_000 + digits.parse::<u64>().ok()?)
}

//! The effective configuration as TOML that reads back as itself, each value with the place it was written.
//!
//! ```text
//! [log]
//! segment = "256MiB"              # default
//! linger = "5ms"                  # --set log.linger=5ms
//! ```

use std::fmt;

use super::error::Place;
use super::schema::{ARBITER, HTTP, KAFKA, LISTENER, LOG, NODE, PAIR, STREAM, Setting, quote};
use super::{Origin, Resolved};

const COMMENT_COLUMN: usize = 40;

impl fmt::Display for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.config;
        match &config.origin {
            Origin::Embedded => writeln!(f, "# Effective configuration, over the embedded default.")?,
            Origin::File(path) => writeln!(f, "# Effective configuration, over {:?}.", path.display().to_string())?,
        }
        if config.listeners.is_empty() {
            // An absent section would mean the default listener; and after the first table the key would belong to that table.
            writeln!(f, "listener = []")?;
        }
        self.table(f, "node", NODE, &config.node)?;
        self.table(f, "log", LOG, &config.log)?;
        for stream in &config.streams {
            self.entry(f, "stream", &stream.name, STREAM, stream)?;
        }
        for listener in &config.listeners {
            self.entry(f, "listener", &listener.name, LISTENER, listener)?;
        }
        self.table(f, "kafka", KAFKA, &config.kafka)?;
        self.table(f, "http", HTTP, &config.http)?;
        if let Some(pair) = &config.pair {
            self.table(f, "pair", PAIR, pair)?;
        }
        if let Some(arbiter) = &config.arbiter {
            self.table(f, "arbiter", ARBITER, arbiter)?;
        }
        Ok(())
    }
}

impl Resolved {
    fn table<T>(&self, f: &mut fmt::Formatter<'_>, name: &str, settings: &[Setting<T>], section: &T) -> fmt::Result {
        writeln!(f, "\n[{name}]")?;
        self.keys(f, name, settings, section)
    }

    fn entry<T>(&self, f: &mut fmt::Formatter<'_>, list: &str, name: &str, settings: &[Setting<T>], section: &T) -> fmt::Result {
        writeln!(f, "\n[[{list}]]\nname = {}", quote(name))?;
        self.keys(f, &format!("{list}.{name}"), settings, section)
    }

    fn keys<T>(&self, f: &mut fmt::Formatter<'_>, prefix: &str, settings: &[Setting<T>], section: &T) -> fmt::Result {
        for setting in settings {
            let Some(value) = (setting.show)(section) else { continue };
            let line = format!("{} = {value}", setting.key);
            let place = self.place(&format!("{prefix}.{}", setting.key));
            writeln!(f, "{line:<COMMENT_COLUMN$} # {place}")?;
        }
        Ok(())
    }

    /// One comment line: a place may quote what was typed, which may hold anything.
    fn place(&self, path: &str) -> String {
        let place = match self.places.get(path) {
            None | Some(Place::Embedded) => "default".to_owned(),
            Some(Place::File { at: Some((line, _)), .. }) => format!("line {line}"),
            Some(place) => place.to_string(),
        };
        place.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    }
}

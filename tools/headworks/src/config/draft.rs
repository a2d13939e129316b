//! The settings while the sources are laid over each other: the values, where each was written, and what was wrong so far.
//!
//! A value that is refused leaves the one before it in place and marks its key, so that checks between keys stay silent about a key whose
//! own error is already listed: one mistake, one message.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{ConfigError, Place};
use super::schema::{ARBITER, HTTP, KAFKA, LISTENER, LOG, NODE, PAIR, STREAM, Setting, nearest, unbuilt};
use super::value::Value;
use super::{Arbiter, Config, Listener, Pair, Stream};

/// Where each written value stands, by the key's path. A key that is absent here has the embedded default.
pub type Places = BTreeMap<String, Place>;

/// Which table of the configuration a key belongs to.
#[derive(Clone, Copy, Debug)]
pub enum Owner {
    /// `[node]`.
    Node,
    /// `[log]`.
    Log,
    /// The stream at this index.
    Stream(usize),
    /// The listener at this index.
    Listener(usize),
    /// `[kafka]`.
    Kafka,
    /// `[http]`.
    Http,
    /// `[pair]`.
    Pair,
    /// `[arbiter]`.
    Arbiter,
}

enum Refusal {
    Unknown,
    Bad(String),
}

/// The settings under way.
pub struct Draft {
    /// The values so far.
    pub config: Config,
    /// Where they were written.
    pub places: Places,
    errors: Vec<ConfigError>,
    failed: BTreeSet<String>,
}

impl Draft {
    /// Starts from `config`, of which nothing has been written yet.
    pub fn new(config: Config) -> Draft {
        Draft { config, places: Places::new(), errors: Vec::new(), failed: BTreeSet::new() }
    }

    /// The path of a table: `log`, `listener.udp`.
    pub fn prefix(&self, owner: Owner) -> String {
        match owner {
            Owner::Node => "node".to_owned(),
            Owner::Log => "log".to_owned(),
            Owner::Stream(at) => format!("stream.{}", self.config.streams[at].name),
            Owner::Listener(at) => format!("listener.{}", self.config.listeners[at].name),
            Owner::Kafka => "kafka".to_owned(),
            Owner::Http => "http".to_owned(),
            Owner::Pair => "pair".to_owned(),
            Owner::Arbiter => "arbiter".to_owned(),
        }
    }

    /// Every table there is, in the order in which they are shown.
    pub fn owners(&self) -> Vec<Owner> {
        let mut owners = vec![Owner::Node, Owner::Log];
        owners.extend((0..self.config.streams.len()).map(Owner::Stream));
        owners.extend((0..self.config.listeners.len()).map(Owner::Listener));
        owners.extend([Owner::Kafka, Owner::Http, Owner::Pair, Owner::Arbiter]);
        owners
    }

    /// The keys of a table, in the order in which they are shown.
    pub fn keys(owner: Owner) -> Vec<&'static str> {
        fn of<T>(settings: &[Setting<T>]) -> Vec<&'static str> {
            settings.iter().map(|setting| setting.key).collect()
        }
        match owner {
            Owner::Node => of(NODE),
            Owner::Log => of(LOG),
            Owner::Stream(_) => of(STREAM),
            Owner::Listener(_) => of(LISTENER),
            Owner::Kafka => of(KAFKA),
            Owner::Http => of(HTTP),
            Owner::Pair => of(PAIR),
            Owner::Arbiter => of(ARBITER),
        }
    }

    /// Every path that can be written now.
    pub fn paths(&self) -> Vec<String> {
        let path = |owner| Draft::keys(owner).into_iter().map(move |key| format!("{}.{key}", self.prefix(owner)));
        self.owners().into_iter().flat_map(path).collect()
    }

    /// The table and key of a path.
    pub fn locate(&self, path: &str) -> Option<(Owner, &'static str)> {
        self.owners().into_iter().find_map(|owner| {
            let rest = path.strip_prefix(&self.prefix(owner))?.strip_prefix('.')?;
            Draft::keys(owner).into_iter().find(|key| *key == rest).map(|key| (owner, key))
        })
    }

    /// Writes one key of a table, or notes why not.
    pub fn assign(&mut self, owner: Owner, key: &str, value: &Value, place: Place) {
        let path = format!("{}.{key}", self.prefix(owner));
        let config = &mut self.config;
        let outcome = match owner {
            Owner::Node => write(NODE, &mut config.node, key, value),
            Owner::Log => write(LOG, &mut config.log, key, value),
            Owner::Stream(at) => write(STREAM, &mut config.streams[at], key, value),
            Owner::Listener(at) => write(LISTENER, &mut config.listeners[at], key, value),
            Owner::Kafka => write(KAFKA, &mut config.kafka, key, value),
            Owner::Http => write(HTTP, &mut config.http, key, value),
            // Written at all, the section is there: what else it needs is checked when all sources are laid.
            Owner::Pair => write(PAIR, config.pair.get_or_insert_with(Pair::unset), key, value),
            Owner::Arbiter => write(ARBITER, config.arbiter.get_or_insert_with(Arbiter::unset), key, value),
        };
        match outcome {
            Ok(()) => {
                // A later source may mend what an earlier one had wrong, but the earlier error stays listed: the file is still wrong.
                self.places.insert(path, place);
            }
            Err(Refusal::Unknown) => self.refuse_unknown(place, path, "unknown key".to_owned()),
            Err(Refusal::Bad(reason)) => self.refuse(place, path, reason),
        }
    }

    /// Notes a problem of one key.
    pub fn refuse(&mut self, place: Place, key: String, reason: String) {
        self.failed.insert(key.clone());
        self.errors.push(ConfigError { place, key, reason, nearest: None });
    }

    /// Notes a key that does not exist: with the nearest one that does, or with the reason why this release has not got it.
    pub fn refuse_unknown(&mut self, place: Place, key: String, reason: String) {
        if let Some(reason) = unbuilt(&key) {
            return self.refuse(place, key, reason);
        }
        let known = self.paths();
        let nearest = nearest(&key, known.iter().map(String::as_str));
        self.refuse_near(place, key, reason, nearest);
    }

    /// As [`Draft::refuse`], with the nearest valid key already found.
    pub fn refuse_near(&mut self, place: Place, key: String, reason: String, nearest: Option<String>) {
        self.failed.insert(key.clone());
        self.errors.push(ConfigError { place, key, reason, nearest });
    }

    /// Notes a problem that lies between `keys`, at the last-written of them (the first of those written together); silent when one of them has its own error.
    pub fn relate(&mut self, keys: &[&str], reason: String) {
        if keys.iter().any(|key| self.failed.contains(*key)) {
            return;
        }
        let place_of = |key: &str| self.places.get(key).cloned().unwrap_or(Place::Embedded);
        let Some((place, key)) = keys.iter().rev().map(|key| (place_of(key), *key)).max_by(|a, b| a.0.cmp(&b.0)) else {
            return;
        };
        self.refuse(place, key.to_owned(), reason);
    }

    /// Whether entries of a list could not be taken over, so that a name which is not there may still have been written.
    pub fn has_lost_entries(&self, list: &str) -> bool {
        self.failed.iter().any(|key| key.strip_prefix(list).is_some_and(|rest| rest.is_empty() || rest.starts_with('[')))
    }

    /// `[pair]` is there, even if nothing stands in it.
    pub fn begin_pair(&mut self, place: Place) {
        self.config.pair.get_or_insert_with(Pair::unset);
        self.places.insert("pair".to_owned(), place);
    }

    /// `[arbiter]` is there, even if nothing stands in it.
    pub fn begin_arbiter(&mut self, place: Place) {
        self.config.arbiter.get_or_insert_with(Arbiter::unset);
        self.places.insert("arbiter".to_owned(), place);
    }

    /// Whether a key of this section was written, rightly or not.
    pub fn is_written(&self, path: &str) -> bool {
        self.places.contains_key(path) || self.failed.contains(path)
    }

    /// Where a section begins: its line in the file, or the first of its keys that is written elsewhere.
    pub fn place_of_section(&self, section: &str) -> Place {
        let of_section = |key: &str| key.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        self.places.iter().filter(|(key, _)| of_section(key)).map(|(_, place)| place).min().cloned().unwrap_or(Place::Embedded)
    }

    /// Adds a stream with default settings; its index.
    pub fn add_stream(&mut self, name: &str) -> usize {
        self.config.streams.push(Stream::named(name));
        self.config.streams.len() - 1
    }

    /// Adds a listener with default settings, which feeds no stream yet; its index.
    pub fn add_listener(&mut self, name: &str) -> usize {
        self.config.listeners.push(Listener::named(name, ""));
        self.config.listeners.len() - 1
    }

    /// The settings, or every problem.
    pub fn finish(self) -> Result<(Config, Places), Vec<ConfigError>> {
        if self.errors.is_empty() { Ok((self.config, self.places)) } else { Err(self.errors) }
    }
}

fn write<T>(settings: &[Setting<T>], section: &mut T, key: &str, value: &Value) -> Result<(), Refusal> {
    let setting = settings.iter().find(|setting| setting.key == key).ok_or(Refusal::Unknown)?;
    (setting.read)(section, value).map_err(Refusal::Bad)
}

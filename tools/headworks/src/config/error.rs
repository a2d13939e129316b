//! What is wrong with a configuration, where it was written, and what to write instead.
//!
//! Every problem is listed at once, in the order of the sources, so that one run of `check-config` is enough:
//! ```text
//! headworks.toml line 4, column 1: log.lingr: unknown key; the nearest valid key is `log.linger`
//! ```

use std::fmt;
use std::path::PathBuf;

/// Where a value was written. The order is the order of the sources, each later one over the ones before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The embedded default.
    Embedded,
    /// A file; line and column count from 1 and are `None` when the file as a whole is meant.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// Line and column.
        at: Option<(usize, usize)>,
    },
    /// An environment variable.
    Environment(String),
    /// One `--set`, with its position on the command line (from 0) and its whole text.
    Set(usize, String),
    /// `--data`.
    DataFlag,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Embedded => f.write_str("embedded default"),
            Place::File { path, at: None } => write!(f, "{}", path.display()),
            Place::File { path, at: Some((line, column)) } => write!(f, "{} line {line}, column {column}", path.display()),
            Place::Environment(variable) => write!(f, "environment variable {variable}"),
            Place::Set(_, argument) => write!(f, "--set {argument}"),
            Place::DataFlag => f.write_str("--data"),
        }
    }
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where the offending value stands.
    pub place: Place,
    /// The key by its full path (`log.linger`, `listener.udp.address`); empty when the text could not be read as keys and values.
    pub key: String,
    /// What is wrong and what to write instead: one sentence, without the place and the key.
    pub reason: String,
    /// For an unknown key, the valid one that looks most like it.
    pub nearest: Option<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.reason)?;
        match (&self.nearest, &self.place) {
            (Some(nearest), Place::Environment(_)) => {
                write!(f, "; the nearest valid key is `{nearest}` ({})", super::schema::variable(nearest))
            }
            (Some(nearest), _) => write!(f, "; the nearest valid key is `{nearest}`"),
            (None, _) => Ok(()),
        }
    }
}

/// Every problem of one configuration; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// The exit code of a program whose configuration is wrong (`EX_CONFIG`).
    pub const EXIT: u8 = 78;

    /// Sorts by place; `errors` must hold at least one.
    pub fn new(mut errors: Vec<ConfigError>) -> ConfigErrors {
        assert!(!errors.is_empty(), "a refused configuration needs a reason: {} of at least 1", errors.len());
        errors.sort_by(|a, b| a.place.cmp(&b.place));
        ConfigErrors(errors)
    }

    /// The problems, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

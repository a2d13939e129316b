//! One setting's value as it was written, before anything is known about what it should be.
//!
//! A file has types (`gro = true`, `depth = 8`); the environment and `--set` have only text. So every reader here takes the typed form and
//! its text, and `gro = "true"` in a file means what it says. What a reader cannot take comes back as a sentence that names the value seen.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use super::units::{parse_duration, parse_size, show_duration, show_size};

/// A value with the shape its writer gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A string of the file, or anything from the environment and `--set`.
    Text(String),
    /// A whole number of the file.
    Integer(i64),
    /// A boolean of the file.
    Boolean(bool),
    /// An array of the file.
    List(Vec<Value>),
    /// A shape that no setting takes; the name of that shape.
    Foreign(&'static str),
}

impl Value {
    /// The value as text; whole numbers are not text, so that `name = 7` is answered and not guessed at.
    pub fn text(&self) -> Result<&str, String> {
        match self {
            Value::Text(text) => Ok(text),
            other => Err(format!("{} where a text in quotes is wanted", other.seen())),
        }
    }

    /// `true` or `false`.
    pub fn flag(&self) -> Result<bool, String> {
        match self {
            Value::Boolean(flag) => Ok(*flag),
            Value::Text(text) if text == "true" => Ok(true),
            Value::Text(text) if text == "false" => Ok(false),
            other => Err(format!("{} where true or false is wanted", other.seen())),
        }
    }

    /// A whole number within `range`.
    pub fn whole(&self, range: RangeInclusive<u32>) -> Result<u32, String> {
        let number = match self {
            Value::Integer(number) => u32::try_from(*number).ok(),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        let wanted = || format!("{} where a whole number from {} to {} is wanted", self.seen(), range.start(), range.end());
        number.filter(|number| range.contains(number)).ok_or_else(wanted)
    }

    /// Bytes within `range`.
    pub fn size(&self, range: RangeInclusive<u64>) -> Result<u64, String> {
        self.measure(&range, parse_size, show_size, "a size with its unit, such as \"256MiB\",")
    }

    /// Nanoseconds within `range`.
    pub fn duration(&self, range: RangeInclusive<u64>) -> Result<u64, String> {
        self.measure(&range, parse_duration, show_duration, "a duration with its unit, such as \"2ms\",")
    }

    /// An IP address and port; names are refused, because a bind that depends on a resolver fails at the wrong time.
    pub fn address(&self) -> Result<SocketAddr, String> {
        let text = self.text()?;
        text.parse().map_err(|_| {
            format!("`{text}` is not an IP address with a port: write it as 127.0.0.1:9000 or [::1]:9000 (port 0 picks a free one)")
        })
    }

    /// One of `words`, each with what it stands for.
    pub fn choice<T: Clone>(&self, words: &[(&str, T)]) -> Result<T, String> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| meaning.clone());
        let known = || words.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        found.ok_or_else(|| format!("`{text}` is not one of {}", known()))
    }

    /// Whether the value is this very word, such as `auto`.
    pub fn is_word(&self, word: &str) -> bool {
        matches!(self, Value::Text(text) if text.trim() == word)
    }

    /// The members of a list; a text is cut at its commas, the only way to write a list outside a file.
    pub fn members(&self) -> Vec<Value> {
        match self {
            Value::List(members) => members.clone(),
            Value::Text(text) => text.split(',').map(|member| Value::Text(member.trim().to_owned())).collect(),
            other => vec![other.clone()],
        }
    }

    /// How the value is named in an error.
    pub fn seen(&self) -> String {
        match self {
            Value::Text(text) => format!("`{text}`"),
            Value::Integer(number) => format!("the number `{number}`"),
            Value::Boolean(flag) => format!("`{flag}`"),
            Value::List(_) => "a list".to_owned(),
            Value::Foreign(shape) => (*shape).to_owned(),
        }
    }

    fn measure(
        &self,
        range: &RangeInclusive<u64>,
        parse: fn(&str) -> Result<u64, String>,
        show: fn(u64) -> String,
        wanted: &str,
    ) -> Result<u64, String> {
        let Value::Text(text) = self else {
            return Err(format!("{} where {wanted} is wanted", self.seen()));
        };
        let amount = parse(text)?;
        if range.contains(&amount) {
            return Ok(amount);
        }
        Err(format!("`{text}` is outside the limits: write {} to {}", show(*range.start()), show(*range.end())))
    }
}

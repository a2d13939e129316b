//! The TOML file, walked over a tree that keeps every position.
//!
//! ```text
//! [log]                    table      -> Owner::Log,         key "retention.size" for log.retention = { size = … }
//! [[listener]] name = "x"  list entry -> Owner::Listener(i), paths read listener.x.KEY
//! ```
//! A file that has `[[stream]]` or `[[listener]]` replaces the embedded list as a whole: otherwise no file could take a default socket away.
//! `listener = []` means no listener. Refused: files over 1 MiB, a section of the wrong shape, an entry without a name, a name used twice.

use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::draft::{Draft, Owner};
use super::error::{ConfigError, Place};
use super::schema::{LISTENER_REQUIRED, LISTS, TABLES, listener_name, nearest, stream_name};
use super::value::Value;

const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads a file whole; the error names the file and the system's reason.
pub fn read(path: &Path) -> Result<String, ConfigError> {
    let refuse =
        |reason: String| ConfigError { place: Place::File { path: path.to_owned(), at: None }, key: String::new(), reason, nearest: None };
    let file =
        std::fs::File::open(path).map_err(|error| refuse(format!("cannot be opened: {error}; name a readable file after --config")))?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(refuse(format!(
            "is larger than {FILE_BYTES_MAX} bytes, which no configuration is; name the right file after --config"
        )));
    }
    String::from_utf8(bytes).map_err(|error| refuse(format!("is not UTF-8 text (byte {} of it)", error.utf8_error().valid_up_to())))
}

/// Lays the file's text over the draft.
pub fn apply(draft: &mut Draft, path: &Path, text: &str) {
    let walk = Walk { path: path.to_owned(), text };
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let place = error.span().map_or_else(|| walk.whole(), |span| walk.place(&span));
        draft.refuse(place, String::new(), format!("cannot be read as TOML: {}", error.message()));
    }
    if !errors.is_empty() {
        return;
    }
    // Streams and listeners before the rest, so that a hint about an unknown key knows their names.
    let mut sections: Vec<_> = root.get_ref().iter().collect();
    sections.sort_by_key(|(name, value)| (!LISTS.contains(&name.get_ref().as_ref()), value.span().start));
    for (name, value) in sections {
        walk.section(draft, name, value);
    }
}

struct Walk<'t> {
    path: PathBuf,
    text: &'t str,
}

type Name<'i> = Spanned<std::borrow::Cow<'i, str>>;
type Node<'i> = Spanned<DeValue<'i>>;

impl Walk<'_> {
    fn whole(&self) -> Place {
        Place::File { path: self.path.clone(), at: None }
    }

    fn place(&self, span: &Range<usize>) -> Place {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Place::File { path: self.path.clone(), at: Some((line, column)) }
    }

    fn section(&self, draft: &mut Draft, name: &Name<'_>, value: &Node<'_>) {
        let word = name.get_ref().as_ref();
        let place = self.place(&name.span());
        match (word, value.get_ref()) {
            ("node", DeValue::Table(table)) => self.table(draft, Owner::Node, "", table),
            ("log", DeValue::Table(table)) => self.table(draft, Owner::Log, "", table),
            ("kafka", DeValue::Table(table)) => self.table(draft, Owner::Kafka, "", table),
            ("http", DeValue::Table(table)) => self.table(draft, Owner::Http, "", table),
            ("pair", DeValue::Table(table)) => {
                draft.begin_pair(place);
                self.table(draft, Owner::Pair, "", table);
            }
            ("arbiter", DeValue::Table(table)) => {
                draft.begin_arbiter(place);
                self.table(draft, Owner::Arbiter, "", table);
            }
            ("stream", DeValue::Array(entries)) => self.streams(draft, entries),
            ("listener", DeValue::Array(entries)) => self.listeners(draft, entries),
            (table, _) if TABLES.contains(&table) => draft.refuse(place, word.to_owned(), format!("is not a table: write [{word}]")),
            (list, _) if LISTS.contains(&list) => {
                draft.refuse(place, word.to_owned(), format!("is not a list of tables: write [[{word}]], once for each {word}"));
            }
            _ => self.unknown_section(draft, place, word),
        }
    }

    fn unknown_section(&self, draft: &mut Draft, place: Place, word: &str) {
        let near = nearest(word, TABLES.into_iter().chain(LISTS));
        draft.refuse_near(place, word.to_owned(), "unknown section".to_owned(), near);
    }

    fn table(&self, draft: &mut Draft, owner: Owner, within: &str, table: &DeTable<'_>) {
        for (name, value) in table.iter() {
            let key = format!("{within}{}", name.get_ref());
            if within.is_empty() && key == "name" && matches!(owner, Owner::Stream(_) | Owner::Listener(_)) {
                continue;
            }
            match value.get_ref() {
                DeValue::Table(inner) if matches!(owner, Owner::Log) && key == "retention" => self.table(draft, owner, "retention.", inner),
                shape => draft.assign(owner, &key, &plain(shape), self.place(&name.span())),
            }
        }
    }

    fn streams(&self, draft: &mut Draft, entries: &[Node<'_>]) {
        draft.config.streams.clear();
        for (index, entry) in entries.iter().enumerate() {
            let taken: Vec<String> = draft.config.streams.iter().map(|stream| stream.name.clone()).collect();
            if let Some((table, name)) = self.entry(draft, "stream", (index, entry), stream_name, &taken) {
                let at = draft.add_stream(&name);
                self.table(draft, Owner::Stream(at), "", table);
            }
        }
    }

    fn listeners(&self, draft: &mut Draft, entries: &[Node<'_>]) {
        draft.config.listeners.clear();
        for (index, entry) in entries.iter().enumerate() {
            let taken: Vec<String> = draft.config.listeners.iter().map(|listener| listener.name.clone()).collect();
            if let Some((table, name)) = self.entry(draft, "listener", (index, entry), listener_name, &taken) {
                let at = draft.add_listener(&name);
                self.table(draft, Owner::Listener(at), "", table);
                self.required(draft, &format!("listener.{name}"), entry, table);
            }
        }
    }

    /// The table and checked name of one entry of a list; `None` after noting why it has none.
    fn entry<'e, 'i>(
        &self,
        draft: &mut Draft,
        list: &str,
        (index, entry): (usize, &'e Node<'i>),
        check: fn(&str) -> Result<String, String>,
        taken: &[String],
    ) -> Option<(&'e DeTable<'i>, String)> {
        let nameless = format!("{list}[{index}]");
        let DeValue::Table(table) = entry.get_ref() else {
            draft.refuse(self.place(&entry.span()), nameless, format!("is not a table: write [[{list}]]"));
            return None;
        };
        let Some(name) = table.get("name") else {
            draft.refuse(self.place(&entry.span()), format!("{nameless}.name"), format!("is missing: give every [[{list}]] a name"));
            return None;
        };
        let checked = plain(name.get_ref()).text().and_then(check);
        let unique = checked.and_then(|name| {
            if taken.contains(&name) { Err(format!("a {list} named `{name}` stands above: give each its own name")) } else { Ok(name) }
        });
        unique.map(|name| (table, name)).map_err(|reason| draft.refuse(self.place(&name.span()), format!("{nameless}.name"), reason)).ok()
    }

    fn required(&self, draft: &mut Draft, prefix: &str, entry: &Node<'_>, table: &DeTable<'_>) {
        for key in LISTENER_REQUIRED.into_iter().filter(|key| table.get(*key).is_none()) {
            draft.refuse(
                self.place(&entry.span()),
                format!("{prefix}.{key}"),
                format!("is missing: a [[listener]] needs {}", LISTENER_REQUIRED.join(", ")),
            );
        }
    }
}

fn plain(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix());
            parsed.map_or(Value::Foreign("a number of more than 64 bits"), Value::Integer)
        }
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Array(members) => Value::List(members.iter().map(|member| plain(member.get_ref())).collect()),
        DeValue::Float(_) => Value::Foreign("a number with a fraction"),
        DeValue::Datetime(_) => Value::Foreign("a date or time"),
        DeValue::Table(_) => Value::Foreign("a table"),
    }
}

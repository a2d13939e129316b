//! The sources in their order, and how a name of the environment or of `--set` finds its key.
//!
//! ```text
//! HEADWORKS_LISTENER_UDP_ADDRESS=…   ┐ compared with the table's own paths, written the same way, so names with dots, dashes or
//! --set listener.udp.address=…       ┘ underscores need no rule of their own
//! ```
//! Streams and listeners are addressed by name and are not made here: a misspelt name would otherwise open a second socket.
//!
//! A variable counts as ours when it has the form `HEADWORKS_SECTION_KEY`. Left alone are names of one word (`HEADWORKS_HOME`), which can be no
//! setting, what an orchestrator sets for a service that is called headworks (`HEADWORKS_SERVICE_…`, `HEADWORKS_PORT_…`), and `HEADWORKS_TEST_…`.

use std::ffi::OsString;
use std::path::PathBuf;

use super::draft::Draft;
use super::error::{ConfigErrors, Place};
use super::schema::{LISTS, nearest, unbuilt, variable};
use super::value::Value;
use super::{Config, Origin, Resolved, file, validate};

const PREFIX: &str = "HEADWORKS_";
const FOREIGN: [&str; 3] = ["SERVICE_", "PORT_", "TEST_"];
/// Retention of a configuration that has a file: such a node has a disk of its own, while the embedded default runs in a working directory.
const FILE_RETENTION_BYTES: u64 = 100 << 30;

/// Where settings come from, in rising order.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file after `--config`; no file is read unless it is named.
    pub file: Option<PathBuf>,
    /// The environment, whole; variables of others are passed over.
    pub environment: Vec<(OsString, OsString)>,
    /// Each `--set`, as `section.key=value`.
    pub set: Vec<String>,
    /// `--data`, over everything else.
    pub data: Option<PathBuf>,
}

impl Sources {
    /// The command line's part, with the environment of this process.
    pub fn with_process_environment(file: Option<PathBuf>, data: Option<PathBuf>, set: Vec<String>) -> Sources {
        Sources { file, environment: std::env::vars_os().collect(), set, data }
    }
}

/// Lays the sources over each other and checks the result.
pub fn resolve(sources: &Sources) -> Result<Resolved, ConfigErrors> {
    let mut draft = Draft::new(Config::embedded());
    if let Some(path) = &sources.file {
        let text = file::read(path).map_err(|error| ConfigErrors::new(vec![error]))?;
        draft.config.origin = Origin::File(path.clone());
        draft.config.log.retention.size_bytes = FILE_RETENTION_BYTES;
        file::apply(&mut draft, path, &text);
    }
    environment(&mut draft, &sources.environment);
    for (index, argument) in sources.set.iter().enumerate() {
        set(&mut draft, index, argument);
    }
    if let Some(path) = &sources.data {
        data(&mut draft, path.clone());
    }
    validate::validate(&mut draft);
    let (config, places) = draft.finish().map_err(ConfigErrors::new)?;
    Ok(Resolved { config, places })
}

fn environment(draft: &mut Draft, variables: &[(OsString, OsString)]) {
    // The system keeps no order; sorted, the same environment always gives the same list of errors.
    let mut ours: Vec<(String, &OsString)> =
        variables.iter().filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value))).collect();
    ours.retain(|(name, _)| is_ours(name));
    ours.sort();
    for (name, value) in ours {
        let place = Place::Environment(name.clone());
        match value.to_str() {
            Some(text) => variable_set(draft, &name, text, place),
            None => draft.refuse(place, String::new(), "is not UTF-8 text; write it as such".to_owned()),
        }
    }
}

fn is_ours(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else { return false };
    rest.contains('_') && !FOREIGN.iter().any(|foreign| rest.starts_with(foreign))
}

fn variable_set(draft: &mut Draft, name: &str, text: &str, place: Place) {
    let known = draft.paths();
    let matching: Vec<&String> = known.iter().filter(|path| variable(path) == name).collect();
    match matching.as_slice() {
        [path] => assign(draft, path, text, place),
        [] => unknown_variable(draft, name, &known, place),
        [first, second, ..] => {
            draft.refuse(place, (*first).clone(), format!("could also mean {second}: use --set, which tells the two names apart"));
        }
    }
}

fn unknown_variable(draft: &mut Draft, name: &str, known: &[String], place: Place) {
    // Lower case with the section cut off is as near to a path as a variable's name can be brought.
    let path = name[PREFIX.len()..].to_lowercase().replacen('_', ".", 1);
    if let Some(reason) = unbuilt(&path) {
        return draft.refuse(place, path, reason);
    }
    let spelled: Vec<String> = known.iter().map(|path| variable(path)).collect();
    let best = nearest(name, spelled.iter().map(String::as_str));
    let near = best.and_then(|best| spelled.iter().position(|candidate| *candidate == best)).map(|at| known[at].clone());
    draft.refuse_near(place, path, "unknown key".to_owned(), near);
}

fn set(draft: &mut Draft, index: usize, argument: &str) {
    let place = Place::Set(index, argument.to_owned());
    let Some((path, text)) = argument.split_once('=') else {
        return draft.refuse(place, String::new(), "has no `=`: write --set section.key=value, such as --set log.linger=5ms".to_owned());
    };
    assign(draft, path.trim(), text, place);
}

fn assign(draft: &mut Draft, path: &str, text: &str, place: Place) {
    match draft.locate(path) {
        Some((owner, key)) => draft.assign(owner, key, &Value::Text(text.to_owned()), place),
        None => draft.refuse_unknown(place, path.to_owned(), unknown_reason(draft, path)),
    }
}

fn unknown_reason(draft: &Draft, path: &str) -> String {
    let mut words = path.splitn(2, '.');
    let (section, rest) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if !LISTS.contains(&section) {
        return "unknown key".to_owned();
    }
    let names: Vec<String> = match section {
        "stream" => draft.config.streams.iter().map(|stream| stream.name.clone()).collect(),
        _ => draft.config.listeners.iter().map(|listener| listener.name.clone()).collect(),
    };
    if names.iter().any(|name| rest.strip_prefix(name.as_str()).is_some_and(|key| key == ".name")) {
        return format!("unknown key: a {section}'s name is its address here; change it in the file");
    }
    if names.iter().any(|name| rest.strip_prefix(name.as_str()).is_some_and(|key| key.starts_with('.'))) {
        return "unknown key".to_owned();
    }
    format!("unknown key: write {section}.NAME.KEY with the name of one that is defined ({})", names.join(", "))
}

fn data(draft: &mut Draft, path: PathBuf) {
    if path.as_os_str().is_empty() {
        return draft.refuse(
            Place::DataFlag,
            "node.data".to_owned(),
            "an empty path is not a directory's: write --data /var/lib/headworks".to_owned(),
        );
    }
    draft.config.node.data = vec![path];
    draft.places.insert("node.data".to_owned(), Place::DataFlag);
}

//! `FORMAT.md` at the project's root holds the tables that the code renders, all of them and as they are.
//!
//! ```text
//! <!-- table: Block header -->      rendered, never written by hand
//! <!-- end -->
//! ```

use crate::render;
use std::path::PathBuf;

const BEGIN: &str = "<!-- table: ";
const END: &str = "<!-- end -->";
const HOW: &str = "to rewrite its tables: HEADWORKS_REGENERATE=1 cargo test -p headworks-format format_md";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../FORMAT.md")
}

/// The document with its tables as the code renders them.
fn regenerated(text: &str) -> Result<String, String> {
    let mut tables = render::tables();
    let mut parts = text.split(BEGIN);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(" -->\n").ok_or_else(|| format!("a marker without an end: {part:.40}"))?;
        let (_, behind) = rest.split_once(END).ok_or_else(|| format!("no {END} behind {name:?}"))?;
        let place = tables.iter().position(|(known, _)| *known == name).ok_or_else(|| format!("no such table, or twice: {name:?}"))?;
        let (_, table) = tables.remove(place);
        out.push_str(&format!("{BEGIN}{name} -->\n{table}{END}{behind}"));
    }
    match tables.first() {
        Some((name, _)) => Err(format!("the table {name:?} stands nowhere")),
        None => Ok(out),
    }
}

#[test]
fn tables_are_rendered_from_the_code() {
    let text = std::fs::read_to_string(path()).expect("FORMAT.md at the project's root");
    let wanted = regenerated(&text).unwrap_or_else(|fault| panic!("FORMAT.md: {fault}"));
    if std::env::var_os("HEADWORKS_REGENERATE").is_some_and(|value| value == "1") {
        std::fs::write(path(), wanted).expect("FORMAT.md can be written");
        return;
    }
    let differs = text.lines().zip(wanted.lines()).enumerate().find(|(_, (found, wanted))| found != wanted);
    if let Some((line, (found, wanted))) = differs {
        panic!("FORMAT.md, line {}: {found:?}, but the code says {wanted:?}; {HOW}", line + 1);
    }
    assert_eq!(text.len(), wanted.len(), "FORMAT.md has rows that the code does not; {HOW}");
}

#[test]
fn a_document_without_a_table_or_with_a_strange_one_is_refused() {
    let all: String = render::tables().iter().map(|(name, _)| format!("{BEGIN}{name} -->\n{END}\n")).collect();
    let whole = regenerated(&all).expect("every table once");
    assert_eq!(regenerated(&whole).as_deref(), Ok(whole.as_str()), "what is rendered stays");
    assert!(regenerated("no table").is_err());
    assert!(regenerated(&[&all[..], &all].concat()).is_err(), "each table twice");
    assert!(regenerated(&format!("{all}{BEGIN}Nothing -->\n{END}")).is_err(), "a table that the code does not know");
    assert!(regenerated(&all.replacen(END, "", 1)).is_err(), "a table that does not end");
}

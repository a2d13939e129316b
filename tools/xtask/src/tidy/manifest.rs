//! A `Cargo.toml` as lines under headers, and the rule that lints come from the workspace.
//!
//! Manifests here are plain: one key a line. That much is read without a TOML parser; a key this reader cannot see would be one
//! that a human reader overlooks too.

use super::Finding;
use super::source::numbered;
use super::tree::{File, Tree};

/// A manifest.
#[derive(Debug)]
pub struct Manifest<'a> {
    /// Its path, relative to the root.
    pub path: &'a str,
    entries: Vec<Entry<'a>>,
}

#[derive(Debug)]
struct Entry<'a> {
    header: &'a str,
    key: &'a str,
    value: &'a str,
    line: usize,
}

/// Every manifest of the tree.
pub fn all(tree: &Tree) -> impl Iterator<Item = Manifest<'_>> {
    let is_manifest = |file: &&File| file.path == "Cargo.toml" || file.path.ends_with("/Cargo.toml");
    tree.files().filter(is_manifest).map(Manifest::parse)
}

impl<'a> Manifest<'a> {
    fn parse(file: &'a File) -> Self {
        let mut header = "";
        let mut entries = Vec::new();
        for (line, text) in numbered(&file.text) {
            let text = text.trim();
            if let Some(inside) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
                header = inside.trim();
                entries.push(Entry { header, key: "", value: "", line });
            } else if let Some((key, value)) = text.split_once('=') {
                let (key, value) = (key.trim(), value.trim());
                entries.push(Entry { header, key, value, line });
            }
        }
        Self { path: &file.path, entries }
    }

    /// The package's name; none for a manifest that only holds a workspace.
    pub fn package(&self) -> Option<&'a str> {
        self.value("package", "name").map(|name| name.trim_matches('"'))
    }

    /// The folder it lies in.
    pub fn folder(&self) -> &'a str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// Whether it is a workspace of its own, as the root and fuzz packages are.
    pub fn is_workspace(&self) -> bool {
        self.entries.iter().any(|entry| entry.header == "workspace")
    }

    /// Packages that it depends on, with the line and whether only tests do: under a `cfg` or not, renamed or not.
    pub fn dependencies(&self) -> Vec<(&'a str, usize, bool)> {
        let with_use = |entry: &Entry<'a>| entry.dependency().map(|(name, line)| (name, line, entry.header.contains("dev-dependencies")));
        self.entries.iter().filter_map(with_use).collect()
    }

    fn value(&self, header: &str, key: &str) -> Option<&'a str> {
        let wanted = |entry: &&Entry<'_>| entry.header == header && entry.key == key;
        self.entries.iter().find(wanted).map(|entry| entry.value)
    }
}

impl<'a> Entry<'a> {
    /// The package that this line makes a dependency, in any of the ways to write one:
    /// `[dependencies] a = …`, `a.workspace = true`, `b = { package = "a" }`, `[dependencies.a]`.
    fn dependency(&self) -> Option<(&'a str, usize)> {
        if self.header.starts_with("workspace") {
            return None;
        }
        let name = match (self.header.split_once("dependencies."), self.key) {
            (Some((_, name)), "") => name,
            (Some(_), "package") => self.value,
            (None, key) if self.header.ends_with("dependencies") && !key.is_empty() => {
                let plain = key.split('.').next().unwrap_or(key);
                let renamed = self.value.split_once("package");
                renamed.map_or(plain, |(_, rest)| rest.split('"').nth(1).unwrap_or(plain))
            }
            _ => return None,
        };
        Some((name.trim_matches('"'), self.line))
    }
}

/// Every member takes its lints from the workspace: a crate without them is one where casts and unsafe blocks go unread.
pub fn lints_come_from_the_workspace(tree: &Tree) -> Vec<Finding> {
    let members = all(tree).filter(|manifest| !manifest.is_workspace());
    let without = members.filter(|manifest| manifest.value("lints", "workspace") != Some("true"));
    without.map(|manifest| Finding::about(manifest.path, "has no `[lints] workspace = true`; add it")).collect()
}

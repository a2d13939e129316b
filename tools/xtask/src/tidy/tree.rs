//! The files of the project as text: what git tracks, and what it would add.
//!
//! Ignored files are not ours to judge and files that are not UTF-8 are not text. A symbolic link is not followed: it may lead
//! out of the tree. The tree is read once and rules see only this, so a test makes one from strings.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use super::source::Source;

/// Paths relative to the root, with `/`, and their text.
#[derive(Debug, Default)]
pub struct Tree {
    files: BTreeMap<String, File>,
}

/// One text file.
#[derive(Debug)]
pub struct File {
    /// Relative to the root.
    pub path: String,
    /// The whole text.
    pub text: String,
    /// For Rust files, the text with code and comments told apart.
    pub source: Option<Source>,
}

impl Tree {
    /// Reads the tree under a checkout.
    ///
    /// # Errors
    /// Says that git did not list the files, or which of them could not be read.
    pub fn read(root: &Path) -> Result<Self, String> {
        let mut tree = Self::default();
        for path in listed(root)? {
            match std::fs::symlink_metadata(root.join(&path)) {
                Ok(metadata) if metadata.is_file() => {}
                Ok(_) => continue,
                // Deleted here and not yet in the index: it is going.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(format!("cannot look at {path}: {error}")),
            }
            let bytes = std::fs::read(root.join(&path)).map_err(|error| format!("cannot read {path}: {error}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                tree.add(path, text);
            }
        }
        Ok(tree)
    }

    /// Adds a file.
    pub fn add(&mut self, path: String, text: String) {
        let source = path.ends_with(".rs").then(|| Source::split(&text));
        let file = File { path: path.clone(), text, source };
        self.files.insert(path, file);
    }

    /// All files, by path.
    pub fn files(&self) -> impl Iterator<Item = &File> {
        self.files.values()
    }

    /// The Rust files with their code and comments.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.files().filter_map(|file| Some((file.path.as_str(), file.source.as_ref()?)))
    }

    /// One file.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }

    /// Whether a file is there.
    pub fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// The folder of a crate by its name in the documents: `ring` is `engine/ring`, `headworks` is `tools/headworks`.
    pub fn crate_folder(&self, name: &str) -> Option<String> {
        let name = name.strip_prefix("headworks_").unwrap_or(name);
        let folders = [format!("engine/{name}"), name.to_owned(), format!("tools/{name}")];
        folders.into_iter().find(|folder| self.has(&format!("{folder}/Cargo.toml")))
    }
}

/// What git tracks in this checkout, and what it would add.
fn listed(root: &Path) -> Result<Vec<String>, String> {
    let mut git = Command::new("git");
    // A checkout made by another user is still only read here.
    git.args(["-c", "safe.directory=*", "ls-files", "-z"]);
    git.args(["--cached", "--others", "--exclude-standard"]);
    let output = git
        .current_dir(root)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("tidy reads the list of files from git, which did not start: {error}"))?;
    if !output.status.success() {
        return Err(format!("tidy reads the list of files from git, which ended with {}", output.status));
    }
    let names = String::from_utf8(output.stdout).map_err(|error| format!("git lists a path that is not UTF-8: {error}"))?;
    Ok(names.split_terminator('\0').map(str::to_owned).collect())
}

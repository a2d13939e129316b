//! Nothing of the machine that a file was written on: no path into its folders, no host of a package registry.
//!
//! Such a name is right on one machine and wrong on every other, and it hides a missing setting on the one where it works. Names
//! are put together here, so that this file holds none of them. The lock file is cargo's own and says where it found packages.

use super::Finding;
use super::source::numbered;
use super::tree::Tree;

/// Folders directly under the root of a machine.
const FOLDERS: &[&str] = &["work", "root"];

/// Hosts of registries, as what stands before and after their last dot.
const HOSTS: &[(&str, &str)] = &[
    ("crates", "io"),
    ("pypi", "org"),
    ("pythonhosted", "org"),
    ("registry.npmjs", "org"),
    ("proxy.golang", "org"),
    ("sum.golang", "org"),
    ("maven.apache", "org"),
    ("repo1.maven", "org"),
    ("deb.debian", "org"),
];

const LOCK_FILE: &str = "Cargo.lock";

/// Finds such names in every text file.
pub fn nothing_of_this_machine(tree: &Tree) -> Vec<Finding> {
    let folders: Vec<String> = FOLDERS.iter().map(|folder| format!("/{folder}/")).collect();
    let hosts: Vec<String> = HOSTS.iter().map(|(name, top)| format!("{name}.{top}")).collect();
    let mut findings = Vec::new();
    for file in tree.files().filter(|file| !file.path.ends_with(LOCK_FILE)) {
        for (line, text) in numbered(&file.text) {
            let paths = folders.iter().filter(|folder| begins_a_path(text, folder));
            let paths = paths.map(|folder| format!("names a folder of one machine, {folder}; take it from a setting"));
            let hosts = hosts.iter().filter(|host| text.contains(host.as_str()));
            let hosts = hosts.map(|host| format!("names a registry's host, {host}; the client knows where it is"));
            findings.extend(paths.chain(hosts).map(|says| Finding::at(&file.path, line, says)));
        }
    }
    findings
}

/// Whether `folder` stands where a path begins, and not in the middle of one.
fn begins_a_path(text: &str, folder: &str) -> bool {
    let in_path = |letter: char| letter.is_alphanumeric() || "_-.~}*$".contains(letter);
    text.match_indices(folder).any(|(start, _)| !text[..start].ends_with(in_path))
}

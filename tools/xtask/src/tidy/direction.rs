//! Which crate may see which, as ARCHITECTURE.md draws it: arrows point down only.
//!
//! Cargo refuses cycles; it does not refuse an arrow that makes a protocol crate see sockets. This table does. A package that is
//! not in it has no place in the drawing yet: draw it there first, then add its line here.

use super::Finding;
use super::manifest::{self, Manifest};
use super::source::words;
use super::tree::Tree;

/// Each package without its prefix, after everything it may depend on. `io` sees `ring` for its memory region alone.
pub const EDGES: &[(&str, &[&str])] = &[
    ("format", &[]),
    ("ledger", &[]),
    ("ring", &[]),
    ("log", &["format"]),
    ("io", &["ring"]),
    ("lane", &["format", "ledger", "ring", "log", "io"]),
    ("ingest", &["format", "ledger", "ring", "io"]),
    ("gateway", &["format", "ledger", "log", "ring", "io"]),
    ("replicator", &["format", "log", "ring", "io"]),
    ("sim", &["format", "log", "replicator"]),
    ("benches", &["format", "ring", "io", "lane", "ingest", "log", "ledger"]),
    ("loadgen", &[]),
    ("xtask", &[]),
    ("headworks", &["format", "ledger", "ring", "log", "io", "lane", "ingest", "gateway", "replicator", "sim"]),
    ("librdkafka", &[]),
];

/// What tests alone may see beyond that: the test that steps whole turns under a counting allocator needs `unsafe`, which
/// only `io` and `ring` may have, and everything that turns.
const TEST_EDGES: &[(&str, &[&str])] = &[("io", &["format", "ledger", "log", "lane", "ingest"])];

/// Pure crates that have an edge: the only files in them that may name the crate that talks to the kernel.
const EDGE_FILES: &[(&str, &[&str])] =
    &[("ingest/src/", &["ingest/src/turn.rs", "ingest/src/udp/", "ingest/src/tcp/edge"]), ("replicator/src/", &["replicator/src/link"])];

/// Every dependency on a crate of ours is in the table.
pub fn arrows_point_down(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for manifest in manifest::all(tree) {
        let Some(package) = manifest.package() else {
            continue;
        };
        let Some(allowed) = allowed(&manifest, package) else {
            let says = format!("package {package} is not in the table of crates; draw it in ARCHITECTURE.md, then add it");
            findings.push(Finding::about(manifest.path, says));
            continue;
        };
        for (name, line, for_tests) in manifest.dependencies() {
            let in_tests = |name: &str| for_tests && TEST_EDGES.iter().any(|(from, to)| ours(package) == Some(*from) && to.contains(&name));
            if ours(name).is_some_and(|name| !allowed.contains(&name) && !in_tests(name)) {
                let says = format!("{package} may not depend on {name}; it may on: {}", listed(&allowed));
                findings.push(Finding::at(manifest.path, line, says));
            }
        }
    }
    findings
}

/// What a package may see; none for one that is not in the table. A fuzz package sees the crate it lies in and what that sees.
fn allowed(manifest: &Manifest<'_>, package: &str) -> Option<Vec<&'static str>> {
    let row = |name: &str| EDGES.iter().find(|(known, _)| *known == name);
    if let Some((_, edges)) = ours(package).and_then(row) {
        return Some(edges.to_vec());
    }
    let around = manifest.folder().strip_suffix("/fuzz")?;
    let (name, edges) = row(around.rsplit('/').next().unwrap_or(around))?;
    Some(edges.iter().chain([name]).copied().collect())
}

/// A package of this workspace, without its prefix.
fn ours(package: &str) -> Option<&str> {
    if package == "headworks" {
        return Some(package);
    }
    package.strip_prefix("headworks-")
}

fn listed(allowed: &[&str]) -> String {
    if allowed.is_empty() {
        return "none of ours".to_owned();
    }
    allowed.join(", ")
}

/// `headworks_io` is named in the edge files only: what decides stays without sockets, clocks and threads.
pub fn io_only_at_the_edge(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.sources() {
        let breached =
            EDGE_FILES.iter().find(|(folder, edges)| path.starts_with(folder) && !edges.iter().any(|edge| path.starts_with(edge)));
        let Some((_, edges)) = breached else { continue };
        for (line, code) in source.code_lines() {
            if words(code, "headworks_io").next().is_some() {
                let says = format!("names headworks_io outside the edge; move it to {}", edges.join(" or "));
                findings.push(Finding::at(path, line, says));
            }
        }
    }
    findings
}

//! Where the workspace lies, who its members are, and how cargo is called in it.
//!
//! The root `Cargo.toml` is the only list of members: a step for a package that is not there yet must not exist, and one for
//! a package that has come must not be forgotten. So the steps are derived from it and nothing here repeats it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A workspace on disk.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// The folder of the root `Cargo.toml`; every command runs in it.
    pub root: PathBuf,
    /// Where cargo builds, `CARGO_TARGET_DIR` respected.
    pub target: PathBuf,
    /// Member folders relative to the root, in the order of the root manifest.
    pub members: Vec<String>,
}

impl Workspace {
    /// The workspace that this program was built from.
    ///
    /// # Errors
    /// Says which manifest could not be read, or that it names no member.
    pub fn open() -> Result<Self, String> {
        let root = root();
        let manifest = root.join("Cargo.toml");
        let text = std::fs::read_to_string(&manifest).map_err(|error| format!("cannot read {}: {error}", manifest.display()))?;
        let members = members(&text);
        if members.is_empty() {
            return Err(format!("{} names no members", manifest.display()));
        }
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target));
        Ok(Self { root, target, members })
    }

    /// Whether a folder is a member.
    pub fn has(&self, member: &str) -> bool {
        self.members.iter().any(|known| known == member)
    }

    /// The packages under `engine/`, as cargo names them.
    pub fn engine_packages(&self) -> Vec<String> {
        self.members.iter().filter_map(|member| member.strip_prefix("engine/")).map(|folder| format!("headworks-{folder}")).collect()
    }

    /// Cargo with these arguments, in the root; the cargo that runs this program, so that toolchains never mix.
    pub fn cargo<I: IntoIterator<Item: AsRef<str>>>(&self, arguments: I) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(&self.root);
        for argument in arguments {
            command.arg(argument.as_ref());
        }
        command
    }
}

/// The root that this program was built in: two folders above its own manifest.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_path_buf()
}

/// The quoted names in the array `members = [...]` of a root manifest.
fn members(manifest: &str) -> Vec<String> {
    let Some((_, array)) = manifest.split_once("\nmembers = [") else {
        return Vec::new();
    };
    let array = array.split(']').next().unwrap_or_default();
    let quoted = array.split('"').skip(1).step_by(2);
    quoted.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;

//! The real binaries, built by cargo in the profile that these benches were built in, so that like stands beside like.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where they are.
#[derive(Debug, Clone)]
pub struct Binaries {
    /// `headworks`.
    pub appliance: PathBuf,
    /// `headworks-loadgen`.
    pub generator: PathBuf,
    folder: PathBuf,
}

impl Binaries {
    /// Those of a folder.
    ///
    /// # Errors
    /// One of them is not there.
    pub fn of(folder: &Path) -> Result<Binaries, String> {
        let place = |name: &str| {
            let path = folder.join(name);
            if path.is_file() { Ok(path) } else { Err(format!("{} is not there", path.display())) }
        };
        Ok(Binaries { appliance: place("headworks")?, generator: place("headworks-loadgen")?, folder: folder.to_owned() })
    }

    /// Builds both beside this program.
    ///
    /// # Errors
    /// This program is not where cargo puts programs, or cargo fails; its words stand on standard error.
    pub fn build() -> Result<Binaries, String> {
        let program = std::env::current_exe().map_err(|error| format!("this program does not know where it is: {error}"))?;
        let folder = program.parent().ok_or("a program lies in a folder")?.to_owned();
        let (target, profile) = split(&folder).ok_or_else(|| format!("{} is no folder of a build", folder.display()))?;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["build", "--quiet", "--package", "headworks", "--package", "headworks-loadgen", "--profile", profile])
            .arg("--target-dir")
            .arg(target)
            .status()
            .map_err(|error| format!("cannot start cargo: {error}"))?;
        if !status.success() {
            return Err(format!("cargo did not build the binaries under test: {status}"));
        }
        Binaries::of(&folder)
    }

    /// The folder that holds them, on the file system that is measured unless told otherwise.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The target directory and the profile whose output a folder holds.
fn split(folder: &Path) -> Option<(&Path, &str)> {
    let name = folder.file_name()?.to_str()?;
    Some((folder.parent()?, if name == "debug" { "dev" } else { name }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_a_build_tells_its_profile() {
        assert_eq!(split(Path::new("/a/target/debug")), Some((Path::new("/a/target"), "dev")));
        assert_eq!(split(Path::new("/a/target/release")), Some((Path::new("/a/target"), "release")));
        assert_eq!(split(Path::new("/")), None);
    }
}

//! File systems that are full, or read-only: an ext4 image on a loop device, or a tmpfs, unmounted when dropped.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted file system.
#[derive(Debug)]
pub struct Mounted {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Mounted {
    /// An ext4 of so many bytes on a loop device; why not, where this host does not let us.
    pub fn ext4(bytes: u64) -> Result<Mounted, String> {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let image = folder.path().join("image");
        std::fs::File::create(&image).and_then(|file| file.set_len(bytes)).expect("a sparse file");
        // No reserved blocks: root may use them, and full is to mean full.
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image))?;
        Mounted::mount(folder, Command::new("mount").args(["-o", "loop"]).arg(&image))
    }

    /// A tmpfs of so many bytes; why not, where this host does not let us.
    pub fn tmpfs(bytes: u64) -> Result<Mounted, String> {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let size = format!("size={bytes}");
        Mounted::mount(folder, Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]))
    }

    fn mount(folder: tempfile::TempDir, command: &mut Command) -> Result<Mounted, String> {
        if !super::is_root() {
            return Err("mounting needs root".to_owned());
        }
        let path = folder.path().join("mounted");
        std::fs::create_dir(&path).expect("a fresh folder");
        run(command.arg(&path))?;
        Ok(Mounted { folder, path })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path beside it, on the file system that carries it.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes it read-only.
    pub fn make_read_only(&self) {
        run(Command::new("mount").args(["-o", "remount,ro"]).arg(&self.path)).expect("a mount of ours remounts");
    }

    /// Bytes that are free in it.
    pub fn free_bytes(&self) -> u64 {
        let mut command = Command::new("df");
        let output = command.args(["--output=avail", "-B1"]).arg(&self.path).output().expect("df runs");
        let text = String::from_utf8(output.stdout).expect("df writes text");
        text.lines().nth(1).and_then(|line| line.trim().parse().ok()).unwrap_or_else(|| panic!("no number in: {text}"))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: a process that the test has just killed may still be on its way out.
        if let Err(error) = run(Command::new("umount").arg("-l").arg(&self.path)) {
            eprintln!("left mounted: {error}");
        }
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim())) }
}

//! Directories of those that do not run: emptied, copied, put aside.

use crate::node::Failure;
use headworks_io::fatal::Reason;
use std::fs;
use std::io;
use std::path::Path;

/// It has another name.
///
/// # Errors
/// The file system refuses, as all of these may.
pub fn rename(from: &Path, target: &Path) -> Result<(), Failure> {
    done(from, fs::rename(from, target))
}

/// It and what is in it are gone.
///
/// # Errors
/// The file system refuses.
pub fn remove(directory: &Path) -> Result<(), Failure> {
    done(directory, fs::remove_dir_all(directory))
}

/// There is nothing in it any more.
///
/// # Errors
/// The file system refuses.
pub fn empty(directory: &Path) -> Result<(), Failure> {
    remove(directory)?;
    done(directory, fs::create_dir(directory))
}

/// A copy of a directory that holds files only, in place of what the target was.
///
/// # Errors
/// The file system refuses.
pub fn copy(from: &Path, target: &Path) -> Result<(), Failure> {
    if target.exists() {
        remove(target)?;
    }
    done(target, fs::create_dir(target))?;
    let copied = fs::read_dir(from).and_then(|mut entries| {
        entries.try_for_each(|entry| {
            let entry = entry?;
            fs::copy(entry.path(), target.join(entry.file_name())).map(drop)
        })
    });
    done(from, copied)
}

fn done(path: &Path, result: io::Result<()>) -> Result<(), Failure> {
    result.map_err(|error| Failure::new(Reason::Storage, format!("{}: {error}", path.display())))
}

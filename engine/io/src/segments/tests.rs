use std::cell::Cell;
use std::process::Command;

use super::*;
use crate::testing::directory;

fn names(volume: &Volume) -> Vec<String> {
    volume.list().unwrap().into_iter().map(|entry| entry.name).collect()
}

#[test]
fn a_segment_is_zeros_of_the_length_asked() {
    let directory = directory();
    let volume = Volume::lock(directory.path()).unwrap();
    // Space that held other bytes: a leftover of an earlier making.
    std::fs::write(directory.path().join("s.making"), vec![7; 5_000_000]).unwrap();
    let bytes = (2 << 20) + 4096;
    let file = volume.make_segment("s", bytes, &|| true).unwrap();
    assert_eq!(names(&volume), ["s"]);
    let content = std::fs::read(directory.path().join("s")).unwrap();
    assert_eq!(content.len() as u64, bytes);
    assert!(content.iter().all(|byte| *byte == 0));
    assert_eq!(volume.open_direct("s").unwrap().direct, file.direct);
}

#[test]
fn a_making_that_is_stopped_leaves_nothing() {
    let directory = directory();
    let volume = Volume::lock(directory.path()).unwrap();
    let asked = Cell::new(0);
    let keep_going = || {
        asked.set(asked.get() + 1);
        asked.get() < 3
    };
    let error = volume.make_segment("s", 8 << 20, &keep_going).unwrap_err();
    assert_eq!((error.kind(), asked.get()), (io::ErrorKind::Interrupted, 3));
    assert_eq!(names(&volume), [""; 0]);
}

#[test]
fn a_segment_that_exists_is_left_alone() {
    let directory = directory();
    let volume = Volume::lock(directory.path()).unwrap();
    std::fs::write(directory.path().join("s"), b"data").unwrap();
    let error = volume.make_segment("s", 4096, &|| true).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(directory.path().join("s")).unwrap(), b"data");
}

#[test]
fn lengths_that_direct_io_cannot_write_are_refused() {
    let directory = directory();
    let volume = Volume::lock(directory.path()).unwrap();
    for bytes in [0, 1, 4095, 5000] {
        let error = volume.make_segment("s", bytes, &|| true).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{bytes} bytes");
    }
    // Beyond what a file can be: refused by the kernel, after the file was created.
    volume.make_segment("s", 1 << 62, &|| true).unwrap_err();
    assert_eq!(names(&volume), [""; 0]);
}

/// A file system of one MiB in memory, unmounted when dropped.
struct Small(tempfile::TempDir);

impl Small {
    fn mount() -> Option<Small> {
        let directory = directory();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
            .arg(directory.path())
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then(|| Small(directory))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{} stays mounted", self.0.path().display());
    }
}

#[test]
fn a_full_volume_leaves_no_half_file() {
    let Some(small) = Small::mount() else {
        eprintln!("skipped: a tmpfs cannot be mounted here");
        return;
    };
    let volume = Volume::lock(small.0.path()).unwrap();
    let free = volume.free_bytes().unwrap();
    let error = volume.make_segment("s", 4 << 20, &|| true).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
    assert_eq!(names(&volume), [""; 0]);
    assert_eq!(volume.free_bytes().unwrap(), free);
    volume.make_segment("s", 64 << 10, &|| true).unwrap();
}

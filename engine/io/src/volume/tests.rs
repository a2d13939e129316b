use super::*;
use crate::testing::directory;

#[test]
fn a_second_lock_names_the_holder() {
    let directory = directory();
    let volume = Volume::lock(directory.path()).unwrap();
    let error = Volume::lock(directory.path()).unwrap_err();
    assert_eq!(error.reason(), Reason::InUse);
    let VolumeError::InUse { pid, .. } = &error else { panic!("{error}") };
    assert_eq!(*pid, Some(std::process::id()));
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    drop(volume);
    Volume::lock(directory.path()).unwrap();
}

#[test]
fn the_lock_stands_while_its_descriptor_is_held() {
    let directory = directory();
    let held = Volume::lock(directory.path()).unwrap().lock_fd();
    assert!(Volume::lock(directory.path()).is_err());
    drop(held);
    Volume::lock(directory.path()).unwrap();
}

#[test]
fn a_signature_shorter_than_the_last_leaves_nothing_of_it() {
    let directory = directory();
    std::fs::write(directory.path().join(LOCK_NAME), "123456789012\n").unwrap();
    let _volume = Volume::lock(directory.path()).unwrap();
    let text = std::fs::read_to_string(directory.path().join(LOCK_NAME)).unwrap();
    assert_eq!(text, format!("{}\n", std::process::id()));
}

#[test]
fn a_missing_directory_is_made_and_a_file_is_refused() {
    let directory = directory();
    let inner = directory.path().join("a/b");
    assert_eq!(Volume::lock(&inner).unwrap().path(), inner);
    let file = directory.path().join("file");
    std::fs::write(&file, b"").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = Volume::lock(&path).unwrap_err();
        assert!(matches!(error, VolumeError::NotDirectory { .. }), "{error}");
    }
}

#[track_caller]
fn check_explained(errno: i32, reason: Reason, words: &str) {
    let error = VolumeError::explain(Path::new("/data"), "lock", io::Error::from_raw_os_error(errno));
    assert_eq!(error.reason(), reason);
    assert!(error.to_string().contains(words) && error.to_string().contains("/data"), "{error}");
}

#[test]
fn refusals_are_told_apart() {
    check_explained(libc::EACCES, Reason::Permission, "chown");
    check_explained(libc::EROFS, Reason::Storage, "read-only");
    check_explained(libc::ENOSPC, Reason::Storage, "df -h");
    check_explained(libc::EDQUOT, Reason::Storage, "df -h");
    check_explained(libc::ENOTDIR, Reason::Config, "not a directory");
    check_explained(libc::EIO, Reason::Storage, "cannot lock");
}

#[test]
fn the_list_is_regular_files_by_name_without_the_lock() {
    let directory = directory();
    let volume = Volume::lock(directory.path()).unwrap();
    std::fs::write(directory.path().join("b"), [0; 5]).unwrap();
    std::fs::write(directory.path().join("a"), []).unwrap();
    std::fs::create_dir(directory.path().join("c")).unwrap();
    let entry = |name: &str, bytes| FileEntry { name: name.to_owned(), bytes };
    assert_eq!(volume.list().unwrap(), [entry("a", 0), entry("b", 5)]);
    volume.sync_directory().unwrap();
}

#[test]
fn names_that_leave_the_directory_are_refused() {
    let directory = directory();
    let volume = Volume::lock(directory.path()).unwrap();
    for name in ["", ".", "..", "../x", "a/b", "/etc/passwd", "a\0b"] {
        let error = volume.open_direct(name).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name:?}");
    }
}

#[test]
fn space_and_alignment_are_plausible() {
    let directory = directory();
    let volume = Volume::lock(directory.path()).unwrap();
    assert!(volume.free_bytes().unwrap() > 0);
    if let Some(alignment) = volume.dio_alignment().unwrap() {
        assert!(alignment.offset_alignment.is_power_of_two(), "{alignment:?}");
        assert!(alignment.offset_alignment <= 4096, "{alignment:?}");
    }
}

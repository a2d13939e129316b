use super::*;
use crate::testing::directory;

fn file() -> (tempfile::TempDir, DirectFile) {
    let directory = directory();
    let path = directory.path().join("file");
    let file = open_direct(&path, OpenOptions::new().create(true).truncate(true)).unwrap();
    (directory, file)
}

#[test]
fn what_is_written_is_read_back() {
    let (_directory, file) = file();
    let mut buffer = AlignedBuffer::zeroed(8192);
    buffer.fill(3);
    write_at(&file.fd, &buffer, 4096, 8192).unwrap();
    sync_data(&file.fd).unwrap();
    buffer.clear();
    read_at(&file.fd, &mut buffer, 8192, 4096).unwrap();
    assert_eq!(buffer.iter().filter(|byte| **byte == 3).count(), 4096);
}

#[test]
fn a_read_past_the_end_is_an_error() {
    let (_directory, file) = file();
    let mut buffer = AlignedBuffer::zeroed(8192);
    write_at(&file.fd, &buffer, 0, 4096).unwrap();
    let error = read_at(&file.fd, &mut buffer, 0, 8192).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn a_read_up_to_the_end_says_how_much_there_was() {
    let (_directory, file) = file();
    let mut buffer = AlignedBuffer::zeroed(16384);
    buffer.fill(3);
    write_at(&file.fd, &buffer, 0, 12288).unwrap();
    buffer.clear();
    for (offset, bytes, there) in [(0, 16384, 12288), (8192, 16384, 4096), (8192, 4096, 4096), (12288, 4096, 0)] {
        buffer.clear();
        assert_eq!(read_up_to(&file.fd, &mut buffer, offset, bytes).unwrap(), there, "{bytes} from {offset}");
        assert_eq!(buffer.iter().filter(|byte| **byte == 3).count(), there);
    }
}

#[test]
fn an_offset_beyond_the_largest_file_is_an_error() {
    let (_directory, file) = file();
    let error = write_at(&file.fd, &AlignedBuffer::zeroed(4096), u64::MAX - 4095, 4096).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn a_file_system_without_direct_io_is_opened_all_the_same() {
    let file = open_direct(Path::new("/proc/self/comm"), &mut OpenOptions::new()).unwrap();
    assert!(!file.direct);
    assert_eq!(direct_io(&file.fd).unwrap(), None);
}

#[test]
fn a_missing_file_stays_missing() {
    let error = open_direct(Path::new("/proc/self/no such file"), &mut OpenOptions::new()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_rename_never_replaces() {
    let directory = directory();
    let [source, target] = ["source", "target"].map(|name| directory.path().join(name));
    std::fs::write(&source, b"new").unwrap();
    std::fs::write(&target, b"old").unwrap();
    assert_eq!(rename_new(&source, &target).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(std::fs::read(&target).unwrap(), b"old");
    std::fs::remove_file(&target).unwrap();
    rename_new(&source, &target).unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), b"new");
}

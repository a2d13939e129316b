use super::*;

#[test]
fn the_longest_mount_point_holds_the_folder() {
    let mounts = "1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/a rw\n2 1 0:5 / /proc rw,nosuid - proc proc rw\n";
    assert_eq!(file_system(mounts, Path::new("/proc")).as_deref(), Some("proc (rw,nosuid)"));
    assert_eq!(file_system(mounts, Path::new("/")).as_deref(), Some("ext4 (rw,relatime)"));
}

#[test]
fn a_field_is_the_first_of_its_name() {
    assert_eq!(field("a\t: 1\nmodel name\t: X Y\nmodel name : Z\n", "model name"), "X Y");
    assert_eq!(field("", "model name"), "unknown");
}

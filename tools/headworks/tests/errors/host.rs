//! What the host refuses: ports, permissions, space, io_uring.

use crate::harness::mount::Mounted;
use crate::harness::program::{PROGRAM, check_end, run_arguments, text_of};
use crate::harness::{is_root, skip};
use crate::{check_refused, refused_by};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A user that owns nothing.
const NOBODY: u32 = 65_534;
const IO_URING: &str = "/proc/sys/kernel/io_uring_disabled";

/// Tests that run a node without privileges take turns: one of them changes what such a node may do.
fn unprivileged() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn busy_udp_port_ends_with_69() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it is bound").to_string();
    for lanes in ["node.lanes=1", "node.lanes=2"] {
        let data = folder.path().join(lanes);
        check_refused(&data, &[lanes, &format!("listener.udp.address={address}")], 69, &["port busy", &address]);
    }
}

#[test]
fn busy_tcp_ports_end_with_69() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it is bound").to_string();
    for name in ["kafka", "http"] {
        let setting = format!("{name}.address={address}");
        check_refused(&folder.path().join("data"), &[&setting], 69, &["port busy", name, &address, "--set"]);
    }
}

#[test]
fn foreign_address_ends_with_78() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    // An address that documentation is free to use and no host has.
    check_refused(&folder.path().join("data"), &["http.address=192.0.2.1:0"], 78, &["192.0.2.1", "ip addr"]);
}

/// A folder that anyone may enter, with a copy of the binary that anyone may run: build folders are often private.
fn open_to_all() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    set_mode(folder.path(), 0o755);
    let program = folder.path().join("headworks");
    std::fs::copy(PROGRAM, &program).expect("the binary is copied");
    set_mode(&program, 0o755);
    (folder, program)
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("the owner sets a mode");
}

fn as_nobody(program: &Path, data: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(run_arguments(data, &["node.lanes=1", "log.ring=4MiB"])).env_clear().uid(NOBODY).gid(NOBODY);
    command
}

#[test]
fn directory_of_somebody_else_ends_with_77() {
    if !is_root() {
        return skip("host::directory_of_somebody_else", "becoming another user needs root");
    }
    let _turn = unprivileged();
    let (folder, program) = open_to_all();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("a fresh folder");
    for (mode, path) in [(0o700, data.clone()), (0o755, data.clone()), (0o755, data.join("below"))] {
        set_mode(&data, mode);
        let output = refused_by(as_nobody(&program, &path), &data);
        check_end(&output, 77, &["permission", &text_of(&path), "chown"]);
    }
}

#[test]
fn io_uring_disabled_ends_with_71_and_names_the_setting() {
    // Only the value that concerns nodes without privileges: whatever else runs on this host as root goes on.
    let _turn = unprivileged();
    let restored = match Disabled::for_unprivileged() {
        Ok(restored) => restored,
        Err(why) => return skip("host::io_uring_disabled", &why),
    };
    let (folder, program) = open_to_all();
    let data = folder.path().join("data");
    let output = refused_by(as_nobody(&program, &data), &data);
    drop(restored);
    check_end(&output, 71, &["io_uring is disabled", "kernel.io_uring_disabled is 1", "sysctl -w kernel.io_uring_disabled=0"]);
    assert!(!data.exists(), "{} was made by a node that could not run", data.display());
}

/// The setting at 1; as it was before once dropped.
struct Disabled(String);

impl Disabled {
    fn for_unprivileged() -> Result<Disabled, String> {
        let before = std::fs::read_to_string(IO_URING).map_err(|error| format!("{IO_URING} cannot be read: {error}"))?;
        if before.trim() != "0" {
            return Err(format!("{IO_URING} is {} already", before.trim()));
        }
        std::fs::write(IO_URING, "1").map_err(|error| format!("{IO_URING} cannot be set: {error}"))?;
        Ok(Disabled(before))
    }
}

impl Drop for Disabled {
    fn drop(&mut self) {
        std::fs::write(IO_URING, &self.0).expect("what was set can be set back");
    }
}

#[test]
fn read_only_mount_ends_with_74() {
    let mounted = match Mounted::tmpfs(32 << 20) {
        Ok(mounted) => mounted,
        Err(why) => return skip("host::read_only_mount", &why),
    };
    mounted.make_read_only();
    let data = mounted.path().join("data");
    let output = refused_by(crate::command(run_arguments(&data, &[])), &mounted.beside("node"));
    check_end(&output, 74, &["storage", &text_of(&data), "read-only"]);
}

#[test]
fn directory_that_became_read_only_ends_with_74() {
    let mounted = match Mounted::ext4(64 << 20) {
        Ok(mounted) => mounted,
        Err(why) => return skip("host::directory_that_became_read_only", &why),
    };
    let data = mounted.path().join("data");
    let before = crate::command(run_arguments(&data, &["node.lanes=1"]));
    crate::harness::node::Node::start_by(before, &data).stop();
    mounted.make_read_only();
    let output = refused_by(crate::command(run_arguments(&data, &["node.lanes=1"])), &mounted.beside("node"));
    check_end(&output, 74, &["storage", &text_of(&data), "read-only"]);
}

#[test]
fn full_disk_at_the_first_start_ends_with_74() {
    let mounted = match Mounted::ext4(16 << 20) {
        Ok(mounted) => mounted,
        Err(why) => return skip("host::full_disk_at_the_first_start", &why),
    };
    // Room for the superblock, none for a segment of 8 MiB.
    let ballast = mounted.free_bytes() - (2 << 20);
    std::fs::write(mounted.path().join("ballast"), vec![1; usize::try_from(ballast).expect("16 MiB")]).expect("there is room for it");
    let data = mounted.path().join("data");
    let output = refused_by(crate::command(run_arguments(&data, &["node.lanes=1"])), &mounted.beside("node"));
    check_end(&output, 74, &["storage", "df -h"]);
}

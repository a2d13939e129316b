//! What the host refuses: ports, permissions, space, io_uring.

use crate::harness::mount::Mounted;
use crate::harness::node::Node;
use crate::harness::packets::{self, named};
use crate::harness::program::{PROGRAM, check_end, run_arguments, text_of};
use crate::harness::{is_root, skip, wait};
use crate::{check_refused, refused_by};
use serde_json::Value;
use std::io::{ErrorKind, Write as _};
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
    for lanes in ["node.lanes=1", "node.lanes=2"] {
        let setting = format!("listener.tcp.address={address}");
        check_refused(&folder.path().join(lanes), &[lanes, &setting], 69, &["port busy", "TCP", &address, "ss -tlnp"]);
    }
}

/// A killed node's rings hold its sockets for a moment after the process is gone, as this test holds the port.
#[test]
fn port_that_is_free_a_moment_later_is_taken() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let data = folder.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it is bound");
    let lock = data.join("headworks.lock");
    let release = std::thread::spawn(move || {
        // The lock comes before the sockets.
        wait::until_true("the directory is locked", || (lock.exists(), "no lock yet".to_owned()));
        drop(taken);
    });
    let node = Node::start(&data, &["node.lanes=1", &format!("listener.tcp.address={address}")]);
    release.join().expect("the port is given back");
    assert_eq!(node.address("tcp"), address);
    node.stop();
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
fn without_privileges_a_node_serves_and_says_what_it_cannot_count() {
    if !is_root() {
        return skip("host::without_privileges", "becoming another user needs root");
    }
    let _turn = unprivileged();
    let (folder, program) = open_to_all();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("a fresh folder");
    std::os::unix::fs::chown(&data, Some(NOBODY), Some(NOBODY)).expect("root gives away what it made");
    let node = Node::start_by(as_nobody(&program, &data), &data);
    let sent: Vec<_> = (0..100).map(|number| named(0, number, 100)).collect();
    packets::send(&packets::source(node.udp()), &sent);
    let ledger = node.settled(100);
    ledger.assert_balanced();
    let setting = std::fs::read_to_string("/proc/sys/kernel/unprivileged_bpf_disabled").expect("procfs is mounted");
    let is_counted = setting.trim() == "0";
    assert_eq!(ledger.0.pointer("/listeners/0/exact").and_then(Value::as_bool), Some(is_counted), "{setting}: {}", ledger.0);
    assert_eq!(node.status().warns("grant CAP_BPF"), !is_counted, "{setting}: {}", node.status().0);
    assert_eq!(node.kafka().read_all("events", 0).len(), 100);
    node.stop();
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
    Node::start_by(before, &data).stop();
    mounted.make_read_only();
    let output = refused_by(crate::command(run_arguments(&data, &["node.lanes=1"])), &mounted.beside("node"));
    check_end(&output, 74, &["storage", &text_of(&data), "read-only"]);
}

/// A volume with so many bytes left.
fn nearly_full(free_bytes: u64) -> Result<Mounted, String> {
    let mounted = Mounted::ext4(32 << 20)?;
    let mut ballast = std::fs::File::create(mounted.path().join("ballast")).expect("there is room for it");
    // The file system takes some of it for itself, so the last pages end with an error where nothing is to be left.
    for _ in 0..(mounted.free_bytes() - free_bytes) / 4096 {
        match ballast.write_all(&[1; 4096]) {
            Err(error) if error.kind() == ErrorKind::StorageFull => break,
            written => written.expect("a fresh file system takes writes"),
        }
    }
    Ok(mounted)
}

#[test]
fn first_start_without_space_for_a_superblock_ends_with_74() {
    let mounted = match nearly_full(0) {
        Ok(mounted) => mounted,
        Err(why) => return skip("host::first_start_without_space_for_a_superblock", &why),
    };
    let data = mounted.path().join("data");
    let output = refused_by(crate::command(run_arguments(&data, &["node.lanes=1"])), &mounted.beside("node"));
    check_end(&output, 74, &["storage", "space"]);
}

#[test]
fn first_start_without_space_for_a_segment_is_ready_and_sheds() {
    let mounted = match nearly_full(4 << 20) {
        Ok(mounted) => mounted,
        Err(why) => return skip("host::first_start_without_space_for_a_segment", &why),
    };
    let data = mounted.path().join("data");
    let log = mounted.beside("node");
    let node = Node::try_start(crate::command(run_arguments(&data, &["node.lanes=1", "log.ring=4MiB"])), &log);
    let node = node.unwrap_or_else(|(status, text)| panic!("ended with {status}:\n{text}"));
    assert!(node.status().warns("volume is full"), "{}", node.status().0);
    // More than the ring takes: the rest is shed.
    let sent: Vec<_> = (0..10_000).map(|number| named(0, number, 1000)).collect();
    packets::send(&packets::source(node.udp()), &sent);
    wait::until_true("packets are shed and counted", || {
        let ledger = node.ledger();
        (ledger.shed_for("disk_full") > 0 && ledger.pending() == 0, ledger.0.to_string())
    });
    node.ledger().assert_balanced();
    node.stop();
}

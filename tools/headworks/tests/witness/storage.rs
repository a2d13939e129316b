//! A disk that is full, and a first start that is killed.

use crate::harness::mount::Mounted;
use crate::harness::node::{Guarded, log_beside};
use crate::harness::random::Random;
use crate::harness::{alone, skip};
use crate::{Client, register, start, witness_command};
use headworks_format::witness::FILE_BYTES;
use headworks_replicator::register::Swap;
use headworks_replicator::witness::Outcome;
use std::fs::File;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

const FIRST_STARTS: u32 = 20;

#[test]
fn a_full_disk_ends_it_with_74_before_it_answers_and_it_starts_again_without_the_swap() {
    let bytes = (FILE_BYTES + FILE_BYTES / 2) as u64;
    let mounted = match Mounted::tmpfs(bytes.next_multiple_of(4096)) {
        Ok(mounted) => mounted,
        Err(why) => return skip("a full disk of a witness", &why),
    };
    let data = mounted.path().join("data");
    let mut witness = start(&data);
    let mut client = Client::to(witness.address("witness"));
    assert_eq!(client.read(), None);
    // The first register of a place comes with a whole new file, for which there is no room.
    assert_eq!(client.swap(Swap::from(None, register(1, 1))), Outcome::Unknown);
    assert_eq!(witness.ended(), Some(74), "{}", witness.log());
    for part in ["storage: cannot replace", "/witness", "df -h"] {
        assert!(witness.log().contains(part), "`{part}` is not in: {}", witness.log());
    }
    std::fs::remove_file(data.join("witness.partial")).expect("what was begun");
    let witness = start(&data);
    assert_eq!(Client::to(witness.address("witness")).read(), None);
    witness.stop();
}

#[test]
fn killed_at_random_moments_of_the_first_start_never_blocks_the_next() {
    let _alone = alone();
    let mut random = Random::announced("a witness's first start");
    let folder = tempfile::tempdir().expect("a temporary directory");
    for kill in 0..FIRST_STARTS {
        let data = folder.path().join(format!("data-{kill}"));
        let log = File::options().create(true).append(true).open(log_beside(&data)).expect("the log file opens");
        let mut command = witness_command(&data, "127.0.0.1:0");
        let mut process = Guarded::spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log));
        // The moment itself is the fault: nothing is waited for.
        thread::park_timeout(Duration::from_micros(random.below(20_000)));
        assert!(process.ended().is_none(), "a first start ended by itself, kill {kill}");
        drop(process);
        let witness = start(&data);
        assert_eq!(Client::to(witness.address("witness")).advance(1, 1).version, 1, "kill {kill}");
        witness.stop();
    }
}

use super::*;

/// A ledger of two sources that sent this many.
pub(crate) fn ledger_of(sent: [u64; 2]) -> Ledger {
    let sources = [0, 1].map(|source: u32| {
        let sent = sent[usize::try_from(source).unwrap()];
        Source { source, first_sequence: 0, sent, sent_max: sent }
    });
    Ledger {
        format: FORMAT,
        state: State::Complete,
        run_id: 0x00AB_CDEF_0123_4567,
        seed: 7,
        transport: "udp".to_owned(),
        target: "127.0.0.1:9000".to_owned(),
        size: 64,
        rate: "1000".to_owned(),
        gso: false,
        framing: None,
        started_ns: 1_000,
        ended_ns: 2_000,
        offered: Flow { packets: sent.iter().sum(), per_second: 1000 },
        achieved: Flow { packets: sent.iter().sum(), per_second: 999 },
        errors: BTreeMap::from([("ECONNREFUSED".to_owned(), 3)]),
        sources: sources.to_vec(),
        lateness: None,
        answers: None,
        before: None,
    }
}

/// The ledger, written and read, is refused for a reason with these words, or (none) is the same.
#[track_caller]
fn check(ledger: &Ledger, refused: Option<&str>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.json");
    ledger.write(&path, Durability::Synced).unwrap();
    match (Ledger::read(&path), refused) {
        (Ok(read), None) => assert_eq!(read, *ledger),
        (Err(error), Some(words)) => {
            assert!(error.to_string().contains(words), "{error} lacks {words:?}");
        }
        (read, refused) => panic!("read {read:?}, expected refusal {refused:?}"),
    }
}

#[test]
fn what_was_written_is_read() {
    check(&ledger_of([10, 20]), None);
    let mut full = ledger_of([1, 2]);
    full.lateness = Some(Quantiles { samples: 9, p50_ns: 1, p99_ns: 2, p9999_ns: 3, max_ns: 4, ..Quantiles::default() });
    full.before = Some(Report::default());
    check(&full, None);
}

#[test]
fn the_run_stands_as_sixteen_hex_digits() {
    let text = serde_json::to_string(&ledger_of([1, 1])).unwrap();
    assert!(text.contains("\"run_id\":\"00abcdef01234567\""), "{text}");
}

#[test]
fn a_running_ledger_may_have_bounds_apart() {
    let mut ledger = ledger_of([10, 10]);
    ledger.sources[1].sent_max = 500;
    check(&ledger, Some("and not running"));
    ledger.state = State::Running;
    check(&ledger, None);
    assert_eq!(ledger.sent(), 20);
}

#[test]
fn contradictions_are_refused() {
    let mut ledger = ledger_of([10, 10]);
    ledger.sources[1].sent = 11;
    check(&ledger, Some("exceeds its bound"));

    let mut ledger = ledger_of([10, 10]);
    ledger.sources[1].source = 0;
    check(&ledger, Some("source 0 in place 1"));

    let mut ledger = ledger_of([10, SOURCE_PACKETS_MAX + 1]);
    check(&ledger, Some("packets from 0"));
    ledger = ledger_of([10, 10]);
    ledger.sources[0].first_sequence = u64::MAX;
    check(&ledger, Some("source 0"));

    let mut ledger = ledger_of([10, 10]);
    ledger.format = 2;
    check(&ledger, Some("format 2"));

    let mut ledger = ledger_of([10, 10]);
    ledger.size = 12;
    check(&ledger, Some("12 bytes"));
}

#[test]
fn a_file_of_another_shape_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.json");
    fs::write(&path, "{\"format\":1}").unwrap();
    let reason = Ledger::read(&path).unwrap_err().to_string();
    assert!(reason.contains("run.json is not a ledger"), "{reason}");
    let reason = Ledger::read(&folder.path().join("none.json")).unwrap_err().to_string();
    assert!(reason.contains("cannot read the ledger file"), "{reason}");
}

#[test]
fn a_write_replaces_the_whole_file_and_leaves_nothing_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.json");
    ledger_of([1, 1]).write(&path, Durability::Renamed).unwrap();
    ledger_of([2, 2]).write(&path, Durability::Synced).unwrap();
    assert_eq!(Ledger::read(&path).unwrap().sent(), 4);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_failed_write_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.json");
    ledger_of([1, 1]).write(&path, Durability::Synced).unwrap();
    // A folder stands where the new file would be written.
    fs::create_dir(folder.path().join("run.json.new")).unwrap();
    assert!(ledger_of([2, 2]).write(&path, Durability::Synced).is_err());
    assert_eq!(Ledger::read(&path).unwrap().sent(), 2);
}

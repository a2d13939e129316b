use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::appliance::report::{Lane, Listener};
use crate::kafka::batch::tests::encoded;
use crate::kafka::stub::{Partition as Stored, Stub};
use crate::ledger::Durability;
use crate::ledger::tests::ledger_of;
use crate::packet::stamp;

/// A packet of the run of `ledger_of`.
fn packet(source: u32, sequence: u64) -> Vec<u8> {
    let ledger = ledger_of([0, 0]);
    let mut bytes = Template::new(ledger.run_id, ledger.seed, ledger.size).bytes().to_vec();
    stamp(&mut bytes, source, sequence, 1_000_000);
    bytes
}

/// A partition with one batch of these values.
fn stored(values: &[Vec<u8>]) -> Stored {
    let records: Vec<_> = values.iter().map(|value| (&value[..], 2, None)).collect();
    let high_watermark = i64::try_from(values.len()).unwrap();
    let batches = vec![(0, encoded(0, &records))];
    Stored { log_start: 0, high_watermark, batches, fetch_error: 0 }
}

/// An appliance that lost this many, with this many on their way.
fn report(dropped: u64, in_flight: u64) -> Report {
    let listener =
        Listener { name: "udp".to_owned(), exact: true, dropped: [("kernel_rcvbuf".to_owned(), dropped)].into(), ..Listener::default() };
    let lane = Lane { in_flight, ..Lane::default() };
    Report { listeners: vec![listener], lanes: vec![lane], ..Report::default() }
}

/// Answers with these reports in turn, the last for ever; the address and how many were asked for.
fn appliance_of(reports: Vec<Report>) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 512];
            let length = stream.read(&mut request).unwrap();
            assert!(request[..length].starts_with(b"GET /api/v1/ledger "));
            let turn = counted.fetch_add(1, Ordering::Relaxed).min(reports.len() - 1);
            let body = serde_json::to_vec(&reports[turn]).unwrap();
            let head = format!("HTTP/1.0 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(&[head.as_bytes(), &body].concat()).unwrap();
        }
    });
    (address, asked)
}

/// What `verify` says of a run that sent this many from each source.
fn verified(sent: [u64; 2], partitions: Vec<Stored>, reports: Vec<Report>) -> Result<Findings, String> {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = ledger_of(sent);
    ledger.before = Some(report(100, 0));
    let path = folder.path().join("run.json");
    ledger.write(&path, Durability::Renamed).unwrap();
    verify(&Question {
        bootstrap: Stub { partitions, ..Stub::default() }.serve(),
        http: appliance_of(reports).0,
        topic: "events".to_owned(),
        ledger: path,
        level: Level::Disk,
        listener: None,
        timeout: Duration::ZERO,
        latency: true,
    })
}

/// The run is balanced, or not for a reason with these words.
#[track_caller]
fn check(sent: [u64; 2], partitions: Vec<Stored>, dropped: u64, reason: Option<&str>) -> Findings {
    let findings = verified(sent, partitions, vec![report(100 + dropped, 0)]).unwrap();
    let said = findings.reasons.join("; ");
    match reason {
        None => assert!(findings.balanced, "{said}"),
        Some(words) => assert!(!findings.balanced && said.contains(words), "{said:?}"),
    }
    let table = report::table(&findings);
    assert!(table.ends_with(if findings.balanced { "cause\n" } else { "BALANCED\n" }), "{table}");
    findings
}

#[test]
fn a_run_that_is_all_there_is_balanced() {
    let partitions =
        vec![stored(&[packet(0, 0), packet(0, 1), packet(0, 2), b"of others".to_vec()]), stored(&[packet(1, 0), packet(1, 1)])];
    let findings = check([3, 2], partitions, 0, None);
    assert_eq!((findings.sent, findings.stored, findings.foreign), (5, 5, 1));
    assert_eq!(findings.partitions[0].records, 4);
    assert_eq!(findings.latency[0].samples, 5);
}

#[test]
fn a_counted_loss_is_balanced_and_an_uncounted_one_is_not() {
    let partitions = || vec![stored(&[packet(0, 0), packet(0, 2)])];
    check([4, 0], partitions(), 2, None);
    let findings = check([4, 0], partitions(), 1, Some("1 packets are missing"));
    assert_eq!((findings.missing, findings.unexplained), (2, 1));
}

#[test]
fn copies_and_changed_bytes_are_found() {
    let mut changed = packet(0, 1);
    changed[50] ^= 1;
    let partitions = vec![stored(&[packet(0, 0), changed, packet(0, 0)])];
    let findings = check([2, 0], partitions, 1, Some("stored more than once"));
    assert_eq!((findings.duplicated, findings.corrupted), (1, 1));
    assert_eq!(findings.corrupted_by["checksum"], 1);
}

#[test]
fn a_damaged_batch_is_found() {
    let mut partition = stored(&[packet(0, 0)]);
    *partition.batches[0].1.last_mut().unwrap() ^= 1;
    check([1, 0], vec![partition], 1, Some("cannot be read"));
}

#[test]
fn books_that_stay_open_are_an_error_that_says_what_is_open() {
    let error = verified([0, 0], vec![], vec![report(100, 3)]).unwrap_err();
    assert!(error.contains("3 in flight"), "{error}");
}

#[test]
fn books_are_waited_for_until_two_looks_agree() {
    let reports = vec![report(100, 3), report(100, 0), report(101, 0), report(102, 0)];
    let (http, asked) = appliance_of(reports);
    let question = Question {
        bootstrap: String::new(),
        http,
        topic: String::new(),
        ledger: PathBuf::new(),
        level: Level::Disk,
        listener: None,
        timeout: Duration::from_secs(20),
        latency: false,
    };
    let settled = settled(&question).unwrap();
    assert_eq!(settled.listeners[0].dropped["kernel_rcvbuf"], 102);
    assert_eq!(asked.load(Ordering::Relaxed), 5);
}

#[test]
fn a_missing_ledger_is_an_error() {
    let error = verify(&Question {
        bootstrap: String::new(),
        http: String::new(),
        topic: String::new(),
        ledger: PathBuf::from("no/such/file"),
        level: Level::Disk,
        listener: None,
        timeout: Duration::ZERO,
        latency: false,
    });
    assert!(error.unwrap_err().contains("cannot read the ledger file no/such/file"));
}

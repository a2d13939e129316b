use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::appliance::report::{Lane, Listener};
use crate::kafka::batch::tests::encoded;
use crate::kafka::stub::{Partition as Stored, Stub};
use crate::ledger::Durability;
use crate::ledger::answers::{Answered, Answers};
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
    verified_of(ledger_of(sent), partitions, reports)
}

/// The same of this ledger.
fn verified_of(mut ledger: Ledger, partitions: Vec<Stored>, reports: Vec<Report>) -> Result<Findings, String> {
    let folder = tempfile::tempdir().unwrap();
    ledger.before = Some(report(100, 0));
    let path = folder.path().join("run.json");
    ledger.write(&path, Durability::Renamed).unwrap();
    verify(&Question {
        bootstrap: vec![Stub { partitions, ..Stub::default() }.serve()],
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
    assert_eq!(findings.latency[0].points.samples, 5);
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
        bootstrap: Vec::new(),
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
        bootstrap: Vec::new(),
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

/// The ledger of a run by TCP or Kafka whose first source was told this.
fn answered(transport: &str, acknowledged: &[(u64, u64)], unknown: &[(u64, u64)], sent: u64) -> Ledger {
    let mut ledger = ledger_of([sent, 0]);
    ledger.transport = transport.to_owned();
    let mut by_source = vec![Answered::default(), Answered::default()];
    acknowledged.iter().for_each(|(from, to)| by_source[0].acknowledged.push(*from, *to));
    unknown.iter().for_each(|(from, to)| by_source[0].unknown.push(*from, *to));
    let acks = if transport == "kafka" { "all" } else { "cumulative" }.to_owned();
    let mut answers = Answers { acks, by_source, ..Answers::default() };
    (answers.acknowledged, answers.unknown) = answers.totals();
    ledger.answers = Some(answers);
    ledger
}

/// What `verify` says of this ledger when these packets of source 0 are stored and that many were dropped.
#[track_caller]
fn check_answered(ledger: Ledger, stored_packets: &[u64], dropped: u64, reason: Option<&str>) -> Findings {
    let values: Vec<Vec<u8>> = stored_packets.iter().map(|sequence| packet(0, *sequence)).collect();
    let findings = verified_of(ledger, vec![stored(&values)], vec![report(100 + dropped, 0)]).unwrap();
    let said = findings.reasons.join("; ");
    assert_eq!(findings.balanced, reason.is_none(), "{said}");
    assert!(said.contains(reason.unwrap_or_default()), "{said:?}");
    findings
}

#[test]
fn an_acknowledged_packet_that_is_missing_is_never_balanced() {
    let reason = Some("1 packets were acknowledged and are not stored");
    let findings = check_answered(answered("tcp", &[(0, 4)], &[], 4), &[0, 1, 3], 0, reason);
    assert_eq!((findings.acknowledged, findings.acknowledged_missing, findings.unexplained), (4, 1, 1));
    // Not even when a drop was counted, which would explain one that was not acknowledged.
    check_answered(answered("tcp", &[(0, 4)], &[], 4), &[0, 1, 3], 1, reason);
    check_answered(answered("kafka", &[(0, 4)], &[], 4), &[0, 1, 3], 0, reason);
    check_answered(answered("tcp", &[(0, 4)], &[], 4), &[0, 1, 2, 3], 0, None);
}

#[test]
fn where_retention_may_have_taken_what_is_missing_that_is_said() {
    let values: Vec<Vec<u8>> = [0, 1, 3].map(|sequence| packet(0, sequence)).to_vec();
    for (log_start, said) in [(0, false), (1, true)] {
        let stored = Stored { log_start, ..stored(&values) };
        let findings = verified_of(answered("tcp", &[(0, 4)], &[], 4), vec![stored], vec![report(100, 0)]).unwrap();
        assert_eq!(findings.reasons[0].contains("retention"), said, "{:?}", findings.reasons);
    }
}

#[test]
fn unknown_packets_may_be_stored_or_not_and_are_named() {
    for found in [&[0, 1, 4][..], &[0, 1, 2, 4], &[0, 1, 2, 3, 4]] {
        let findings = check_answered(answered("tcp", &[(0, 2), (4, 5)], &[(2, 4)], 5), found, 0, None);
        assert_eq!((findings.unknown, findings.unknown_missing), (2, 5 - found.len() as u64));
        assert_eq!(findings.unexplained, 0);
    }
    // One that is neither acknowledged nor unknown is owed as any packet is.
    let reason = Some("1 packets are missing and counted under no cause");
    check_answered(answered("tcp", &[(0, 2)], &[(2, 4)], 5), &[0, 1], 0, reason);
    check_answered(answered("tcp", &[(0, 2)], &[(2, 4)], 5), &[0, 1], 1, None);
}

#[test]
fn a_batch_that_is_stored_twice_or_out_of_order_is_found() {
    let ledger = || answered("kafka", &[(0, 4)], &[], 4);
    check_answered(ledger(), &[0, 1, 0, 1, 2, 3], 0, Some("2 packets are stored more than once"));
    check_answered(ledger(), &[2, 3, 0, 1], 0, Some("2 packets of idempotent producers are stored out of order"));
    let findings = check_answered(answered("tcp", &[(0, 4)], &[], 4), &[2, 3, 0, 1], 0, None);
    assert_eq!(findings.reordered, 2);
}

#[test]
fn no_listeners_losses_explain_those_of_a_producer() {
    check_answered(answered("kafka", &[(0, 2)], &[], 3), &[0, 1], 1, Some("1 packets are missing and counted under no cause"));
    check_answered(answered("kafka", &[(0, 3)], &[], 3), &[0, 1, 2], 7, None);
}

#[test]
fn a_ledger_that_was_tampered_with_is_found() {
    // More acknowledged than was sent: the file contradicts itself.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.json");
    let mut ledger = answered("tcp", &[(0, 5)], &[], 4);
    ledger.write(&path, Durability::Renamed).unwrap();
    assert!(Ledger::read(&path).unwrap_err().to_string().contains("go beyond the 4 packets sent"));
    // Totals that the spans do not hold.
    ledger = answered("tcp", &[(0, 4)], &[], 4);
    ledger.answers.as_mut().unwrap().acknowledged = 3;
    ledger.write(&path, Durability::Renamed).unwrap();
    assert!(Ledger::read(&path).unwrap_err().to_string().contains("the spans hold 4"));
    // Packets hidden: what is stored is beyond what the file claims.
    check_answered(answered("tcp", &[(0, 2)], &[], 2), &[0, 1, 2], 0, Some("beyond what its ledger claims"));
    // Another run's number: nothing of it is stored.
    let mut other = answered("tcp", &[(0, 2)], &[], 2);
    other.run_id ^= 1;
    let findings = check_answered(other, &[0, 1], 0, Some("2 packets were acknowledged and are not stored"));
    assert_eq!(findings.foreign, 2);
}

#[test]
fn packets_that_travelled_as_hex_are_read_as_such() {
    let hex = |sequence| {
        let mut text = Vec::new();
        crate::packet::to_hex(&packet(0, sequence), &mut text);
        text
    };
    let mut damaged = hex(2);
    damaged[40] = b'!';
    let mut ledger = answered("tcp", &[(0, 3)], &[], 3);
    ledger.framing = Some(Framing::Newline);
    let partitions = vec![stored(&[hex(0), hex(1), damaged, packet(0, 2)])];
    let findings = verified_of(ledger, partitions, vec![report(100, 0)]).unwrap();
    assert_eq!((findings.stored, findings.corrupted_by["hex"], findings.foreign, findings.acknowledged_missing), (2, 1, 1, 1));
}

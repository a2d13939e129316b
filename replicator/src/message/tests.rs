use super::*;
use crate::register::Mode;
use headworks_format::units::EPOCH_MAX;
use proptest::prelude::*;
use zerocopy::little_endian::U32;

/// A message that owns what [`Message`] borrows.
#[derive(Debug, Clone)]
struct Sample {
    numbers: [u64; 4],
    wide: [u128; 4],
    chain: Chain,
    name: String,
    address: String,
    lanes: u32,
    lane: u32,
    epoch: Epoch,
    spans: Vec<Span>,
    positions: Vec<U64>,
    verdict: Verdict,
    block: Vec<u8>,
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let chain = || any::<[u8; 16]>().prop_map(Chain);
    let end = || (any::<u64>(), chain()).prop_map(|(sequence, chain)| End { sequence, chain });
    let refusals =
        [Refusal::NotPrimary, Refusal::OtherPair, Refusal::Unequal, Refusal::Protocol, Refusal::Promised, Refusal::NothingInCommon];
    let verdict = prop_oneof![
        end().prop_map(|from| Verdict::Follow { from }),
        end().prop_map(|to| Verdict::Truncate { to }),
        (end(), any::<u64>()).prop_map(|(from, shared)| Verdict::Restart { from, shared }),
        prop::sample::select(refusals.to_vec()).prop_map(Verdict::Refuse),
    ];
    let spans = prop::collection::btree_map(0..=EPOCH_MAX.0, any::<u64>(), 0..20).prop_map(|spans| {
        let mut first: Vec<u64> = spans.values().copied().collect();
        first.sort_unstable();
        spans.keys().zip(first).map(|(epoch, first)| Span { epoch: (*epoch).into(), first: first.into() }).collect::<Vec<_>>()
    });
    let positions = prop::collection::vec(any::<u64>().prop_map(U64::new), 1..=LANES_MAX);
    let block = prop::collection::vec(any::<u8>(), block::BLOCK_BYTES_MIN..block::BLOCK_BYTES_MIN + 64);
    (
        (any::<[u64; 4]>(), prop::array::uniform4(1..u128::MAX), chain(), "\\PC{0,12}", "\\PC{0,40}"),
        (1..=64u32, any::<u32>(), (0..=EPOCH_MAX.0).prop_map(Epoch), spans, positions, verdict, block),
    )
        .prop_map(|((numbers, wide, chain, name, address), (lanes, lane, epoch, spans, positions, verdict, block))| Sample {
            numbers,
            wide,
            chain,
            name,
            address,
            lanes,
            lane: lane % lanes,
            epoch,
            spans,
            positions,
            verdict,
            block,
        })
}

/// One message of every kind with the sample's content.
fn messages(sample: &Sample) -> Vec<Message<'_>> {
    let [a, b, c, d] = sample.numbers;
    let member = Member { node: sample.wide[1], incarnation: sample.wide[2] };
    let end = End { sequence: a, chain: sample.chain };
    let epoch = sample.epoch;
    let positions = Positions::new(&sample.positions).unwrap();
    let envelope = Envelope {
        lane: sample.lane,
        epoch,
        sequence: b,
        previous: sample.chain,
        chain: Chain([7; 16]),
        committed: c,
        block_bytes: u32::try_from(sample.block.len()).unwrap(),
    };
    vec![
        Message::Hello(Hello {
            protocol: PROTOCOL,
            pair: PairId(sample.wide[0]),
            member,
            name: &sample.name,
            address: &sample.address,
            lanes: sample.lanes,
            segment_bytes: d,
            lane: LaneId(sample.lane),
            promised: epoch,
            register_version: b,
            end,
            committed: c,
            history: Spans::new(&sample.spans).unwrap(),
        }),
        Message::Welcome(Welcome {
            member,
            name: &sample.name,
            address: &sample.address,
            epoch,
            register_version: d,
            lane: LaneId(sample.lane),
            judged: end,
            verdict: sample.verdict,
        }),
        Message::Append(Append { envelope, block: &sample.block }),
        Message::Heartbeat(Heartbeat { epoch, committed: positions }),
        Message::HeartbeatAck(HeartbeatAck { epoch }),
        Message::Ack(Ack { epoch, member, lane: sample.lane, received: a.max(b), durable: a.min(b) }),
        Message::Switch(Switch { epoch, ends: positions }),
        Message::Nack(Nack { promised: epoch }),
        Message::Fetch(Fetch { pair: PairId(sample.wide[3]), lane: sample.lane, sequence: d }),
        Message::Lacks(Lacks { lane: sample.lane, sequence: a }),
        Message::Claim(Claim { asks: a % 2 == 1, name: &sample.name, of: Some((member, register(sample))) }),
        Message::Claim(Claim { asks: a % 2 == 0, name: &sample.name, of: None }),
    ]
}

fn register(sample: &Sample) -> Register {
    Register {
        version: sample.numbers[0].max(1),
        pair: PairId(sample.wide[0]),
        lanes: sample.lanes,
        segment_bytes: 1 << 28,
        epoch: sample.epoch.max(Epoch(1)),
        primary: Member { node: sample.wide[1], incarnation: sample.wide[2] },
        standby: None,
        mode: Mode::Vouched,
    }
}

fn encoded(message: &Message<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(message, &mut bytes);
    bytes
}

/// The smallest block, and a sample around it.
fn sample() -> Sample {
    let spans = [(1, 0), (3, 17)].map(|(epoch, first): (u32, u64)| Span { epoch: epoch.into(), first: first.into() });
    Sample {
        numbers: [20, 19, 18, 1 << 28],
        wide: [1, 2, 3, 4],
        chain: Chain([0xab; 16]),
        name: "node-a".into(),
        address: "10.0.0.1:9092".into(),
        lanes: 2,
        lane: 1,
        epoch: Epoch(3),
        spans: spans.to_vec(),
        positions: vec![U64::new(18), U64::new(4)],
        verdict: Verdict::Truncate { to: End { sequence: 17, chain: Chain([1; 16]) } },
        block: vec![0x5a; block::BLOCK_BYTES_MIN],
    }
}

/// A frame with another body and a sum that fits.
fn with_body(frame: &[u8], body: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(FRAME_HEAD_BYTES - 4 + body.len()).unwrap().to_le_bytes().to_vec();
    bytes.push(frame[4]);
    let crc = headworks_format::checksum::crc32c_of(&[&bytes, body]);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_message_reads_back_however_much_follows(sample in any_sample(), behind in prop::collection::vec(any::<u8>(), 0..20)) {
        for message in messages(&sample) {
            let frame = encoded(&message);
            let bytes = [frame.clone(), behind.clone()].concat();
            prop_assert_eq!(next(&bytes), Ok(Some((message, frame.len()))));
        }
    }

    #[test]
    fn arbitrary_bodies_with_a_right_sum_never_panic(kind in 0u8..13, body in prop::collection::vec(any::<u8>(), 0..300)) {
        let frame = with_body(&[0, 0, 0, 0, kind], &body);
        let _ = next(&frame);
        let _ = envelope(&frame);
    }
}

#[test]
fn a_message_cut_anywhere_waits_for_its_rest() {
    for message in messages(&sample()) {
        let frame = encoded(&message);
        for end in 0..frame.len() {
            assert_eq!(next(&frame[..end]), Ok(None), "{end} of {} bytes of {message:?}", frame.len());
        }
    }
}

#[test]
fn every_flipped_bit_but_those_of_a_block_is_found() {
    for message in messages(&sample()) {
        let frame = encoded(&message);
        let covered = if matches!(message, Message::Append(_)) { ENVELOPE_BYTES } else { frame.len() };
        for bit in 0..covered * 8 {
            let mut bytes = frame.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let found = next(&bytes);
            assert!(!matches!(found, Ok(Some(_))), "bit {bit} of {message:?} gives {found:?}");
        }
    }
}

#[test]
fn an_envelope_is_read_before_its_block_has_come() {
    let sample = sample();
    let Message::Append(append) = messages(&sample)[2] else { panic!("the third is an Append") };
    let mut head = Vec::new();
    encode_envelope(&append.envelope, &mut head);
    assert_eq!(head.len(), ENVELOPE_BYTES);
    assert_eq!(envelope(&head), Ok(Some(append.envelope)));
    assert_eq!(envelope(&head[..ENVELOPE_BYTES - 1]), Ok(None));
    assert_eq!([&head[..], append.block].concat(), encoded(&Message::Append(append)), "the two ways to send it are one");
    assert_eq!(envelope(&encoded(&Message::Nack(Nack { promised: Epoch(1) }))), Ok(None), "another message");
}

#[test]
fn a_length_beyond_the_largest_frame_is_refused_before_anything_comes() {
    let too_long = u32::try_from(FRAME_BYTES_MAX - 3).unwrap();
    let refused = |length: u32| next(&length.to_le_bytes()).map(|found| found.is_some()).map_err(|rejected| rejected.reason);
    assert_eq!(refused(too_long), Err(Reason::Length));
    assert_eq!(refused(too_long - 1), Ok(false));
    assert_eq!(refused(4), Err(Reason::Length));
    assert_eq!(refused(5), Ok(false));
}

#[test]
fn short_long_and_impossible_bodies_are_refused_with_a_reason() {
    let frame = |index: usize| encoded(&messages(&sample())[index]);
    let body = |index: usize| frame(index)[FRAME_HEAD_BYTES..].to_vec();
    let reason = |frame: &[u8], body: &[u8]| next(&with_body(frame, body)).map(|found| found.is_some()).map_err(|rejected| rejected.reason);
    for index in [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11] {
        let (frame, body) = (frame(index), body(index));
        assert_eq!(reason(&frame, &body[..body.len() - 1]), Err(Reason::Ends), "kind {}", frame[4]);
        assert_eq!(reason(&frame, &[&body[..], &[0]].concat()), Err(Reason::Rest), "kind {}", frame[4]);
    }
    assert_eq!(reason(&[0, 0, 0, 0, 12], &[]), Err(Reason::Kind));
    let high = (EPOCH_MAX.0 + 1).to_le_bytes();
    assert_eq!(reason(&frame(7), &high), Err(Reason::Limit("epoch")));
    assert_eq!(reason(&frame(3), &[&3u32.to_le_bytes()[..], &0u16.to_le_bytes()].concat()), Err(Reason::Limit("positions")), "no lane");
    let mut hello = body(0);
    hello[2 + 16..2 + 32].fill(0);
    assert_eq!(reason(&frame(0), &hello), Err(Reason::Limit("member")));
    let mut welcome = body(1);
    let verdict_at = 32 + 2 + 6 + 2 + 13 + 4 + 8 + 4 + 24;
    welcome[verdict_at] = 4;
    assert_eq!(reason(&frame(1), &welcome), Err(Reason::Limit("verdict")));
    let mut ack = body(5);
    ack[4 + 32 + 4..4 + 32 + 4 + 8].fill(0);
    assert_eq!(reason(&frame(5), &ack), Err(Reason::Limit("durable")), "durable beyond received");
    let mut claim = body(10);
    *claim.last_mut().unwrap() ^= 1;
    assert_eq!(reason(&frame(10), &claim), Err(Reason::Limit("register")), "a record whose own sum does not fit");
    claim[0] = 2;
    assert_eq!(reason(&frame(10), &claim), Err(Reason::Limit("asks")));
}

#[test]
fn a_history_is_bounded_and_in_order() {
    let span = |epoch: u32, first: u64| Span { epoch: U32::new(epoch), first: U64::new(first) };
    assert!(Spans::new(&[]).is_some());
    assert!(Spans::new(&[span(1, 0), span(2, 0), span(9, 4)]).is_some(), "an epoch may have no block");
    assert!(Spans::new(&[span(2, 0), span(2, 4)]).is_none(), "an epoch twice");
    assert!(Spans::new(&[span(1, 5), span(2, 4)]).is_none(), "blocks that go back");
    assert!(Spans::new(&[span(EPOCH_MAX.0 + 1, 0)]).is_none());
    let many: Vec<Span> = (0..=512).map(|epoch| span(epoch, 0)).collect();
    assert!(Spans::new(&many).is_none() && Spans::new(&many[1..]).is_some());
}

/// Both nodes of a pair may run different releases: whoever changes these bytes changes [`PROTOCOL`].
#[test]
fn bytes_are_frozen() {
    let sample = sample();
    let found: Vec<u32> = messages(&sample).iter().map(|message| headworks_format::checksum::crc32c(&encoded(message))).collect();
    assert_eq!(
        found,
        [
            2495160576, 2175759232, 1815394175, 4126736562, 451990173, 934056435, 1524433829, 4170537049, 2226829032, 1985694665,
            2088730591, 3483541892
        ]
    );
}

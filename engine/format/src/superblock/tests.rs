use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A state of that generation.
pub(crate) fn state(generation: u64) -> Superblock {
    Superblock {
        generation,
        pair: PairId(11),
        node_id: 22,
        incarnation: 33,
        name: "node-a".into(),
        lanes: 2,
        segment_bytes: 256 << 20,
        promised_epoch: Epoch(u32::try_from(generation).unwrap()),
        last_epoch: Epoch(u32::try_from(generation).unwrap()),
        last_epoch_start: vec![100 * generation, 7],
        needs_repair: generation % 2 == 1,
        stopped_cleanly: generation.is_multiple_of(3),
        register_version: 5,
        arbiter: 0,
        created_ns: 1_700_000_000_000_000_000,
        // Beyond the first sector, so that a copy torn behind that one is neither state.
        unobserved: vec![(1, 2), (3, 4 + generation)],
    }
}

/// What one of the four copies can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    Blank,
    Old,
    New,
    Torn,
    OtherVersion,
}

const PAGES: [Page; 5] = [Page::Blank, Page::Old, Page::New, Page::Torn, Page::OtherVersion];
const OLD: u64 = 7;
const NEW: u64 = 8;

fn bytes_of(page: Page) -> Vec<u8> {
    match page {
        Page::Blank => vec![0; COPY_BYTES],
        Page::Old => state(OLD).encode(),
        Page::New => state(NEW).encode(),
        Page::Torn => [&state(NEW).encode()[..512], &state(OLD).encode()[512..]].concat(),
        Page::OtherVersion => {
            let mut bytes = state(NEW).encode();
            let (page, _) = SuperblockPage::mut_from_prefix(&mut bytes).unwrap();
            page.version = (VERSION + 1).into();
            page.crc = page_crc(page).into();
            bytes
        }
    }
}

/// The rule in one's own words: the newest state that two copies agree on; else why not.
fn by_rule(pages: [Page; COPIES]) -> Result<Superblock, OpenFault> {
    let count = |wanted: Page| pages.iter().filter(|page| **page == wanted).count();
    if count(Page::New) >= 2 {
        Ok(state(NEW))
    } else if count(Page::Old) >= 2 {
        Ok(state(OLD))
    } else if count(Page::OtherVersion) > 0 {
        Err(OpenFault::Version(VERSION + 1))
    } else if count(Page::Blank) == COPIES {
        Err(OpenFault::Blank)
    } else {
        Err(OpenFault::Damaged { whole: count(Page::New) + count(Page::Old) })
    }
}

#[test]
fn the_newest_state_that_two_copies_agree_on() {
    let rendered = PAGES.map(bytes_of);
    for number in 0..PAGES.len().pow(4) {
        let places: [usize; COPIES] = core::array::from_fn(|copy| number / PAGES.len().pow(u32::try_from(copy).unwrap()) % PAGES.len());
        let pages = places.map(|place| PAGES[place]);
        let file = places.map(|place| rendered[place].as_slice()).concat();
        assert_eq!(file.len(), FILE_BYTES);
        assert_eq!(open(&file), by_rule(pages), "{pages:?}");
        if let Ok(found) = open(&file) {
            let agreeing: Vec<_> = (0..COPIES).filter(|copy| !differing(&file, &found).contains(copy)).collect();
            assert!(agreeing.len() >= QUORUM, "{pages:?}: {agreeing:?} agree");
        }
    }
}

/// A write of some copies that a crash may cut: each of them is then the old page, the new page, or torn.
fn outcomes(file: &[Vec<u8>], copies: &[usize], page: &[u8]) -> Vec<Vec<Vec<u8>>> {
    copies.iter().fold(vec![file.to_vec()], |files, copy| {
        let torn = |old: &[u8]| [&page[..512], &old[512..]].concat();
        files
            .into_iter()
            .flat_map(|file| {
                let choices = [file[*copy].clone(), page.to_vec(), torn(&file[*copy])];
                choices.map(|choice| {
                    let mut file = file.clone();
                    file[*copy] = choice;
                    file
                })
            })
            .collect()
    })
}

/// What a directory went through: its file, and the newest state that was reported as persisted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Crashed {
    file: Vec<Vec<u8>>,
    persisted: u64,
}

/// The state that opens, which must not be older than what was persisted.
fn reopen(crashed: &Crashed) -> Result<Superblock, String> {
    let opened = open(&crashed.file.concat()).map_err(|fault| format!("{fault:?}"))?;
    if opened.generation < crashed.persisted {
        return Err(format!("generation {} opened, {} was persisted", opened.generation, crashed.persisted));
    }
    Ok(opened)
}

/// Opens, repairs if told to, changes to `attempt`, and dies at every place; returns what can be left. `attempt` makes
/// states of one generation differ, as those of different runs do.
fn die_everywhere(start: &Crashed, attempt: u64, repair: bool) -> Result<Vec<Crashed>, String> {
    let opened = reopen(start)?;
    let next = Superblock { generation: opened.generation + 1, unobserved: vec![(opened.generation, attempt)], ..opened.clone() };
    let mut steps = Vec::new();
    if repair {
        steps.push((differing(&start.file.concat(), &opened), opened.encode()));
    }
    steps.extend(HALVES.map(|half| (half.to_vec(), next.encode())));
    let (mut left, mut file) = (Vec::new(), start.file.clone());
    for (copies, page) in steps {
        let crashed = outcomes(&file, &copies, &page).into_iter();
        left.extend(crashed.map(|file| Crashed { file, persisted: opened.generation }));
        copies.iter().for_each(|copy| file[*copy].clone_from(&page));
    }
    left.push(Crashed { file, persisted: next.generation });
    Ok(left)
}

/// Every way to die `deep` times in a row must leave a state to open. Returns how many states of the file were reached.
fn explore(deep: u64, repair: bool) -> Result<usize, String> {
    let begin = Crashed { file: vec![state(OLD).encode(); COPIES], persisted: OLD };
    let mut reached = BTreeSet::from([begin]);
    let mut seen = 0;
    for attempt in 0..deep {
        let mut next = BTreeSet::new();
        for crashed in &reached {
            next.extend(die_everywhere(crashed, 100 + attempt, repair)?);
        }
        seen += next.len();
        reached = next;
    }
    reached.iter().try_for_each(|crashed| reopen(crashed).map(drop))?;
    Ok(seen)
}

#[test]
fn a_crash_anywhere_leaves_the_old_state_or_the_new_one() {
    let seen = explore(3, true).expect("a state to open");
    assert!(seen > 100, "{seen} states of the file reached");
}

#[test]
fn without_the_repair_a_second_crash_can_leave_none() {
    assert!(explore(1, false).is_ok(), "one crash is survived");
    let fault = explore(2, false).expect_err("the second half torn, then the first");
    assert!(fault.contains("Damaged") || fault.contains("was persisted"), "{fault}");
}

#[test]
fn the_copies_to_repair_are_those_that_differ() {
    let rendered = [Page::New, Page::New, Page::Torn, Page::Old].map(bytes_of).concat();
    assert_eq!(differing(&rendered, &state(NEW)), [2, 3]);
    assert_eq!(differing(&rendered[..2 * COPY_BYTES], &state(NEW)), [2, 3], "copies that are not there");
    assert_eq!(differing(&state(NEW).encode().repeat(COPIES), &state(NEW)), [0; 0]);
}

#[test]
fn a_short_file_is_judged_by_what_is_there() {
    let copy = state(NEW).encode();
    assert_eq!(open(&[]), Err(OpenFault::Blank));
    assert_eq!(open(&copy), Err(OpenFault::Damaged { whole: 1 }));
    assert_eq!(open(&copy.repeat(2)), Ok(state(NEW)));
    assert_eq!(open(&copy.repeat(2)[..2 * COPY_BYTES - 1]), Err(OpenFault::Damaged { whole: 1 }));
    assert_eq!(open(&[&[0; 3 * COPY_BYTES][..], &copy, &copy].concat()), Err(OpenFault::Damaged { whole: 1 }), "a fifth copy");
}

#[test]
fn every_byte_of_a_copy_is_covered() {
    let mut copy = state(NEW).encode();
    for at in 0..COPY_BYTES {
        copy[at] ^= 0x40;
        assert_eq!(Copy::parse(&copy), Copy::Unreadable, "byte {at}");
        copy[at] ^= 0x40;
    }
    assert_eq!(Copy::parse(&copy), Copy::Present(state(NEW)));
    assert_eq!(Copy::parse(&copy[..COPY_BYTES - 1]), Copy::Unreadable);
}

#[test]
fn counts_out_of_range_are_unreadable() {
    let refused = |what: &str, change: fn(&mut SuperblockPage)| {
        let mut bytes = state(NEW).encode();
        let (page, _) = SuperblockPage::mut_from_prefix(&mut bytes).unwrap();
        change(page);
        page.crc = page_crc(page).into();
        assert_eq!(Copy::parse(&bytes), Copy::Unreadable, "{what}");
    };
    refused("no lane", |page| page.lanes = 0.into());
    refused("65 lanes", |page| page.lanes = 65.into());
    refused("2³² − 1 lanes", |page| page.lanes = u32::MAX.into());
    refused("a name of 65 bytes", |page| page.name_bytes = 65.into());
    refused("a name of 4 GiB", |page| page.name_bytes = u32::MAX.into());
    refused("a name that is not UTF-8", |page| page.name[0] = 0xff);
    refused("an epoch of 2³¹", |page| page.promised_epoch = 0x8000_0000.into());
    refused("a last epoch above the promised one", |page| page.last_epoch = 9.into());
}

#[test]
fn the_oldest_interval_is_forgotten() {
    let mut superblock = state(NEW);
    (0..20).for_each(|at| superblock.add_unobserved(100 + at, 101 + at));
    assert_eq!(superblock.unobserved.len(), UNOBSERVED_MAX);
    assert_eq!((superblock.unobserved[0], superblock.unobserved[15]), ((104, 105), (119, 120)));
    assert_eq!(Copy::parse(&superblock.encode()), Copy::Present(superblock));
}

#[test]
#[should_panic(expected = "17 intervals unobserved, at most 16")]
fn a_history_beyond_the_limit_is_the_callers_bug() {
    let _ = Superblock { unobserved: vec![(1, 2); UNOBSERVED_MAX + 1], ..state(NEW) }.encode();
}

#[test]
#[should_panic(expected = "0 lanes, 0 starts, 1 to 64")]
fn a_node_without_lanes_is_the_callers_bug() {
    let _ = Superblock { lanes: 0, last_epoch_start: Vec::new(), ..state(NEW) }.encode();
}

proptest! {
    #[test]
    fn states_round_trip(
        (generation, pair, node_id, incarnation, segment_bytes) in any::<(u64, u128, u128, u128, u64)>(),
        name in "[a-z0-9ä-ü.-]{0,32}",
        starts in prop::collection::vec(any::<u64>(), 1..=LANES_MAX),
        epochs in (0..=crate::units::EPOCH_MAX.0, any::<prop::sample::Index>()),
        (needs_repair, stopped_cleanly, register_version, created_ns) in any::<(bool, bool, u64, u64)>(),
        unobserved in prop::collection::vec((any::<u64>(), 1..=u64::MAX), 0..=UNOBSERVED_MAX),
    ) {
        let last_epoch = u32::try_from(epochs.1.index(epochs.0 as usize + 1)).unwrap();
        let superblock = Superblock {
            generation,
            pair: PairId(pair),
            node_id,
            incarnation,
            name,
            lanes: u32::try_from(starts.len()).unwrap(),
            segment_bytes,
            promised_epoch: Epoch(epochs.0),
            last_epoch: Epoch(last_epoch),
            last_epoch_start: starts,
            needs_repair,
            stopped_cleanly,
            register_version,
            arbiter: incarnation,
            created_ns,
            unobserved,
        };
        let copy = superblock.encode();
        prop_assert_eq!(copy.len(), COPY_BYTES);
        prop_assert_eq!(open(&copy.repeat(COPIES)), Ok(superblock));
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2 * COPY_BYTES)) {
        prop_assert!(open(&bytes).is_err());
    }
}

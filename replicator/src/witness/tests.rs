use super::*;
use crate::register::{Member, Mode};
use headworks_format::{Epoch, PairId};

const IDENTITY: Identity = Identity { incarnation: 66, created_ns: 0 };
const PLACE: u16 = 3;

/// A register of this epoch, to be swapped in.
pub(super) fn register(epoch: u32) -> Register {
    Register {
        version: 1,
        pair: PairId(7),
        lanes: 2,
        segment_bytes: 1 << 28,
        epoch: Epoch(epoch),
        primary: Member { node: 1, incarnation: 10 },
        standby: Some(Member { node: 2, incarnation: 20 }),
        mode: Mode::Auto,
    }
}

/// A disk with a cache: what was written is there to read, and may be lost, whole or in part, until it was synced.
#[derive(Clone)]
struct Disk {
    durable: Vec<u8>,
    cached: Vec<(usize, Vec<u8>)>,
}

impl Disk {
    fn carry_out(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Replace(bytes) => (self.durable, self.cached) = (bytes.clone(), Vec::new()),
                Effect::Write { offset, page } => self.cached.push((*offset, page.to_vec())),
                Effect::Sync => {
                    for (offset, page) in std::mem::take(&mut self.cached) {
                        self.durable[offset..offset + page.len()].copy_from_slice(&page);
                    }
                }
            }
        }
    }

    /// What may be found after a crash now: of each unsynced page none, half (either half), garbage, or all of it.
    fn after_crash(&self) -> Vec<Vec<u8>> {
        let mut found = vec![self.durable.clone()];
        for (offset, page) in &self.cached {
            let half = page.len() / 2;
            let spans = [0..half, half..page.len(), 0..512, 0..page.len()];
            let torn = |base: &Vec<u8>| {
                let torn = spans.iter().map(|span| {
                    let mut bytes = base.clone();
                    bytes[offset + span.start..offset + span.end].copy_from_slice(&page[span.clone()]);
                    bytes
                });
                let mut garbage = base.clone();
                garbage[*offset..offset + page.len()].fill(0xA5);
                torn.chain([garbage]).collect::<Vec<_>>()
            };
            let more: Vec<Vec<u8>> = found.iter().flat_map(torn).collect();
            found.extend(more);
        }
        found
    }
}

fn reopened(bytes: &[u8]) -> Option<Register> {
    let opened = open(bytes).unwrap_or_else(|fault| panic!("a crash left what cannot be opened: {fault}"));
    opened.witness.register(66, PLACE).unwrap()
}

/// A disk and its witness after these epochs were swapped in.
fn swapped_in(epochs: &[u32]) -> (Disk, Witness) {
    let (mut witness, file) = Witness::format(IDENTITY);
    let mut disk = Disk { durable: Vec::new(), cached: Vec::new() };
    disk.carry_out(&[file]);
    for epoch in epochs {
        swap_in(&mut disk, &mut witness, *epoch);
    }
    (disk, witness)
}

fn swap_in(disk: &mut Disk, witness: &mut Witness, epoch: u32) {
    let swapping = witness.swap(66, PLACE, &next(witness, epoch)).unwrap();
    assert_eq!(swapping.answer, SwapAnswer::Swapped);
    disk.carry_out(&swapping.before);
    disk.carry_out(&swapping.behind);
}

fn next(witness: &Witness, epoch: u32) -> Swap {
    Swap::from(witness.register(0, PLACE).unwrap().as_ref(), register(epoch))
}

#[test]
fn a_crash_at_any_point_of_a_swap_leaves_the_old_register_or_the_new_one_and_never_forgets_an_answer() {
    for before in [&[][..], &[1], &[1, 2]] {
        let (disk, mut witness) = swapped_in(before);
        let old = witness.register(0, PLACE).unwrap();
        let swap = next(&witness, 9);
        let swapping = witness.swap(66, PLACE, &swap).unwrap();
        let new = Some(swap.register);
        let steps: Vec<&Effect> = swapping.before.iter().chain(&swapping.behind).collect();
        for done in 0..=steps.len() {
            let mut disk = disk.clone();
            steps[..done].iter().for_each(|effect| disk.carry_out(std::slice::from_ref(effect)));
            let answered = done >= swapping.before.len();
            for bytes in disk.after_crash() {
                let found = reopened(&bytes);
                assert!(found == new || (found == old && !answered), "{done} steps done, answered {answered}: {found:?}");
            }
        }
    }
}

#[test]
fn a_crash_at_any_point_of_a_repair_changes_nothing() {
    let (disk, mut witness) = swapped_in(&[1, 2]);
    let swapping = witness.swap(66, PLACE, &next(&witness, 3)).unwrap();
    let mut cut_off = disk.clone();
    cut_off.carry_out(&swapping.before);
    cut_off.carry_out(&swapping.behind[..1]);
    for bytes in cut_off.after_crash() {
        let wanted = reopened(&bytes);
        let repairs = open(&bytes).unwrap().repairs;
        for done in 0..=repairs.len() {
            let mut disk = Disk { durable: bytes.clone(), cached: Vec::new() };
            disk.carry_out(&repairs[..done]);
            disk.after_crash().iter().for_each(|bytes| assert_eq!(reopened(bytes), wanted, "{done} repairs done"));
        }
    }
}

#[test]
fn one_damaged_slot_costs_nothing_that_was_answered_and_is_mended() {
    let (disk, witness) = swapped_in(&[1, 2, 3]);
    let wanted = witness.register(0, PLACE).unwrap();
    for slot in 0..SLOTS {
        let mut bytes = disk.durable.clone();
        bytes[slot_offset(PLACE.into(), slot) + 100] ^= 1;
        let opened = open(&bytes).unwrap();
        assert_eq!(opened.witness.register(66, PLACE), Ok(wanted), "slot {slot} flipped");
        assert_eq!(opened.notes, [Note::Damaged { place: PLACE.into(), slot, version: 3 }]);
        let mut mended = Disk { durable: bytes, cached: Vec::new() };
        mended.carry_out(&opened.repairs);
        assert_eq!(mended.durable, disk.durable);
    }
}

#[test]
fn what_cannot_be_read_is_never_taken_for_blank() {
    let (disk, _) = swapped_in(&[1]);
    let place = usize::from(PLACE);
    let (first, second) = (slot_offset(place, 0), slot_offset(place, 1));
    let check = |change: &dyn Fn(&mut Vec<u8>), fault| {
        let mut bytes = disk.durable.clone();
        change(&mut bytes);
        assert_eq!(open(&bytes).map(|opened| opened.notes), Err(fault));
    };
    check(&|bytes| (bytes[first + 9], bytes[second + 99]) = (7, 7), Fault::Place(place));
    check(&|bytes| (bytes[first..first + RECORD_BYTES].fill(0), bytes[second] = 0).0, Fault::Place(place));
    check(&|bytes| (bytes[head_offset(0)], bytes[head_offset(1)]) = (0, 0), Fault::Head);
    check(&|bytes| bytes.truncate(FILE_BYTES - 1), Fault::Length(FILE_BYTES - 1));
    check(&|bytes| bytes.clear(), Fault::Length(0));
    let other = Register { epoch: Epoch(8), ..register(1) }.encode();
    check(&|bytes| bytes[second..second + RECORD_BYTES].copy_from_slice(&other[..]), Fault::Place(place));
}

#[test]
fn one_damaged_head_is_mended_and_two_that_differ_are_a_fault() {
    let (disk, _) = swapped_in(&[1]);
    for head in 0..HEADS {
        let mut bytes = disk.durable.clone();
        bytes[head_offset(head) + 40] ^= 1;
        let opened = open(&bytes).unwrap();
        assert_eq!((opened.witness.incarnation(), opened.notes), (66, vec![Note::Head { head }]));
    }
    let mut bytes = disk.durable;
    let other = Identity { incarnation: 67, created_ns: 0 }.encode();
    bytes[head_offset(1)..head_offset(2)].copy_from_slice(&other[..]);
    assert_eq!(open(&bytes), Err(Fault::Head));
}

#[test]
fn every_opening_ends_with_a_sync_before_the_first_answer() {
    let (disk, _) = swapped_in(&[1]);
    assert_eq!(open(&disk.durable).unwrap().repairs, [Effect::Sync]);
}

#[test]
fn two_swaps_from_one_version_have_one_winner_and_the_loser_changes_nothing() {
    let (_, mut witness) = swapped_in(&[1]);
    let (one, other) = (next(&witness, 2), next(&witness, 3));
    assert_eq!(witness.swap(66, PLACE, &other).unwrap().answer, SwapAnswer::Swapped);
    let lost = witness.swap(66, PLACE, &one).unwrap();
    assert_eq!(lost, Swapping { before: vec![], answer: SwapAnswer::Refused(Some(other.register)), behind: vec![] });
}

#[test]
fn who_means_another_witness_place_or_pair_is_denied_and_changes_nothing() {
    let (_, mut witness) = swapped_in(&[1]);
    let before = witness.clone();
    let swap = next(&witness, 2);
    assert_eq!(witness.register(67, PLACE), Err(Denied::OtherWitness));
    assert_eq!(witness.swap(67, PLACE, &swap), Err(Denied::OtherWitness));
    assert_eq!(witness.swap(0, 64, &swap), Err(Denied::Place));
    let strange = Swap { register: Register { pair: PairId(8), ..swap.register }, ..swap };
    assert_eq!(witness.swap(66, PLACE, &strange), Err(Denied::OtherPair));
    assert_eq!(witness, before);
}

#[test]
fn registers_of_other_places_are_not_touched() {
    let (mut disk, mut witness) = swapped_in(&[1, 2]);
    let other = Swap::from(None, Register { pair: PairId(8), ..register(5) });
    let swapping = witness.swap(66, 63, &other).unwrap();
    disk.carry_out(&swapping.before);
    let opened = open(&disk.durable).unwrap().witness;
    assert_eq!(opened, witness);
    assert_eq!(opened.register(66, 63), Ok(Some(other.register)));
}

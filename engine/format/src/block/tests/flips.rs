//! No byte of a block can change unseen: head page, payload, padding and tail stamp.

use super::super::write::head_crc;
use super::*;
use crate::tests::Bits;
use zerocopy::FromBytes;

/// Makes the head page's sum right again after a lie.
pub(super) fn resum(block: &mut [u8]) {
    let nonce = Nonce(BlockHeader::ref_from_prefix(block).unwrap().0.nonce.get());
    let crc = head_crc(block.first_chunk().unwrap(), nonce);
    BlockHeader::mut_from_prefix(block).unwrap().0.head_crc = crc.into();
}

/// Inspects the block with one byte changed by `mask`.
fn flipped(block: &mut [u8], at: usize, mask: u8, fault: &str) {
    block[at] ^= mask;
    let (validity, _) = inspect(block, &EXPECTED);
    assert_eq!(validity.first_fault(), Some(fault), "byte {at} changed by {mask:#04x}: {validity:?}");
    block[at] ^= mask;
}

#[test]
fn every_byte_of_the_head_page_is_covered() {
    let mut block = whole();
    let mut bits = Bits(0x4ead);
    for at in 0..HEAD_BYTES {
        flipped(&mut block, at, 0xff, "head page");
        flipped(&mut block, at, 1 << bits.below(8), "head page");
    }
    check(&block, None);
}

#[test]
fn every_byte_of_the_padding_must_be_zero() {
    let mut block = whole();
    let payload_ends = HEAD_BYTES + header(&block).unwrap().payload_bytes.get() as usize;
    let padding = payload_ends..block.len() - TAIL_BYTES;
    assert!(padding.len() > 3_000, "{} bytes of padding", padding.len());
    for at in padding {
        flipped(&mut block, at, 1, "padding");
    }
    check(&block, None);
}

#[test]
fn every_bit_of_the_tail_stamp_is_compared() {
    let mut block = whole();
    for at in block.len() - TAIL_BYTES..block.len() {
        (0..8).for_each(|bit| flipped(&mut block, at, 1 << bit, "tail stamp"));
    }
    check(&block, None);
}

#[test]
fn every_bit_of_the_batches_is_covered() {
    let mut block = whole();
    let payload_ends = HEAD_BYTES + header(&block).unwrap().payload_bytes.get() as usize;
    for at in HEAD_BYTES..payload_ends {
        // Offset and epoch, which Kafka's CRC skips, are compared with the head page.
        (0..8).for_each(|bit| flipped(&mut block, at, 1 << bit, "batch"));
    }
    check(&block, None);
}

#[test]
fn an_old_tail_under_a_new_head_is_found() {
    let older = Stamp { sequence: Sequence(STAMP.sequence.0 - 1), ..STAMP };
    let contents = [(PartitionId(1), vec![Sample::of(b"packet")])];
    let (mut block, _) = block_of(&contents, &STAMP);
    let (old, _) = block_of(&contents, &older);
    let tail_at = block.len() - TAIL_BYTES;
    block[tail_at..].copy_from_slice(&old[tail_at..]);
    check(&block, Some("tail stamp"));
}

proptest! {
    #[test]
    fn damage_anywhere_is_found(contents in any_contents(), place in any::<prop::sample::Index>(), mask in 1..=u8::MAX) {
        let (mut block, _) = block_of(&contents, &STAMP);
        let at = place.index(block.len());
        block[at] ^= mask;
        let (validity, _) = inspect(&block, &EXPECTED);
        prop_assert!(!validity.is_valid(), "byte {} of {} changed by {:#04x}", at, block.len(), mask);
        prop_assert_eq!(validity.head, at >= HEAD_BYTES);
    }

    #[test]
    fn a_torn_write_is_found(contents in any_contents(), written in any::<prop::sample::Index>()) {
        let (block, _) = block_of(&contents, &STAMP);
        let (mut torn, _) = block_of(&contents, &Stamp { nonce: Nonce(1), sequence: Sequence(3), ..STAMP });
        // Pages of the old block stand behind those that were written.
        let pages = written.index(block.len() / BLOCK_ALIGN);
        torn[..pages * BLOCK_ALIGN].copy_from_slice(&block[..pages * BLOCK_ALIGN]);
        prop_assert!(!inspect(&torn, &EXPECTED).0.is_valid(), "{} pages written", pages);
    }
}

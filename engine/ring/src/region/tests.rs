use std::io::ErrorKind;
use std::sync::Arc;
use std::thread;

use super::{HUGE_PAGE_BYTES, PAGE_BYTES, Pages, Region};

/// Maps `bytes` and checks what is promised of every region; every byte is looked at.
fn check(bytes: usize) -> Region {
    let region = Region::map(bytes).expect("memory");
    assert!(region.bytes() >= bytes && region.bytes().is_multiple_of(HUGE_PAGE_BYTES), "asked for {bytes} bytes, got {}", region.bytes());
    let base = region.base().addr().get();
    assert!(base.is_multiple_of(HUGE_PAGE_BYTES), "base {base:#x}");
    // SAFETY: the region is mapped for `bytes()` from its base, zeroed by the kernel, and nobody
    // else knows of it.
    let all = unsafe { std::slice::from_raw_parts(region.base().as_ptr(), region.bytes()) };
    assert_eq!(all.iter().position(|byte| *byte != 0), None, "zeroed");
    region
}

/// Bytes of `region` that are present in memory, as the kernel counts them.
fn resident_bytes(region: &Region) -> usize {
    let mut present = vec![0_u8; region.bytes() / PAGE_BYTES];
    // SAFETY: mincore demands a mapped, page-aligned range and one byte of answer for each page.
    let answer = unsafe { libc::mincore(region.base().as_ptr().cast(), region.bytes(), present.as_mut_ptr()) };
    assert_eq!(answer, 0, "{}", std::io::Error::last_os_error());
    present.iter().filter(|page| **page & 1 == 1).count() * PAGE_BYTES
}

#[test]
fn sizes_are_rounded_up_to_huge_pages() {
    for (asked, mapped) in [
        (1, HUGE_PAGE_BYTES),
        (HUGE_PAGE_BYTES - 1, HUGE_PAGE_BYTES),
        (HUGE_PAGE_BYTES, HUGE_PAGE_BYTES),
        (HUGE_PAGE_BYTES + 1, 2 * HUGE_PAGE_BYTES),
    ] {
        assert_eq!(check(asked).bytes(), mapped, "asked for {asked} bytes");
    }
}

#[test]
fn every_page_is_present_before_first_use() {
    let region = Region::map(3 * HUGE_PAGE_BYTES).expect("memory");
    assert_eq!(resident_bytes(&region), region.bytes());
}

#[test]
fn zero_bytes_are_refused() {
    let error = Region::map(0).expect_err("nothing to map");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[test]
fn sizes_beyond_the_address_space_are_refused() {
    for bytes in [usize::MAX, isize::MAX.unsigned_abs()] {
        let error = Region::map(bytes).expect_err("more than there is");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{bytes} bytes");
    }
    // Fits the arithmetic, not the machine: the kernel's answer comes through.
    let error = Region::map(1 << 60).expect_err("more than any host has");
    assert_eq!(error.raw_os_error(), Some(libc::ENOMEM));
}

#[test]
fn pages_are_one_of_three_kinds_and_named() {
    let pages = check(1).pages();
    assert!([Pages::Huge, Pages::Advised, Pages::Small].contains(&pages), "{pages:?}");
}

#[test]
fn lent_parts_never_overlap() {
    let region = Arc::new(check(HUGE_PAGE_BYTES));
    let lenders: Vec<_> = (0..4)
        .map(|_| {
            let region = Arc::clone(&region);
            thread::spawn(move || std::iter::from_fn(|| region.lend(PAGE_BYTES).ok()).collect::<Vec<_>>())
        })
        .collect();
    let mut offsets: Vec<usize> = lenders.into_iter().flat_map(|lender| lender.join().expect("lender")).collect();
    offsets.sort_unstable();
    let all: Vec<usize> = (0..HUGE_PAGE_BYTES).step_by(PAGE_BYTES).collect();
    assert_eq!(offsets, all, "each page exactly once");
    assert_eq!(region.lend(PAGE_BYTES), Err(0));
}

#[test]
fn lending_too_much_changes_nothing() {
    let region = check(HUGE_PAGE_BYTES);
    assert_eq!(region.lend(PAGE_BYTES), Ok(0));
    let left = HUGE_PAGE_BYTES - PAGE_BYTES;
    assert_eq!(region.lend(HUGE_PAGE_BYTES), Err(left));
    assert_eq!(region.lend(usize::MAX - PAGE_BYTES + 1), Err(left));
    assert_eq!(region.lend(left), Ok(PAGE_BYTES));
}

use super::*;

#[test]
fn pages_are_leased_until_none_is_left_and_come_back() {
    let mut pages = Pages::new(3, 8192).unwrap();
    let leased: Vec<PageId> = std::iter::from_fn(|| pages.lease()).collect();
    let offsets: Vec<usize> = leased.iter().map(|page| pages.offset(*page)).collect();
    assert_eq!((offsets, pages.available()), (vec![0, 8192, 16384], 0));
    pages.submit(leased[1]);
    pages.done(leased[1]);
    assert_eq!(pages.lease(), Some(leased[1]));
}

#[test]
fn pages_do_not_overlap() {
    let mut pages = Pages::new(2, 4096).unwrap();
    let (first, second) = (pages.lease().unwrap(), pages.lease().unwrap());
    pages.page_mut(first).fill(1);
    pages.page_mut(second).fill(2);
    assert!(pages.page_mut(first).iter().all(|byte| *byte == 1));
    assert_eq!(pages.page_mut(second).len(), 4096);
}

#[test]
#[should_panic(expected = "is InFlight, Leased is needed")]
fn a_page_in_flight_cannot_be_written() {
    let mut pages = Pages::new(1, 4096).unwrap();
    let page = pages.lease().unwrap();
    pages.submit(page);
    pages.page_mut(page);
}

#[test]
#[should_panic(expected = "taken back twice")]
fn a_page_taken_back_twice_is_a_bug() {
    let mut pages = Pages::new(1, 4096).unwrap();
    let page = pages.lease().unwrap();
    pages.done(page);
    pages.done(page);
}

#[test]
#[should_panic(expected = "0 bytes left")]
fn no_ring_can_be_built_over_the_pages() {
    let pages = Pages::new(1, 4096).unwrap();
    let _ = slot_ring(Arc::clone(pages.region()), 1, 4096);
}

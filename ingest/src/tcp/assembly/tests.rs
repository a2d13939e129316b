use super::{Kept, PAGE_BYTES, Pages};
use proptest::prelude::*;

const PAGES: usize = 8;

fn read(pages: &Pages, kept: &Kept) -> Vec<u8> {
    pages.parts(kept).flatten().copied().collect()
}

proptest! {
    /// Against the plain model: a vector a record, and a sum of pages that may not pass the pool.
    #[test]
    fn a_pool_is_so_many_vectors_of_bounded_sum(
        steps in prop::collection::vec((0_usize..4, prop_oneof![0_usize..100, 0..3 * PAGE_BYTES, Just(PAGE_BYTES)], any::<u8>()), 1..60),
    ) {
        let mut pages = Pages::new(PAGES * PAGE_BYTES);
        let mut kept = [Kept::NOTHING; 4];
        let mut model = vec![Vec::new(); 4];
        for (record, bytes, fill) in steps {
            if fill % 4 == 0 {
                pages.release(&mut kept[record]);
                model[record].clear();
            } else {
                let more = vec![fill; bytes];
                let others: usize = (0..4).filter(|other| *other != record).map(|other| model[other].len().div_ceil(PAGE_BYTES)).sum();
                let fits = others + (model[record].len() + bytes).div_ceil(PAGE_BYTES) <= PAGES;
                prop_assert_eq!(pages.keep(&mut kept[record], &more), fits);
                if fits {
                    model[record].extend_from_slice(&more);
                }
            }
            for (kept, model) in kept.iter().zip(&model) {
                prop_assert_eq!(kept.bytes(), model.len());
                prop_assert!(read(&pages, kept) == *model);
            }
            let used: usize = model.iter().map(|record| record.len().div_ceil(PAGE_BYTES)).sum();
            prop_assert_eq!(pages.free(), PAGES - used);
        }
    }
}

#[test]
fn an_empty_pool_keeps_nothing_but_nothing() {
    let mut pages = Pages::new(0);
    let mut kept = Kept::NOTHING;
    assert!(pages.keep(&mut kept, b""));
    assert!(!pages.keep(&mut kept, b"x"));
    assert_eq!((kept, pages.free()), (Kept::NOTHING, 0));
}

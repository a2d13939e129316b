use crate::admit::{Facts, Shed, admit, count};
use headworks_ledger::Counts;

#[test]
fn admission_is_the_table() {
    for truncated in [false, true] {
        for ring_full in [false, true] {
            for disk_full in [false, true] {
                let expected = match (truncated, ring_full, disk_full) {
                    (true, _, _) => Err(Shed::Oversize),
                    (false, true, true) => Err(Shed::DiskFull),
                    (false, _, _) => Ok(()),
                };
                assert_eq!(admit(&Facts { truncated, ring_full, disk_full }), expected, "{truncated} {ring_full} {disk_full}");
            }
        }
    }
}

#[test]
fn every_refusal_is_counted_under_its_reason_and_the_books_balance() {
    for (reason, name) in [(Shed::Oversize, "oversize"), (Shed::Malformed, "malformed"), (Shed::DiskFull, "disk_full")] {
        let mut counts = Counts { arrived: 40, ..Counts::default() };
        count(&mut counts, reason, 40);
        let under: Vec<_> = counts.shed().into_iter().filter(|(_, packets)| *packets > 0).collect();
        assert_eq!(under, [(name, 40)]);
        assert_eq!((counts.received, counts.imbalance()), (40, 0));
    }
}

//! Lines of an exposition.

use super::*;

#[test]
fn a_value_is_that_of_the_whole_name_with_its_labels() {
    let shown = "# TYPE headworks_failovers counter\nheadworks_failovers_total{cause=\"silence\"} 2\nheadworks_solo_records_total 17\n";
    assert_eq!(value(shown, "headworks_failovers_total{cause=\"silence\"}"), Some(2.0));
    assert_eq!(value(shown, "headworks_solo_records_total"), Some(17.0));
    for other in ["headworks_solo_records", "headworks_failovers_total", "headworks_failovers_total{cause=\"start\"}"] {
        assert_eq!(value(shown, other), None, "{other}");
    }
}

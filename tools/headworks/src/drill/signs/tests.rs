//! Lines of an exposition.

#[test]
fn a_value_is_that_of_the_whole_name_and_of_all_labels_where_none_is_named() {
    let failovers = "headworks_failovers_total{cause=\"start\"} 1\nheadworks_failovers_total{cause=\"silence\"} 2\n";
    let shown = format!("# TYPE headworks_failovers counter\n{failovers}headworks_solo_records_total 17\n");
    let value = |name| super::value(&shown, name);
    assert_eq!(value("headworks_failovers_total{cause=\"silence\"}"), Some(2.0));
    assert_eq!(value("headworks_solo_records_total"), Some(17.0));
    assert_eq!(value("headworks_failovers_total"), Some(3.0));
    for other in ["headworks_solo_records", "headworks_failovers", "headworks_failovers_total{cause=\"operator\"}"] {
        assert_eq!(value(other), None, "{other}");
    }
}

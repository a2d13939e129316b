mod histogram;
mod whole;

/// The ledger and the format see nothing of each other; what one writes into a block's header the other must name alike.
#[test]
fn counters_have_the_same_names_in_the_ledger_and_in_a_block() {
    assert_eq!(headworks_ledger::NAMES, headworks_format::block::COUNTER_NAMES);
}

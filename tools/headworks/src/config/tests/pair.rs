use super::super::{Arbiter, ArbiterKind, Pair};
use super::*;

fn whole() -> String {
    format!("{PAIR}{WITNESS}")
}

#[test]
fn a_node_alone_has_neither() {
    let config = Try::new().config();
    assert_eq!((config.pair, config.arbiter), (None, None));
    assert!(!Try::new().resolved().to_string().contains("pair"), "what is not there is not shown");
}

#[test]
fn a_pair_has_the_defaults_of_one_rack() {
    let config = Try::new().file(&whole()).config();
    let address = |text: &str| text.parse().expect("an address");
    let pair = Pair {
        peer: address("10.0.0.2:9700"),
        listen: address("0.0.0.0:9700"),
        min_in_sync: 1,
        uncommitted_bytes_max: 1 << 30,
        heartbeat_ns: 10_000_000,
        heartbeat_misses: 5,
    };
    assert_eq!(config.pair, Some(pair));
    let arbiter = Arbiter { kind: ArbiterKind::Witness, address: Some(address("10.0.0.3:9701")), register: 0 };
    assert_eq!(config.arbiter, Some(arbiter));
}

#[test]
fn every_source_can_write_it() {
    let config = Try::new()
        .set("pair.peer=10.0.0.2:9700")
        .variable("HEADWORKS_PAIR_LISTEN", "127.0.0.1:0")
        .variable("HEADWORKS_PAIR_MIN_IN_SYNC", "2")
        .set("arbiter.kind=manual")
        .config();
    assert_eq!(config.pair.map(|pair| (pair.min_in_sync, pair.listen.port())), Some((2, 0)));
}

#[test]
fn one_without_the_other_names_the_fix() {
    check(
        &Try::new().file(PAIR),
        &["line 1", "pair: is without [arbiter]", "kind = \"witness\"", "headworks witness", "kind = \"manual\""],
    );
    check(&Try::new().file(WITNESS), &["line 1", "arbiter: is without [pair]", "peer and listen", "remove [arbiter]"]);
    let peer = Try::new().set("pair.peer=10.0.0.2:9700").set("pair.listen=10.0.0.1:9700");
    check(&peer, &["--set pair.peer", "is without [arbiter]"]);
}

#[test]
fn required_keys_are_named() {
    check(
        &Try::new().file(&format!("[pair]\npeer = \"10.0.0.2:9700\"\n{WITNESS}")),
        &["line 1", "pair.listen: is missing", "peer and listen"],
    );
    check(&Try::new().file(&format!("{PAIR}[arbiter]\naddress = \"10.0.0.3:9701\"\n")), &["line 4", "arbiter.kind: is missing"]);
    check(&Try::new().file(&format!("{PAIR}[arbiter]\nkind = \"witness\"\n")), &["line 5", "arbiter.kind", "needs its address"]);
    let errors = Try::new().file(&format!("[pair]\n{WITNESS}")).errors();
    assert_eq!(errors.len(), 2, "{errors:#?}");
}

#[test]
fn a_manual_arbiter_keeps_two_copies_and_has_no_address() {
    let manual = "[arbiter]\nkind = \"manual\"\n";
    check(&Try::new().file(&format!("{PAIR}{manual}")), &["arbiter.kind", "pair.min_in_sync = 2", "headworks pair promote"]);
    Try::new().file(&format!("{PAIR}min_in_sync = 2\n{manual}")).config();
    let address = format!("{PAIR}min_in_sync = 2\n{manual}address = \"10.0.0.3:9701\"\n");
    check(&Try::new().file(&address), &["line 7", "arbiter.address", "kind witness"]);
}

#[test]
fn values_outside_their_limits_are_refused() {
    let table = [
        ("pair.peer=0.0.0.0:9700", "nothing to connect to"),
        ("pair.peer=10.0.0.2:0", "nothing to connect to"),
        ("pair.peer=b.example:9700", "is not an IP address"),
        ("pair.min_in_sync=3", "from 1 to 2"),
        ("pair.uncommitted_max=1MiB", "16MiB to 1TiB"),
        ("pair.heartbeat=1us", "1ms to 10s"),
        ("pair.heartbeat_misses=1", "from 2 to 1000"),
        ("arbiter.kind=zookeeper", "is not one of \"witness\", \"manual\""),
        ("arbiter.address=10.0.0.3:0", "nothing to connect to"),
        ("arbiter.register=64", "from 0 to 63"),
        ("pair.pear=10.0.0.2:9700", "`pair.peer`"),
        ("arbiter.adress=10.0.0.2:9700", "`arbiter.address`"),
    ];
    for (setting, part) in table {
        check(&Try::new().file(&whole()).set(setting), &[setting, part]);
    }
}

#[test]
fn its_port_is_its_own() {
    check(&Try::new().file(&whole()).set("pair.listen=127.0.0.1:9092"), &["pair.listen", "kafka.address", "another port"]);
    check(&Try::new().file(&whole()).set("pair.listen=10.0.0.2:9700"), &["peer and listen are both 10.0.0.2:9700"]);
}

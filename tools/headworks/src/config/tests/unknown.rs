use super::*;

#[test]
fn keys_of_a_file_name_the_line_and_the_nearest() {
    let table = [
        ("log.lingr = \"2ms\"", "log.lingr", "log.linger"),
        ("node.dta = [\"/a\"]", "node.dta", "node.data"),
        ("log.retention.sise = \"1GiB\"", "log.retention.sise", "log.retention.size"),
        ("log.retention_size = \"1GiB\"", "log.retention_size", "log.retention.size"),
        ("kafka.advertize = \"a:1\"", "kafka.advertize", "kafka.advertise"),
        ("nod.name = \"a\"", "nod", "node"),
        ("pairs.peer = \"10.0.0.2:9700\"", "pairs", "pair"),
        ("listner = []", "listner", "listener"),
        ("[[streem]]\nname = \"a\"", "streem", "stream"),
    ];
    for (text, key, nearest) in table {
        check(
            &Try::new().file(&format!("\n\n{text}\n")),
            &["headworks.toml line 3, column ", &format!(": {key}: unknown"), &format!("nearest valid key is `{nearest}`")],
        );
    }
}

#[test]
fn keys_of_list_entries_name_the_entry() {
    check(
        &Try::new().file(&format!("{LISTENER}adress = \"x\"\n")),
        &["line 6, column 1", "listener.udp.adress: unknown key", "`listener.udp.address`"],
    );
    check(
        &Try::new().file("[[stream]]\nname = \"events\"\nreceivetime = true\n"),
        &["line 3", "stream.events.receivetime", "`stream.events.receive_time`"],
    );
}

#[test]
fn variables_and_arguments_are_named() {
    let attempt = Try::new().variable("HEADWORKS_LOG_LINGR", "2ms");
    check(&attempt, &["environment variable HEADWORKS_LOG_LINGR: log.lingr: unknown key", "`log.linger` (HEADWORKS_LOG_LINGER)"]);
    check(&Try::new().variable("HEADWORKS_LISTENER_UPD_ADDRESS", "x"), &["HEADWORKS_LISTENER_UPD_ADDRESS", "`listener.udp.address`"]);
    check(&Try::new().set("log.lingr=2ms"), &["--set log.lingr=2ms: log.lingr: unknown key", "`log.linger`"]);
    check(&Try::new().set("listener.upd.address=x"), &["defined (udp, tcp)", "`listener.udp.address`"]);
    check(&Try::new().set("listener.udp.name=x"), &["change it in the file"]);
    check(&Try::new().set("stream.other.key=source"), &["defined (events)", "`stream.events.key`"]);
    check(&Try::new().set("linger"), &["--set linger: has no `=`"]);
}

#[test]
fn parts_of_later_releases_are_named_as_such() {
    let etcd = "[arbiter]\nkind = \"etcd\"\n";
    check(
        &Try::new().file(&format!("{PAIR}{etcd}")),
        &["line 5", "arbiter.kind", "`etcd` is an arbiter of a later release", "\"witness\""],
    );
    let endpoints = format!("{PAIR}{WITNESS}endpoints = [\"10.0.0.4:2379\"]\n");
    check(&Try::new().file(&endpoints), &["line 7", "arbiter.endpoints", "`etcd`, which is not built into this release"]);
}

#[test]
fn keys_of_the_other_kind_of_listener_are_named_as_such() {
    let framing = format!("{LISTENER}framing = \"length\"\n");
    check(&Try::new().file(&framing), &["line 6", "listener.udp.framing", "belongs to listeners of kind tcp"]);
    check(&Try::new().set("listener.udp.record_max=1MiB"), &["listener.udp.record_max", "belongs to listeners of kind tcp"]);
    check(&Try::new().set("listener.tcp.gro=true"), &["listener.tcp.gro", "belongs to listeners of kind udp"]);
    check(&Try::new().variable("HEADWORKS_LISTENER_UDP_ACK", "true"), &["listener.udp.ack", "belongs to listeners of kind tcp"]);
    check(&Try::new().file(&framing.replace("kind = \"udp\"", "kind = \"quic\"")), &["listener.udp.kind", "udp", "tcp"]);
}

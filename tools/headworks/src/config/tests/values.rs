use super::*;

#[test]
fn the_whole_file_is_understood() {
    let text = r#"
        [node]
        name = "a"
        data = ["/var/lib/headworks"]
        lanes = 2
        strict = true
        ingest_cpus = [1, 2]
        log_cpu = 0
        [log]
        ring = "128MiB"
        segment = "64MiB"
        linger = "0ms"
        depth = 4
        retention = { size = "1GiB", age = "7d" }
        [[stream]]
        name = "events"
        key = "source"
        receive_time = true
        ack = "disk"
        [[listener]]
        name = "udp"
        kind = "udp"
        address = "[::1]:0"
        stream = "events"
        gro = false
        receive_buffer = "1MiB"
        [kafka]
        address = "0.0.0.0:9092"
        advertise = "a.example:9092"
        [http]
        address = "127.0.0.1:0"
    "#;
    let attempt = Try::new().file(text);
    let config = attempt.config();
    assert_eq!((config.node.name.as_str(), config.node.lanes, config.node.strict), ("a", Lanes::Fixed(2), true));
    assert_eq!((&config.node.ingest_cpus, &config.node.log_cpu), (&Placement::Fixed(vec![1, 2]), &Placement::Fixed(0)));
    assert_eq!((config.log.ring_bytes, config.log.segment_bytes, config.log.linger_ns, config.log.depth), (128 << 20, 64 << 20, 0, 4));
    assert_eq!((config.log.retention.size_bytes, config.log.retention.age_ns), (1 << 30, Some(7 * 86_400_000_000_000)));
    assert_eq!((config.streams[0].key, config.streams[0].receive_time, config.streams[0].ack), (Key::Source, true, AckLevel::Disk));
    assert_eq!((config.listeners[0].gro, config.listeners[0].receive_buffer_bytes), (false, 1 << 20));
    assert_eq!(config.kafka.advertise, Some(HostPort { host: "a.example".to_owned(), port: 9092 }));
    assert_eq!(config.origin, Origin::File(attempt.dir.path().join("headworks.toml")));
}

#[test]
fn good_values_by_set() {
    let table = [
        "node.lanes=auto",
        "node.lanes=64",
        "node.strict=true",
        "node.ingest_cpus=1,2",
        "node.ingest_cpus=auto",
        "node.log_cpu=0",
        "log.ring=4MiB",
        "log.segment=8MiB",
        "log.segment=1GiB",
        "log.linger=1s",
        "log.linger=0",
        "log.depth=1",
        "log.retention.size=1GiB",
        "log.retention.age=none",
        "log.retention.age=1h",
        "stream.events.ack=none",
        "stream.events.ack=peer-memory",
        "listener.udp.kind=udp",
        "listener.udp.address=0.0.0.0:0",
        "listener.tcp.framing=newline",
        "listener.tcp.record_max=1MiB",
        "listener.tcp.record_max=1B",
        "listener.tcp.ack=true",
        "listener.tcp.connections_max=65536",
        "listener.tcp.idle_max=1h",
        "kafka.advertise=[::1]:9092",
        "http.address=[::]:80",
        "node.name=a-b_c.d",
    ];
    for argument in table {
        Try::new().set(argument).config();
    }
}

#[test]
fn bad_values_name_the_argument_the_key_and_what_to_write() {
    let table = [
        ("node.name=", "0 bytes"),
        ("node.name=a b", "' '"),
        ("node.lanes=0", "1 to 64"),
        ("node.lanes=65", "1 to 64"),
        ("node.lanes=some", "\"auto\""),
        ("node.strict=yes", "true or false"),
        ("node.ingest_cpus=1,1", "CPU 1 stands there twice"),
        ("node.ingest_cpus=1,x", "`x`"),
        ("node.log_cpu=-1", "0 to 1023"),
        ("node.data=", "is not a directory's path"),
        ("log.ring=48MiB", "32MiB or 64MiB"),
        ("log.ring=2MiB", "4MiB to"),
        ("log.ring=64", "no unit"),
        ("log.segment=4MiB", "8MiB to 1GiB"),
        ("log.segment=2GiB", "8MiB to 1GiB"),
        ("log.segment=8193KiB", "multiple of 4KiB: write 8196KiB"),
        ("log.linger=2s", "0ms to 1s"),
        ("log.linger=2", "no unit"),
        ("log.depth=0", "1 to 64"),
        ("log.retention.age=0s", "1s to"),
        ("log.retention.size=1GB", "unknown unit `GB`"),
        ("stream.events.key=ip", "\"none\", \"source\""),
        ("stream.events.ack=all", "\"peer-disk\""),
        ("listener.udp.kind=sctp", "\"udp\", \"tcp\""),
        ("listener.tcp.framing=lines", "\"length\", \"newline\""),
        ("listener.tcp.record_max=2MiB", "1B to 1MiB"),
        ("listener.tcp.ack=disk", "true or false"),
        ("listener.tcp.connections_max=0", "1 to 65536"),
        ("listener.tcp.idle_max=10ms", "1s to"),
        ("listener.udp.address=localhost:9000", "127.0.0.1:9000"),
        ("listener.udp.address=127.0.0.1", "port"),
        ("listener.udp.gro=1", "true or false"),
        ("listener.udp.receive_buffer=1KiB", "64KiB to"),
        ("kafka.advertise=a.example", "1 to 65535"),
        ("kafka.advertise=a.example:0", "1 to 65535"),
        ("kafka.advertise=0.0.0.0:9092", "wildcard"),
        ("kafka.advertise=::1:9092", "1 to 65535"),
        ("http.address=:80", "port"),
    ];
    for (argument, part) in table {
        let key = argument.split('=').next().unwrap_or_default();
        check(&Try::new().set(argument), &[&format!("--set {argument}: {key}: "), part]);
    }
}

#[test]
fn wrong_shapes_in_a_file_name_line_and_column() {
    let table = [
        ("node.name = 7", "node.name"),
        ("node.data = [\"/a\", \"/b\"]", "node.data"),
        ("node.data = []", "node.data"),
        ("node.strict = 1", "node.strict"),
        ("log.segment = 268435456", "log.segment"),
        ("log.linger = 2.5", "log.linger"),
        ("log.depth = 99999999999999999999", "log.depth"),
        ("log.retention = \"8GiB\"", "log.retention"),
        ("http.address = 1979-05-27", "http.address"),
        ("node.ingest_cpus = []", "node.ingest_cpus"),
        ("log.ring = { size = \"64MiB\" }", "log.ring"),
    ];
    for (line, key) in table {
        check(&Try::new().file(&format!("# first\n{line}\n")), &["headworks.toml line 2, column ", &format!(": {key}: ")]);
    }
}

#[test]
fn stream_names_follow_the_rules_of_topics() {
    let long = "a".repeat(249);
    assert_eq!(Try::new().file(&format!("listener = []\n[[stream]]\nname = \"{long}\"\n")).config().streams[0].name, long);
    for name in ["", ".", "..", "a b", "a/b", "ä", &format!("{long}a")] {
        let attempt = Try::new().file(&format!("listener = []\n[[stream]]\nname = \"{name}\"\n"));
        check(&attempt, &["line 3", "stream[0].name"]);
    }
}

#[test]
fn the_stream_of_committed_offsets_is_the_appliances_own() {
    let attempt = Try::new().file("listener = []\n[[stream]]\nname = \"__consumer_offsets\"\n");
    check(&attempt, &["stream: ", "offsets of consumer groups in `__consumer_offsets`"]);
}

mod pair;
mod unknown;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;

use super::units::{parse_duration, parse_size, show_duration, show_size};
use super::{AckLevel, Config, HostPort, Key, Lanes, Origin, Placement, Resolved, Sources};

/// A file of its own for each call, so that tests can run side by side.
struct Try {
    dir: tempfile::TempDir,
    sources: Sources,
}

impl Try {
    fn new() -> Try {
        Try { dir: tempfile::tempdir().expect("a temporary directory"), sources: Sources::default() }
    }

    fn file(mut self, text: &str) -> Try {
        let path = self.dir.path().join("headworks.toml");
        std::fs::write(&path, text).expect("the file is written");
        self.sources.file = Some(path);
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Try {
        self.sources.environment.push((OsString::from(name), OsString::from(value)));
        self
    }

    fn set(mut self, argument: &str) -> Try {
        self.sources.set.push(argument.to_owned());
        self
    }

    fn data(mut self, path: &str) -> Try {
        self.sources.data = Some(PathBuf::from(path));
        self
    }

    fn resolved(&self) -> Resolved {
        Config::resolve(&self.sources).unwrap_or_else(|errors| panic!("refused:\n{errors}"))
    }

    fn config(&self) -> Config {
        self.resolved().config
    }

    fn errors(&self) -> Vec<String> {
        let errors = match Config::load(&self.sources) {
            Ok(config) => panic!("accepted: {config:?}"),
            Err(errors) => errors,
        };
        errors.iter().map(ToString::to_string).collect()
    }
}

/// Exactly one error, which holds each of `parts`.
fn check(attempt: &Try, parts: &[&str]) {
    let errors = attempt.errors();
    assert_eq!(errors.len(), 1, "one error wanted, {} came: {errors:#?}", errors.len());
    for part in parts {
        assert!(errors[0].contains(part), "`{part}` is not in: {}", errors[0]);
    }
}

const PAIR: &str = "[pair]\npeer = \"10.0.0.2:9700\"\nlisten = \"0.0.0.0:9700\"\n";
const WITNESS: &str = "[arbiter]\nkind = \"witness\"\naddress = \"10.0.0.3:9701\"\n";
const LISTENER: &str = "[[listener]]\nname = \"udp\"\nkind = \"udp\"\naddress = \"127.0.0.1:9000\"\nstream = \"events\"\n";

mod units {
    use super::*;

    #[test]
    fn sizes_read_as_bytes() {
        let table = [("0", 0), ("0B", 0), ("7B", 7), ("4KiB", 4096), ("256MiB", 256 << 20), (" 1 GiB ", 1 << 30), ("3TiB", 3 << 40)];
        for (text, bytes) in table {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn durations_read_as_nanoseconds() {
        let table = [
            ("0", 0),
            ("5ns", 5),
            ("5us", 5_000),
            ("2ms", 2_000_000),
            ("1s", 1_000_000_000),
            ("2m", 120_000_000_000),
            ("1h", 3_600_000_000_000),
            ("7d", 604_800_000_000_000),
        ];
        for (text, ns) in table {
            assert_eq!(parse_duration(text), Ok(ns), "{text}");
        }
    }

    #[test]
    fn vague_texts_are_refused_with_the_value_and_an_example() {
        let table = ["", "MiB", "256", "1.5MiB", "256MB", "-1MiB", "256mib", "1MiB2", "99999999999999999999B", "99999999TiB"];
        for text in table {
            let reason = parse_size(text).expect_err(text);
            assert!(reason.contains(&format!("`{text}`")), "{reason}");
        }
        for text in ["", "ms", "2", "2 minutes", "1.5s", "-2ms", "400000d"] {
            let reason = parse_duration(text).expect_err(text);
            assert!(reason.contains(&format!("`{text}`")), "{reason}");
        }
    }

    #[test]
    fn shown_amounts_read_back_as_themselves() {
        for amount in [0, 1, 999, 1000, 1024, 4096, 1_000_000, 1 << 20, (1 << 30) + 1, 86_400_000_000_000, u64::MAX] {
            assert_eq!(parse_size(&show_size(amount)), Ok(amount), "{}", show_size(amount));
            assert_eq!(parse_duration(&show_duration(amount)), Ok(amount), "{}", show_duration(amount));
        }
    }
}

mod precedence {
    use super::*;

    #[test]
    fn without_sources_the_embedded_default_stands() {
        let config = Try::new().config();
        assert_eq!(config, Config::embedded());
        assert_eq!(config.node.data, [PathBuf::from("./headworks-data")]);
        assert_eq!(
            (config.log.ring_bytes, config.log.segment_bytes, config.log.linger_ns, config.log.depth),
            (64 << 20, 256 << 20, 2_000_000, 8)
        );
        assert_eq!((config.log.retention.size_bytes, config.log.retention.age_ns), (8 << 30, None));
        assert_eq!(config.listeners[0].address.to_string(), "127.0.0.1:9000");
        assert_eq!((config.listeners[0].gro, config.listeners[0].receive_buffer_bytes), (true, 64 << 20));
        assert_eq!(config.kafka.address.to_string(), "127.0.0.1:9092");
        assert_eq!(config.http.address.to_string(), "127.0.0.1:9600");
    }

    #[test]
    fn each_later_source_wins() {
        let file = || Try::new().file("[log]\nlinger = \"3ms\"\n");
        assert_eq!(file().config().log.linger_ns, 3_000_000);
        assert_eq!(file().variable("HEADWORKS_LOG_LINGER", "4ms").config().log.linger_ns, 4_000_000);
        let all = file().variable("HEADWORKS_LOG_LINGER", "4ms").set("log.linger=5ms");
        assert_eq!(all.config().log.linger_ns, 5_000_000);
        assert_eq!(all.set("log.linger=6ms").config().log.linger_ns, 6_000_000);
    }

    #[test]
    fn data_flag_wins_over_everything() {
        let attempt = Try::new().file("[node]\ndata = [\"/a\"]\n").variable("HEADWORKS_NODE_DATA", "/b").set("node.data=/c").data("/d");
        assert_eq!(attempt.config().node.data, [PathBuf::from("/d")]);
    }

    #[test]
    fn a_file_brings_the_larger_retention_unless_it_says_otherwise() {
        assert_eq!(Try::new().file("").config().log.retention.size_bytes, 100 << 30);
        assert_eq!(Try::new().file("log.retention.size = \"2GiB\"").config().log.retention.size_bytes, 2 << 30);
    }

    #[test]
    fn a_files_lists_replace_the_default_lists() {
        let config = Try::new().file("listener = []\n[[stream]]\nname = \"a\"\n[[stream]]\nname = \"b\"\n").config();
        assert_eq!(config.streams.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(config.listeners.is_empty(), "{} listeners of 0", config.listeners.len());
    }

    #[test]
    fn names_with_dots_and_dashes_are_addressed() {
        let attempt = Try::new().file("listener = []\n[[stream]]\nname = \"a.b\"\n[[stream]]\nname = \"a-c\"\n");
        let config = attempt.set("stream.a.b.key=source").variable("HEADWORKS_STREAM_A_C_RECEIVE_TIME", "true").config();
        assert_eq!((config.streams[0].key, config.streams[1].key), (Key::Source, Key::None));
        assert_eq!((config.streams[0].receive_time, config.streams[1].receive_time), (false, true));
    }

    #[test]
    fn variables_of_others_are_left_alone() {
        let attempt = Try::new()
            .variable("HEADWORKS_HOME", "/x")
            .variable("HEADWORKS_SERVICE_HOST", "10.0.0.1")
            .variable("HEADWORKS_PORT_9092_TCP", "tcp://10.0.0.1:9092");
        assert_eq!(attempt.variable("LOG_LINGER", "x").variable("HEADWORKS_TEST_SEED", "1").config(), Config::embedded());
    }
}

mod between_keys {
    use super::*;

    #[test]
    fn wildcard_needs_a_name_to_advertise() {
        check(&Try::new().file("\n[kafka]\naddress = \"0.0.0.0:9092\"\n"), &["line 3", "kafka.address", "wildcard", "kafka.advertise"]);
        check(&Try::new().set("kafka.address=[::]:9092"), &["--set", "wildcard"]);
        Try::new().set("kafka.address=0.0.0.0:9092").set("kafka.advertise=127.0.0.1:9092").config();
    }

    #[test]
    fn retention_holds_four_segments() {
        Try::new().set("log.retention.size=1GiB").config();
        check(&Try::new().set("log.retention.size=1023MiB"), &["log.retention.size", "1023MiB", "4 segments of 256MiB", "at least 1GiB"]);
        check(
            &Try::new().file("[log]\nretention = { size = \"1GiB\" }\n").set("log.segment=512MiB"),
            &["--set log.segment=512MiB", "at least 2GiB"],
        );
    }

    #[test]
    fn listeners_feed_streams_that_exist() {
        check(&Try::new().file(&LISTENER.replace("\"events\"", "\"event\"")), &["line 5", "listener.udp.stream", "`event`", "(events)"]);
        check(
            &Try::new().file("[[stream]]\nname = \"other\"\n"),
            &["embedded default: listener.udp.stream", "`events`", "(other)", "[[listener]] sections of your own"],
        );
    }

    #[test]
    fn addresses_differ() {
        let second = LISTENER.replace("name = \"udp\"", "name = \"two\"");
        check(&Try::new().file(&format!("{LISTENER}{second}")), &["line 9", "listener.two.address", "127.0.0.1:9000", "another port"]);
        let free = format!("{LISTENER}{second}").replace(":9000", ":0");
        assert_eq!(Try::new().file(&free).config().listeners.len(), 2);
        check(&Try::new().set("http.address=127.0.0.1:9092"), &["http.address", "kafka.address", "another port"]);
    }

    #[test]
    fn names_are_used_once() {
        check(&Try::new().file(&format!("{LISTENER}{}", LISTENER.replace("9000", "9001"))), &["line 7", "listener[1].name", "`udp`"]);
        check(
            &Try::new().file("[[stream]]\nname = \"events\"\n[[stream]]\nname = \"events\"\n"),
            &["line 4", "stream[1].name", "`events`"],
        );
    }

    #[test]
    fn each_lane_has_its_cpu() {
        Try::new().set("node.lanes=2").set("node.ingest_cpus=1,2").config();
        check(&Try::new().set("node.lanes=2").set("node.ingest_cpus=1"), &["node.ingest_cpus", "1 CPUs for 2 lanes"]);
    }

    #[test]
    fn lists_have_what_they_need() {
        check(&Try::new().file("stream = []\nlistener = []\n"), &["stream: no stream is defined"]);
        check(&Try::new().file("[[stream]]\nkey = \"none\"\n"), &["line 1", "stream[0].name", "is missing"]);
        check(
            &Try::new().file("[[listener]]\nname = \"a\"\nkind = \"udp\"\nstream = \"events\"\n"),
            &["line 1", "listener.a.address", "is missing"],
        );
        check(&Try::new().file("[stream]\nname = \"a\"\n"), &["line 1", "[[stream]]"]);
        check(&Try::new().file("[[log]]\nlinger = \"2ms\"\n"), &["line 1", "write [log]"]);
        check(&Try::new().file("stream = [1]\nlistener = []\n"), &["stream[0]", "[[stream]]"]);
    }
}

mod errors {
    use super::*;

    #[test]
    fn all_are_listed_in_the_order_of_their_places() {
        let text = "[log]\nsegment = \"1MiB\"\nlingr = \"2ms\"\n[nod]\n[kafka]\naddress = \"0.0.0.0:9092\"\n";
        let errors = Try::new().file(text).variable("HEADWORKS_LOG_DEPTH", "0").set("log.ring=1").errors();
        let wanted = ["line 2,", "line 3,", "line 4,", "line 6,", "environment variable HEADWORKS_LOG_DEPTH", "--set log.ring=1"];
        assert_eq!(errors.len(), wanted.len(), "{errors:#?}");
        for (error, part) in errors.iter().zip(wanted) {
            assert!(error.contains(part), "`{part}` is not in: {error}");
        }
    }

    #[test]
    fn text_that_is_no_toml_names_the_line() {
        check(&Try::new().file("[log]\nlinger = 2ms\n"), &["headworks.toml line 2", "cannot be read as TOML"]);
        check(&Try::new().file("[log]\nlinger = \"2ms\"\nlinger = \"3ms\"\n"), &["line 3", "cannot be read as TOML"]);
    }

    #[test]
    fn unreadable_files_are_named() {
        let mut attempt = Try::new();
        attempt.sources.file = Some(attempt.dir.path().join("absent.toml"));
        check(&attempt, &["absent.toml: cannot be opened", "--config"]);
        let attempt = Try::new().file("");
        std::fs::write(attempt.dir.path().join("headworks.toml"), [b'#', 0xff, b'\n']).expect("the file is written");
        check(&attempt, &["is not UTF-8 text (byte 1 of it)"]);
        check(&Try::new().file(&"#\n".repeat(600_000)), &["is larger than 1048576 bytes"]);
    }

    #[test]
    fn columns_count_characters() {
        check(&Try::new().file("node = { name = \"a\", lanes = 1 } # ä\nlog = { \"ä\" = 1 }\n"), &["line 2, column 9", "log.ä"]);
        check(&Try::new().file("http = { address = \"127.0.0.1:0\", ö = 1 }\n"), &["cannot be read as TOML"]);
        let after = "node = { data = [\"/ä\"], lans = 2 }\n";
        check(&Try::new().file(after), &["line 1, column 25", "node.lans", "`node.lanes`"]);
    }
}

mod shown {
    use super::*;

    /// Reads back what was shown and finds the same settings.
    fn round_trip(attempt: &Try) {
        let first = attempt.resolved();
        let second = Try::new().file(&first.to_string()).config();
        assert_eq!(Config { origin: Origin::Embedded, ..second }, Config { origin: Origin::Embedded, ..first.config.clone() }, "{first}");
    }

    #[test]
    fn reads_back_as_itself() {
        round_trip(&Try::new());
        round_trip(&Try::new().file("listener = []\n[[stream]]\nname = \"a.b\"\nkey = \"source\"\n"));
        round_trip(
            &Try::new()
                .set("node.data=/a \"b\"\\c")
                .set("node.ingest_cpus=3,1")
                .set("log.retention.age=7d")
                .set("kafka.advertise=[::1]:9092"),
        );
        round_trip(&Try::new().file(&format!("{PAIR}{WITNESS}register = 7\n")));
        round_trip(&Try::new().file(&format!("{PAIR}min_in_sync = 2\nheartbeat = \"20ms\"\n[arbiter]\nkind = \"manual\"\n")));
    }

    #[test]
    fn every_value_names_its_place() {
        let text =
            Try::new().file("[log]\nlinger = \"3ms\"\n").variable("HEADWORKS_LOG_DEPTH", "4").set("log.ring=4MiB").resolved().to_string();
        let line = |key: &str| text.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("no {key} in\n{text}")).to_owned();
        for (key, place) in [
            ("linger = \"3ms\"", "# line 2"),
            ("depth = 4", "# environment variable HEADWORKS_LOG_DEPTH"),
            ("ring = \"4MiB\"", "# --set log.ring=4MiB"),
            ("segment", "# default"),
        ] {
            assert!(line(key).ends_with(place), "`{place}` does not end: {}", line(key));
        }
    }
}

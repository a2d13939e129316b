//! Apache Kafka: one broker in KRaft mode, and the performance tools that come with it, which speak to any broker.
//!
//! Maven fetches the jars once, beside the build; the versions stand in `kafka.pom.xml`.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::guard::Registered;
use crate::bench::Bench;

const READY_MAX: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(50);
/// Heap of the broker and of a tool.
const BROKER_HEAP: &str = "-Xmx1g";
const TOOL_HEAP: &str = "-Xmx512m";
const QUIET: &str = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn";

/// The jars.
pub struct Distribution {
    classpath: String,
}

/// What a producer reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Produced {
    /// Records a second.
    pub per_second: f64,
    /// 99 of 100 records were acknowledged within so many milliseconds.
    pub p99_ms: f64,
}

/// A running broker; killed when the value goes.
pub struct Broker {
    child: Child,
    _registered: Registered,
    /// Where clients connect.
    pub address: SocketAddr,
}

impl Distribution {
    /// Fetches the jars, unless they are there.
    ///
    /// # Errors
    /// Maven or Java is missing or fails; with what to install.
    pub fn fetch(bench: &Bench) -> Result<Distribution, String> {
        let jars = bench.binaries.folder().join("../kafka/jars");
        let complete = jars.join("complete");
        if !complete.is_file() {
            let description = Path::new(env!("CARGO_MANIFEST_DIR")).join("kafka.pom.xml");
            let mut maven = Command::new("mvn");
            maven.args(["-q", "-B", "-f"]).arg(&description).arg("dependency:copy-dependencies");
            maven.arg(format!("-DoutputDirectory={}", jars.display())).stdin(Stdio::null());
            let status = maven.status().map_err(|error| format!("cannot start Maven: {error}; install maven and a JDK of 17 or newer"))?;
            if !status.success() {
                return Err(format!("Maven did not fetch Apache Kafka: {status}"));
            }
            File::create(&complete).map_err(|error| format!("cannot make {}: {error}", complete.display()))?;
        }
        Ok(Distribution { classpath: format!("{}/*", jars.display()) })
    }

    fn java(&self, heap: &str, class: &str) -> Command {
        let mut command = Command::new("java");
        command.args([heap, QUIET, "-cp", &self.classpath, class]).stdin(Stdio::null());
        command
    }

    /// Starts a broker whose data lies in `folder`, with these settings beyond what one node needs.
    ///
    /// # Errors
    /// It cannot be started, or takes no connection in time.
    pub fn start(&self, folder: &Path, settings: &[&str]) -> Result<Broker, String> {
        fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
        let (client, controller) = (free_port()?, free_port()?);
        let properties = folder.join("server.properties");
        let own = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}\ncontroller.listener.names=CONTROLLER\n\
             log.dirs={}\noffsets.topic.replication.factor=1\ngroup.initial.rebalance.delay.ms=0\nnum.partitions=4\n{}\n",
            folder.join("data").display(),
            settings.join("\n")
        );
        fs::write(&properties, own).map_err(|error| format!("cannot write {}: {error}", properties.display()))?;
        let mut format = self.java(TOOL_HEAP, "kafka.tools.StorageTool");
        // Any 16 bytes in base64 are a cluster's identity.
        format.args(["format", "-t", "aGVhZHdvcmtzLWJlbmNoZQ", "-c"]).arg(&properties);
        output_of(&mut format, "formatting Kafka's folder")?;
        let log = folder.join("broker.log");
        let out = File::create(&log).map_err(|error| format!("cannot make {}: {error}", log.display()))?;
        let errors = out.try_clone().map_err(|error| format!("cannot share {}: {error}", log.display()))?;
        let mut command = self.java(BROKER_HEAP, "kafka.Kafka");
        command.arg(&properties).stdout(out).stderr(errors);
        let child = command.spawn().map_err(|error| format!("cannot start Kafka: {error}"))?;
        let address = SocketAddr::from(([127, 0, 0, 1], client));
        let broker = Broker { _registered: Registered::new(child.id()), child, address };
        broker.wait_ready(&log)?;
        Ok(broker)
    }

    /// Produces records with `acks=all`, as fast as acknowledgements allow or at a rate.
    ///
    /// # Errors
    /// The tool fails, or says nothing that can be read.
    pub fn produce(&self, to: SocketAddr, topic: &str, records: u64, bytes: usize, rate: Option<u64>) -> Result<Produced, String> {
        let mut command = self.java(TOOL_HEAP, "org.apache.kafka.tools.ProducerPerformance");
        command.args(["--topic", topic, "--num-records", &records.to_string(), "--record-size", &bytes.to_string()]);
        command.args(["--throughput", &rate.map_or_else(|| "-1".to_owned(), |rate| rate.to_string())]);
        command.args(["--producer-props", &format!("bootstrap.servers={to}"), "acks=all"]);
        let text = output_of(&mut command, "producing")?;
        produced(&text).ok_or_else(|| format!("not what a producer says: {text}"))
    }

    /// Consumes so many records from the start; MB a second while fetching, without the joining of the group.
    ///
    /// # Errors
    /// As for [`Distribution::produce`].
    pub fn consume(&self, from: SocketAddr, topic: &str, records: u64, group: &str) -> Result<f64, String> {
        let mut command = self.java(TOOL_HEAP, "org.apache.kafka.tools.ConsumerPerformance");
        command.args(["--bootstrap-server", &from.to_string(), "--topic", topic, "--group", group, "--hide-header"]);
        command.args(["--messages", &records.to_string(), "--timeout", "30000"]);
        let text = output_of(&mut command, "consuming")?;
        consumed(&text, records).ok_or_else(|| format!("not what a consumer of {records} records says: {text}"))
    }
}

impl Broker {
    fn wait_ready(&self, log: &Path) -> Result<(), String> {
        let started = Instant::now();
        while started.elapsed() < READY_MAX {
            if TcpStream::connect(self.address).is_ok() {
                return Ok(());
            }
            thread::sleep(LOOK);
        }
        let said = fs::read_to_string(log).unwrap_or_default();
        Err(format!("Kafka takes no connection within {READY_MAX:?}: {}", said.lines().last().unwrap_or("it said nothing")))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // Both fail only when it was waited for already, which is what they are to bring about.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A port that was free a moment ago.
fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(|error| format!("no free port: {error}"))
}

fn output_of(command: &mut Command, what: &str) -> Result<String, String> {
    let program = PathBuf::from(command.get_program());
    let output = command.output().map_err(|error| format!("{what}: cannot start {}: {error}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(format!("{what} ended with {}: {text}{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// `300000 records sent, 135440.2 records/sec (12.92 MB/sec), 64.97 ms avg latency, …, 137 ms 99th, 139 ms 99.9th.`
fn produced(text: &str) -> Option<Produced> {
    let line = text.lines().rfind(|line| line.contains("99th"))?;
    let before = |mark: &str| line[..line.find(mark)?].rsplit([' ', ',']).find(|word| !word.is_empty())?.parse().ok();
    Some(Produced { per_second: before(" records/sec")?, p99_ms: before(" ms 99th")? })
}

/// `start, end, MB, MB/s, records, records/s, rebalance ms, fetch ms, fetch MB/s, fetch records/s`
fn consumed(text: &str, records: u64) -> Option<f64> {
    let line = text.lines().rfind(|line| line.split(", ").count() == 10)?;
    let fields: Vec<&str> = line.split(", ").collect();
    let read: u64 = fields[4].parse().ok()?;
    (read >= records).then(|| fields[8].parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_producer_says_is_read() {
        let text = "1 records sent, 2.0 records/sec (0.1 MB/sec), 3.0 ms avg latency\n\
            300000 records sent, 135440.2 records/sec (12.92 MB/sec), 64.97 ms avg latency, 465.00 ms max latency, 53 ms 50th, 132 ms 95th, \
            137 ms 99th, 139 ms 99.9th.\n";
        assert_eq!(produced(text), Some(Produced { per_second: 135_440.2, p99_ms: 137.0 }));
        assert_eq!(produced("nothing"), None);
    }

    #[test]
    fn what_a_consumer_says_is_read_unless_records_are_missing() {
        let text =
            "2026-11-23 09:21:48:059, 2026-11-23 09:21:51:155, 190.7349, 61.6069, 2000000, 645994.8320, 1027, 2069, 92.1870, 966650.5\n";
        assert_eq!(consumed(text, 2_000_000), Some(92.187));
        assert_eq!(consumed(text, 2_000_001), None);
    }
}

//! Where the figures were taken.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use headworks_io::cpus;
use serde::Serialize;

#[cfg(test)]
mod tests;

/// The machine under test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// Model name.
    pub cpu: String,
    /// Processors that this process may use.
    pub processors: usize,
    /// `MemTotal`.
    pub memory: String,
    /// Release.
    pub kernel: String,
    /// Type and options of the file system that holds the data.
    pub file_system: String,
    /// Block device and its scheduler.
    pub disk: String,
    /// The three averages when this was written.
    pub load: String,
}

impl Machine {
    /// Names and values for a table.
    pub fn lines(&self) -> [(&'static str, String); 7] {
        [
            ("cpu", self.cpu.clone()),
            ("processors", self.processors.to_string()),
            ("memory", self.memory.clone()),
            ("kernel", self.kernel.clone()),
            ("filesystem", self.file_system.clone()),
            ("disk", self.disk.clone()),
            ("load", self.load.clone()),
        ]
    }
}

/// Describes this machine, with the disk that holds `folder`.
pub fn describe(folder: &Path) -> Machine {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let hypervisor = if text("/proc/cpuinfo").contains(" hypervisor") { " (virtual machine)" } else { "" };
    Machine {
        cpu: field(&text("/proc/cpuinfo"), "model name") + hypervisor,
        processors: cpus::allowed().len(),
        memory: field(&text("/proc/meminfo"), "MemTotal"),
        kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
        file_system: file_system(&text("/proc/self/mountinfo"), folder).unwrap_or_else(unknown),
        disk: disk(folder).unwrap_or_else(unknown),
        load: load(),
    }
}

/// The load averages, as the kernel prints them.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// The value of a `name : value` line; the first of many.
fn field(text: &str, name: &str) -> String {
    let found = text.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == name);
    found.map_or_else(unknown, |(_, value)| value.trim().to_owned())
}

/// Type and options of the mount that holds the folder: the longest mount point that is a prefix of it.
fn file_system(mounts: &str, folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let holds = |line: &&str| line.split(' ').nth(4).is_some_and(|point| folder.starts_with(point));
    let line = mounts.lines().filter(holds).max_by_key(|line| line.split(' ').nth(4).map_or(0, str::len))?;
    let (before, after) = line.split_once(" - ")?;
    let options = before.split(' ').nth(5)?;
    Some(format!("{} ({options})", after.split(' ').next()?))
}

/// The device and the scheduler in force, which the kernel puts in brackets.
fn disk(folder: &Path) -> Option<String> {
    let device = fs::metadata(folder).ok()?.dev();
    let link = format!("/sys/dev/block/{}:{}", libc::major(device), libc::minor(device));
    let mut path = fs::canonicalize(link).ok()?;
    if path.join("partition").exists() {
        path.pop();
    }
    let schedulers = fs::read_to_string(path.join("queue/scheduler")).unwrap_or_default();
    let scheduler = schedulers.split(['[', ']']).nth(1).unwrap_or("none").to_owned();
    let rotational = fs::read_to_string(path.join("queue/rotational")).is_ok_and(|text| text.trim() == "1");
    let kind = if rotational { "rotational as the kernel believes" } else { "not rotational" };
    Some(format!("{}, scheduler {scheduler}, {kind}", path.file_name()?.to_str()?))
}

//! The list of librdkafka's tests: which run here, and why the others do not.
//!
//! ```text
//! NUMBER  short    [full] [only=PART,PART]    runs, in `cargo xtask test` too
//! NUMBER  runs     [full] [only=PART,PART]    runs
//! NUMBER  absent   REASON
//!
//! full         without the runner's quick mode, in which some tests do nothing
//! only=PART    one run a part, of the subtests whose name has it; the others need what stands in the comment above
//! ```
//!
//! It may only grow: [`PASSED`] holds what runs, and `cargo xtask tidy` finds a test of it that the list has lost or calls absent. Every
//! number of [`GATES`] has a line, so that nothing is left out in silence.

/// Where the list lies, from the root.
pub const PATH: &str = "tools/librdkafka/tests.txt";

/// Tests of a broker that reads and writes, keeps consumer groups, and answers to an administrator.
const GATES: &str = "
    0001 0002 0003 0005 0007 0008 0011 0012 0013 0014 0015 0016 0017 0021 0022 0026 0029 0031 0034 0035 0036 0038 0039 0040 0041 0042 0048
    0050 0054 0055 0057 0059 0060 0061 0063 0065 0067 0070 0073 0076 0082 0083 0084 0085 0086 0090 0114 0123 0125 0127 0137
    0018 0019 0020 0030 0033 0045 0051 0056 0089 0091 0093 0099 0102 0113 0118 0122 0130 0132 0140
    0044 0069 0080 0081 0092 0112";

/// What has passed. Numbers are only ever added.
const PASSED: &str = "
    0001 0002 0003 0005 0007 0008 0011 0012 0013 0014 0015 0016 0017 0018 0020 0021 0022 0026 0029 0030 0031 0034 0035 0036 0038 0039
    0040 0041 0042 0045 0048 0049 0050 0051 0054 0055 0056 0057 0059 0060 0061 0063 0065 0067 0068 0070 0073 0075 0076 0082 0083 0084
    0086 0088 0089 0090 0091 0093 0094 0099 0102 0113 0114 0118 0122 0123 0125 0127 0130 0132 0137 0140";

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Four digits.
    pub number: String,
    state: State,
    /// Without quick mode.
    pub full: bool,
    /// Parts of names of subtests; one run each. None of them: one run of everything.
    pub only: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Short,
    Runs,
    Absent,
}

impl Entry {
    /// A test that the list does not let run, as it would be if it did.
    pub fn plain(number: &str) -> Self {
        Self { number: number.to_owned(), state: State::Runs, full: false, only: Vec::new() }
    }

    /// Whether it runs at all.
    pub fn runs(&self) -> bool {
        self.state != State::Absent
    }

    /// Whether it runs in `cargo xtask test`.
    pub fn is_short(&self) -> bool {
        self.state == State::Short
    }
}

/// What is wrong with the list, with the line from 1, or 0 for the whole.
pub type Findings = Vec<(usize, String)>;

/// Reads the list.
///
/// # Errors
/// Every line that is none.
pub fn parse(text: &str) -> Result<Vec<Entry>, Findings> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut findings = Findings::new();
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty() && !line.starts_with('#'));
    for (text, line) in lines {
        match entry(text) {
            Ok(entry) if entries.last().is_some_and(|last| last.number >= entry.number) => {
                findings.push((line, format!("{} is out of order or twice", entry.number)));
            }
            Ok(entry) => entries.push(entry),
            Err(reason) => findings.push((line, reason)),
        }
    }
    if findings.is_empty() { Ok(entries) } else { Err(findings) }
}

fn entry(line: &str) -> Result<Entry, String> {
    let mut words = line.split_whitespace();
    let number = words.next().unwrap_or_default();
    if !is_number(number) {
        return Err(format!("{number:?} is no number of a test: four digits"));
    }
    let state = match words.next() {
        Some("short") => State::Short,
        Some("runs") => State::Runs,
        Some("absent") if words.next().is_some() => return Ok(Entry { state: State::Absent, ..Entry::plain(number) }),
        Some("absent") => return Err(format!("{number} is absent without a reason")),
        other => return Err(format!("{number}: {other:?} is none of short, runs, absent")),
    };
    let mut entry = Entry { state, ..Entry::plain(number) };
    for word in words {
        match word.split_once('=') {
            None if word == "full" => entry.full = true,
            Some(("only", parts)) if !parts.is_empty() => entry.only = parts.split(',').map(str::to_owned).collect(),
            _ => return Err(format!("{number}: {word:?} is neither full nor only=PART")),
        }
    }
    Ok(entry)
}

/// Whether a word is the number of a test.
pub fn is_number(word: &str) -> bool {
    word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// What is wrong with a list: lines that are none, tests of the gates that are missing, tests that have passed and do not run any more,
/// and tests that run and are not held to it.
pub fn check(text: &str) -> Findings {
    let entries = match parse(text) {
        Ok(entries) => entries,
        Err(findings) => return findings,
    };
    let passed: Vec<&str> = PASSED.split_whitespace().collect();
    let find = |number: &str| entries.iter().find(|entry| entry.number == number);
    let lost = passed.iter().filter(|number| !find(number).is_some_and(Entry::runs));
    let lost = lost.map(|number| (0, format!("{number} has passed and does not run any more; mend what broke it")));
    let missing = GATES.split_whitespace().filter(|number| find(number).is_none());
    let missing = missing.map(|number| (0, format!("{number} has no line; say that it runs, or why it does not")));
    let loose = entries.iter().filter(|entry| entry.runs() && !passed.contains(&entry.number.as_str()));
    let loose = loose.map(|entry| (0, format!("{} runs; add it to PASSED, so that it stays", entry.number)));
    lost.chain(missing).chain(loose).collect()
}

/// Findings as one line.
pub fn shown(findings: &Findings) -> String {
    let each = findings.iter().map(|(line, says)| format!("{PATH}:{line}: {says}"));
    each.collect::<Vec<_>>().join("; ")
}

//! What an appliance writes back on a connection: cumulative counts, or one line of text before it ends the connection.
//!
//! A count is a u64, big-endian, and its first byte is 0 for the first 2⁵⁶ records; no line of text begins with that. So
//! where a count would begin, any other byte begins a line.

/// Longest line kept.
const LINE_BYTES_MAX: usize = 512;

/// Takes bytes apart as they come.
#[derive(Debug, Default)]
pub struct Counts {
    part: [u8; 8],
    len: usize,
    line: Vec<u8>,
}

impl Counts {
    /// Takes bytes; the last count that is whole among them. Counts only grow: the last one says it all.
    pub fn take(&mut self, bytes: &[u8]) -> Option<u64> {
        let mut last = None;
        for byte in bytes {
            let begins_line = self.len == 0 && *byte != 0;
            if begins_line || !self.line.is_empty() {
                if self.line.len() < LINE_BYTES_MAX {
                    self.line.push(*byte);
                }
                continue;
            }
            self.part[self.len] = *byte;
            self.len += 1;
            if self.len == 8 {
                last = Some(u64::from_be_bytes(self.part));
                self.len = 0;
            }
        }
        last
    }

    /// The line, if one came.
    pub fn line(&self) -> Option<String> {
        (!self.line.is_empty()).then(|| String::from_utf8_lossy(&self.line).trim_end().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_found_however_they_are_cut() {
        let bytes = [3_u64, 70_000, 70_001].map(u64::to_be_bytes).concat();
        for cut in 1..bytes.len() {
            let mut counts = Counts::default();
            let found: Vec<u64> = bytes.chunks(cut).filter_map(|part| counts.take(part)).collect();
            assert_eq!(found.last(), Some(&70_001), "cut at {cut}");
            assert_eq!(counts.line(), None);
        }
    }

    #[test]
    fn a_line_behind_counts_is_kept_and_is_no_count() {
        let mut counts = Counts::default();
        let bytes = [&5_u64.to_be_bytes()[..], b"listener tcp: nothing came\n"].concat();
        assert_eq!(counts.take(&bytes), Some(5));
        assert_eq!(counts.take(&[0; 16]), None);
        assert!(counts.line().unwrap().starts_with("listener tcp: nothing came"));
    }

    #[test]
    fn an_endless_line_is_cut() {
        let mut counts = Counts::default();
        assert_eq!(counts.take(&[b'x'; 10_000]), None);
        assert_eq!(counts.line().unwrap().len(), LINE_BYTES_MAX);
    }
}

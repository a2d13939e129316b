//! A record's bytes on the wire: a packet behind its length, or as hex before a newline.
//!
//! ```text
//!  length   | u32 big-endian: size | packet, size bytes |
//!  newline  | packet in hex, 2 · size digits            | \n |
//! ```
//! All records of a run are equally long, so a count of bytes is a count of records.

use crate::ledger::Framing;
use crate::packet::{Template, stamp, to_hex};

/// Makes the records of a run.
#[derive(Debug)]
pub struct Recorder {
    packet: Vec<u8>,
    framing: Framing,
}

impl Recorder {
    /// Of the packets of the template.
    pub fn new(template: &Template, framing: Framing) -> Self {
        Self { packet: template.bytes().to_vec(), framing }
    }

    /// Bytes of a record.
    pub fn record_bytes(&self) -> usize {
        match self.framing {
            Framing::Length => 4 + self.packet.len(),
            Framing::Newline => 2 * self.packet.len() + 1,
        }
    }

    /// Adds a record with this stamp.
    #[inline]
    pub fn push(&mut self, out: &mut Vec<u8>, source: u32, sequence: u64, intended_ns: u64) {
        stamp(&mut self.packet, source, sequence, intended_ns);
        match self.framing {
            Framing::Length => {
                let length = u32::try_from(self.packet.len()).expect("65,507 at most");
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(&self.packet);
            }
            Framing::Newline => {
                to_hex(&self.packet, out);
                out.push(b'\n');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Damage, Reading};

    fn recorded(framing: Framing) -> (Template, Recorder, Vec<u8>) {
        let template = Template::new(9, 1, 64);
        let mut recorder = Recorder::new(&template, framing);
        let mut out = Vec::new();
        recorder.push(&mut out, 3, 7, 11);
        recorder.push(&mut out, 3, 8, 12);
        (template, recorder, out)
    }

    #[track_caller]
    fn check(reading: Reading, sequence: u64) {
        let Reading::Intact(stamp) = reading else { panic!("{reading:?}") };
        assert_eq!((stamp.run, stamp.source, stamp.sequence, stamp.intended_ns), (9, 3, sequence, sequence + 4));
    }

    #[test]
    fn a_length_stands_before_each_packet() {
        let (template, recorder, out) = recorded(Framing::Length);
        assert_eq!((recorder.record_bytes(), out.len()), (68, 136));
        for (record, sequence) in out.chunks(68).zip(7..) {
            assert_eq!(record[..4], [0, 0, 0, 64]);
            check(template.read(&record[4..]), sequence);
        }
    }

    #[test]
    fn a_line_is_a_packet_in_hex_and_holds_no_other_newline() {
        let (template, recorder, out) = recorded(Framing::Newline);
        assert_eq!((recorder.record_bytes(), out.len()), (129, 258));
        for (record, sequence) in out.chunks(129).zip(7..) {
            assert_eq!(record.iter().position(|byte| *byte == b'\n'), Some(128));
            check(template.read_hex(&record[..128], &mut Vec::new()), sequence);
        }
    }

    #[test]
    fn hex_that_is_damaged_is_told_from_what_is_not_ours() {
        let (template, _, mut out) = recorded(Framing::Newline);
        let bytes = &mut Vec::new();
        assert_eq!(template.read_hex(&out[..127], bytes), Reading::Corrupt(Damage::Hex), "an odd number of digits");
        out[60] = b'x';
        assert_eq!(template.read_hex(&out[..128], bytes), Reading::Corrupt(Damage::Hex));
        out[60] = if out[60] == b'0' { b'1' } else { b'0' };
        assert!(matches!(template.read_hex(&out[..128], bytes), Reading::Corrupt(Damage::Checksum) | Reading::Intact(_)));
        assert_eq!(template.read_hex(b"somebody else's line", bytes), Reading::Foreign);
        assert_eq!(template.read_hex(b"", bytes), Reading::Foreign);
    }
}

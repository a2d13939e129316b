//! What a lane may ask.

use super::*;
use crate::message::End;
use headworks_format::{Chain, Epoch};
use headworks_log::{DiskError, FileNumber, LaneView};
use headworks_ring::{Region, slot_ring};
use std::collections::VecDeque;
use std::sync::Arc;

/// A directory that is never looked into.
struct NoDisk;

impl Disk for NoDisk {
    type Buffer = Vec<u8>;

    fn buffer(&self, bytes: usize) -> Vec<u8> {
        vec![0; bytes]
    }

    fn files(&self) -> Result<Vec<(FileNumber, u64)>, DiskError> {
        Ok(Vec::new())
    }

    fn read(&self, file: FileNumber, _: u64, _: usize, _: &mut Vec<u8>) -> Result<usize, DiskError> {
        panic!("{file} is read")
    }

    fn read_sidecar(&self, file: FileNumber) -> Result<Option<Vec<u8>>, DiskError> {
        panic!("the sidecar of {file} is read")
    }

    fn write_sidecar(&mut self, file: FileNumber, _: &[u8]) -> Result<(), DiskError> {
        panic!("the sidecar of {file} is written")
    }

    fn write(&mut self, file: FileNumber, _: u64, _: &[u8]) -> Result<(), DiskError> {
        panic!("{file} is written")
    }

    fn sync(&mut self, file: FileNumber) -> Result<(), DiskError> {
        panic!("{file} is synced")
    }

    fn quarantine(&mut self, name: &str, _: &[u8]) -> Result<(), DiskError> {
        panic!("{name} is put into quarantine")
    }
}

/// A lane whose log holds five blocks.
fn lane(is_open: bool) -> Lane<NoDisk> {
    const SLOT_BYTES: usize = 4096;
    let view = LaneView::new(LaneId(0), Epoch(3), &[], VecDeque::new(), 0, 5, 1);
    let region = Arc::new(Region::map(2 * SLOT_BYTES).expect("two pages"));
    let (_, _, readers) = slot_ring(region, 2, SLOT_BYTES);
    let end = End { sequence: 5, chain: Chain([5; 16]) };
    Lane::new(LaneLog { view: Arc::new(view), disk: Arc::new(NoDisk), readers: is_open.then_some(readers), end, committed: 4 })
}

#[test]
fn a_lane_asks_only_when_what_it_accepted_is_in_its_log() {
    let open = lane(true);
    assert!(open.holds_through(5));
    assert!(!open.holds_through(6), "accepted, and on its way through the ring: neither its epoch nor its chain is known");
    assert!(lane(false).holds_through(5), "a closed log is whole");
}

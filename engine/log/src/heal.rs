//! Healing: blocks that do not hold any more are written again where they stood, from another node's copy.
//!
//! ```text
//! position ─► harm: which numbers, from where to where, between which chains ─► copies, one by one, proved ─► written, synced
//! ```
//!
//! No byte is taken on trust: a copy is a whole block of the same nonce, lane and number that continues the chain of what stands
//! before it, so it is the block that was there. The numbers of a nonce are stamped once, whoever stamped them.

use crate::blocks::Extent;
use crate::disk::{Disk, FileNumber};
use crate::recover::{Window, first_of_longest_rise, heads_from};
use headworks_format::block::{Expected, HEAD_BYTES, inspect};
use headworks_format::segment::{DATA_FROM, HeaderPage, PAGE_BYTES, SegmentId};
use headworks_format::{Chain, Sequence};

/// Blocks in a row that do not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Harm {
    /// The file.
    pub file: FileNumber,
    /// Its life.
    pub id: SegmentId,
    /// The first block.
    pub first: u64,
    /// After the last one.
    pub end: u64,
    /// Where the first one begins.
    pub position: u64,
    /// Where the last one ends; none if nothing behind it tells.
    pub end_position: Option<u64>,
    /// What the first one carries.
    pub before: Chain,
    /// What the block behind the last one carries, where one stands there.
    pub after: Option<Chain>,
}

/// Why blocks stay harmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unhealed {
    /// The copy, or the writing of it, is not to be had.
    Failed(String),
    /// A copy does not prove itself to be the block that was there.
    Unproved {
        /// Its number.
        sequence: u64,
        /// What does not hold.
        what: &'static str,
    },
}

impl core::fmt::Display for Unhealed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Unhealed::Failed(why) => f.write_str(why),
            Unhealed::Unproved { sequence, what } => write!(f, "the copy of block {sequence} is another one: its {what} does not hold"),
        }
    }
}

/// The blocks in whose place byte `position` of a segment lies, from the last one before them whose head can be read to the
/// first one behind them, below `end`. None where no block below it stands there, or where the segment's header cannot be read.
pub fn harm_at<D: Disk>(disk: &D, segment: &Extent, end: u64, position: u64) -> Option<Harm> {
    let id = header_of(disk, segment)?;
    let mut window = Window::new(disk, segment.file, id.segment_bytes);
    let harm = Harm {
        file: segment.file,
        id,
        first: segment.base,
        end: segment.base,
        position: DATA_FROM as u64,
        end_position: None,
        before: id.base_chain,
        after: None,
    };
    let (mut at, end) = (harm, segment.end.unwrap_or(end).min(end));
    while at.end < end {
        at = next_run(&mut window, end, &at);
        if at.end_position.is_none_or(|end| position < end) {
            return Some(at);
        }
        at = Harm { first: at.end, position: at.end_position?, before: at.after?, ..at };
    }
    None
}

/// What stands at the start of `at`: one block whose head can be read, or all up to the next such.
fn next_run<D: Disk>(window: &mut Window<'_, D>, end: u64, at: &Harm) -> Harm {
    if let Some(head) = window.head_alone_at(at.position)
        && head.nonce() == at.id.nonce
        && head.sequence() == Sequence(at.first)
    {
        let end_position = Some(at.position + head.block_bytes() as u64);
        return Harm { end: at.first + 1, end_position, after: Some(head.chain()), ..*at };
    }
    let from = at.position + HEAD_BYTES as u64;
    let heads: Vec<(u64, u64)> = heads_from(window, &at.id, from).into_iter().filter(|(number, _)| *number > at.first).collect();
    let next = first_of_longest_rise(&heads).filter(|(number, _)| *number < end);
    match next.and_then(|(number, position)| Some((number, position, window.head_alone_at(position)?.header().chain))) {
        Some((number, position, chain)) => Harm { end: number, end_position: Some(position), after: Some(Chain(chain)), ..*at },
        None => Harm { end, end_position: None, after: None, ..*at },
    }
}

fn header_of<D: Disk>(disk: &D, segment: &Extent) -> Option<SegmentId> {
    let mut page = disk.buffer(PAGE_BYTES);
    disk.read(segment.file, 0, PAGE_BYTES, &mut page).ok().filter(|read| *read == PAGE_BYTES)?;
    match HeaderPage::parse(page.as_ref().first_chunk()?) {
        HeaderPage::Present(id) if id.nonce == segment.nonce => Some(id),
        _ => None,
    }
}

/// Writes the harmed blocks again: `copy` brings the block of a number, `write` puts bytes at a position and returns when they
/// are durable. Returns how many bytes were written.
///
/// # Errors
/// [`Unhealed`]; blocks before the one that failed are whole again.
pub fn heal(
    harm: &Harm,
    mut copy: impl FnMut(u64) -> Result<Vec<u8>, String>,
    mut write: impl FnMut(u64, &[u8]) -> Result<(), String>,
) -> Result<u64, Unhealed> {
    let (mut position, mut chain) = (harm.position, harm.before);
    for sequence in harm.first..harm.end {
        let block = copy(sequence).map_err(Unhealed::Failed)?;
        let unproved = |what| Unhealed::Unproved { sequence, what };
        let expected = Expected { lane: harm.id.lane, nonce: harm.id.nonce, sequence: Sequence(sequence), chain: Some(chain) };
        let (validity, head) = inspect(&block, &expected);
        if let Some(what) = validity.first_fault() {
            return Err(unproved(what));
        }
        let head = head.ok_or(unproved("head page"))?;
        let end = position + head.block_bytes() as u64;
        if head.block_bytes() != block.len() || end > harm.end_position.unwrap_or(harm.id.segment_bytes) {
            return Err(unproved("size"));
        }
        if sequence + 1 == harm.end && harm.after.is_some_and(|after| after != head.chain()) {
            return Err(unproved("chain to the next block"));
        }
        chain = head.chain();
        write(position, &block).map_err(Unhealed::Failed)?;
        position = end;
    }
    Ok(position - harm.position)
}

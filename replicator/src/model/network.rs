//! Messages under way, and the one-byte blocks of which logs are made here.

use crate::message::{Ack, End, Envelope, Verdict};
use crate::register::{Member, Register};
use headworks_format::{Chain, Epoch};

/// A block: its epoch in the high half, its record in the low one. No block is 0.
pub type Block = u8;

pub fn block(epoch: Epoch, record: u8) -> Block {
    u8::try_from(epoch.0).expect("few epochs") << 4 | record
}

pub fn epoch_of(block: Block) -> Epoch {
    Epoch(u32::from(block >> 4))
}

/// The chain behind these blocks: themselves.
pub fn chain(blocks: &[Block]) -> Chain {
    let mut chain = Chain::START;
    chain.0[..blocks.len()].copy_from_slice(blocks);
    chain
}

pub fn end(blocks: &[Block]) -> End {
    End { sequence: blocks.len() as u64, chain: chain(blocks) }
}

/// The blocks that a chain stands for.
pub fn blocks(chain: &Chain) -> &[Block] {
    let bytes = chain.0.iter().position(|byte| *byte == 0).unwrap_or(chain.0.len());
    &chain.0[..bytes]
}

/// Epochs with their first blocks.
pub fn history(blocks: &[Block]) -> Vec<(Epoch, u64)> {
    let mut history: Vec<(Epoch, u64)> = Vec::new();
    for (sequence, block) in blocks.iter().enumerate() {
        if history.last().is_none_or(|(epoch, _)| *epoch != epoch_of(*block)) {
            history.push((epoch_of(*block), sequence as u64));
        }
    }
    history
}

/// A message, and the node that it goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Packet {
    pub to: usize,
    pub content: Content,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Content {
    Hello { member: Member, promised: Epoch, end: End },
    Welcome { epoch: Epoch, judged: End, verdict: Verdict },
    Append(Envelope),
    Ack(Ack),
    Switch { epoch: Epoch, end: u64 },
    Claim { of: Option<(Member, Register)> },
}

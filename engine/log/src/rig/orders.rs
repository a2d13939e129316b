//! Which order a test means.

use crate::append::{Command, PageKind, Source};

pub fn is_block(wanted: u64) -> impl Fn(&Command) -> bool {
    move |order| matches!(order, Command::WriteBlock { sequence, .. } if *sequence == wanted)
}

pub fn is_any_block(order: &Command) -> bool {
    matches!(order, Command::WriteBlock { .. })
}

pub fn is_checkpoint(order: &Command) -> bool {
    matches!(order, Command::WriteBlock { source: Source::Checkpoint, .. })
}

pub fn is_header(order: &Command) -> bool {
    matches!(order, Command::WritePage { kind: PageKind::Header, .. })
}

pub fn is_records(order: &Command) -> bool {
    matches!(order, Command::WritePage { kind: PageKind::Records, .. })
}

pub fn is_sync(order: &Command) -> bool {
    matches!(order, Command::Sync { .. })
}

pub fn is_seal(order: &Command) -> bool {
    matches!(order, Command::Seal(_))
}

pub fn is_blank(order: &Command) -> bool {
    matches!(order, Command::Blank { .. })
}

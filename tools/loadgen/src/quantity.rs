//! Durations, sizes and rates as an operator types them: `10s`, `64KiB`, `2M`.
//!
//! One number and one unit, nothing else: no fractions, no sums, no spaces, so that what was typed
//! is exactly what runs. A duration without a unit is refused rather than guessed; the refusal says
//! what to type.

use std::num::NonZeroU64;
use std::time::Duration;

use crate::pace::Rate;
use crate::packet::{PACKET_BYTES_MAX, PACKET_BYTES_MIN};

#[cfg(test)]
mod tests;

/// Longest duration taken: 30 days. Its nanoseconds fit every sum made from it.
const DURATION_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Highest rate taken, packets a second: one a nanosecond.
const RATE_MAX: u64 = 1_000_000_000;

/// A duration with its unit: `250ms`, `10s`, `2m`, `1h`.
///
/// # Errors
/// The text is not one whole number and one unit, or is beyond thirty days.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text)?;
    let unit_ns: u64 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "" => return Err(format!("a duration needs its unit: try `{number}s`")),
        other => return Err(format!("unknown unit `{other}`: use ns, us, ms, s, m or h")),
    };
    let total = number.checked_mul(unit_ns).map(Duration::from_nanos);
    total.filter(|total| *total <= DURATION_MAX).ok_or_else(|| format!("`{text}` is longer than {} days", DURATION_MAX.as_secs() / 86_400))
}

/// A duration that lasts: as [`duration`], zero refused.
///
/// # Errors
/// As [`duration`], and zero.
pub fn duration_above_zero(text: &str) -> Result<Duration, String> {
    let total = duration(text)?;
    if total.is_zero() {
        return Err("must be longer than zero".to_owned());
    }
    Ok(total)
}

/// A size in bytes: `1400`, `1400B`, `4KiB`, `4KB`.
///
/// # Errors
/// The text is not one whole number with a known unit, or does not fit.
pub fn size(text: &str) -> Result<usize, String> {
    let (number, unit) = split(text)?;
    let unit_bytes: u64 = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "KB" | "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        other => return Err(format!("unknown unit `{other}`: use B, KiB, MiB, GiB, KB, MB or GB")),
    };
    let bytes = number.checked_mul(unit_bytes).and_then(|bytes| usize::try_from(bytes).ok());
    bytes.ok_or_else(|| format!("`{text}` is larger than this machine can count"))
}

/// The size of a UDP payload of ours: large enough for the stamp, small enough for a datagram.
///
/// # Errors
/// As [`size`], and outside of [`PACKET_BYTES_MIN`] to [`PACKET_BYTES_MAX`].
pub fn packet_size(text: &str) -> Result<usize, String> {
    let bytes = size(text)?;
    if bytes < PACKET_BYTES_MIN {
        return Err(format!("{bytes} bytes are too few: the stamp and checksum of a packet take {PACKET_BYTES_MIN}"));
    }
    if bytes > PACKET_BYTES_MAX {
        return Err(format!("{bytes} bytes do not fit one datagram: {PACKET_BYTES_MAX} at most"));
    }
    Ok(bytes)
}

/// The size of a record batch: at most what a broker takes by default.
///
/// # Errors
/// As [`size`], and above a MiB.
pub fn batch_size(text: &str) -> Result<usize, String> {
    const BATCH_BYTES_MAX: usize = 1 << 20;
    let bytes = size(text)?;
    if bytes > BATCH_BYTES_MAX {
        return Err(format!("a batch of {bytes} bytes is refused by a broker: {BATCH_BYTES_MAX} at most"));
    }
    Ok(bytes)
}

/// Packets a second: `100000`, `100k`, `2M`, or `max` for as fast as the kernel takes them.
///
/// # Errors
/// Neither `max` nor a whole number above zero and at most one a nanosecond.
pub fn rate(text: &str) -> Result<Rate, String> {
    if text == "max" {
        return Ok(Rate::Max);
    }
    let (number, unit) = split(text).map_err(|reason| format!("{reason}, or `max`"))?;
    let factor = match unit {
        "" => 1,
        "k" | "K" => 1_000,
        "M" => 1_000_000,
        other => return Err(format!("unknown unit `{other}`: use k, M or nothing")),
    };
    let per_second = number.checked_mul(factor).filter(|rate| *rate <= RATE_MAX);
    let per_second = per_second.ok_or_else(|| format!("`{text}` is more than one a nanosecond"))?;
    NonZeroU64::new(per_second).map(Rate::PerSecond).ok_or_else(|| "a rate of zero sends nothing: give at least 1".to_owned())
}

/// A count of at least one: `1000000`, `1000k`, `1M`.
///
/// # Errors
/// Not a whole number above zero.
pub fn count(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text)?;
    let factor = match unit {
        "" => 1,
        "k" | "K" => 1_000,
        "M" => 1_000_000,
        other => return Err(format!("unknown unit `{other}`: use k, M or nothing")),
    };
    let count = number.checked_mul(factor).ok_or_else(|| format!("`{text}` is too large"))?;
    if count == 0 {
        return Err("must be at least 1".to_owned());
    }
    Ok(count)
}

/// The leading digits as a number, and whatever follows them.
fn split(text: &str) -> Result<(u64, &str), String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(format!("`{text}` does not start with a whole number"));
    }
    let number = number.parse().map_err(|_| format!("`{number}` is too large"))?;
    Ok((number, unit))
}

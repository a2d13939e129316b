//! Sizes and durations as an operator writes them, and back.
//!
//! ```text
//! size      <whole number><unit>   B KiB MiB GiB TiB            "256MiB"   -> 268_435_456 bytes
//! duration  <whole number><unit>   ns us ms s m h d             "2ms"      -> 2_000_000 nanoseconds
//! ```
//! A number without a unit is refused, because `segment = 256` means bytes to one reader and MiB to another; only zero needs none. Decimal
//! units (`MB`) are refused for the same reason: half of the field reads them as 1024s. Fractions are refused: `1536KiB` says it exactly.

const SIZE_UNITS: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

const DURATION_UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Bytes of a size text. The error is a sentence for the operator.
pub fn parse_size(text: &str) -> Result<u64, String> {
    parse(text, &SIZE_UNITS, "a size", "256MiB")
}

/// Nanoseconds of a duration text. The error is a sentence for the operator.
pub fn parse_duration(text: &str) -> Result<u64, String> {
    parse(text, &DURATION_UNITS, "a duration", "2ms")
}

/// The shortest size text that reads back as `bytes`.
pub fn show_size(bytes: u64) -> String {
    show(bytes, &SIZE_UNITS, "0B")
}

/// The shortest duration text that reads back as `ns`.
pub fn show_duration(ns: u64) -> String {
    show(ns, &DURATION_UNITS, "0ms")
}

fn parse(text: &str, units: &[(&str, u64)], what: &str, example: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let names = || units.iter().rev().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    if number.is_empty() {
        return Err(format!("`{text}` is not {what}: write a whole number and a unit, such as {example}"));
    }
    let too_large = || format!("`{text}` is larger than any {what} can be", what = what.trim_start_matches("a "));
    let number: u64 = number.parse().map_err(|_| too_large())?;
    let unit = unit.trim_start();
    if unit.is_empty() && number == 0 {
        return Ok(0);
    }
    if unit.is_empty() {
        return Err(format!("`{text}` has no unit: write {what} with one of {}, such as {example}", names()));
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(format!(
            "`{text}` has the unknown unit `{unit}`: write {what} as a whole number with one of {}, such as {example}",
            names()
        ));
    };
    number.checked_mul(*factor).ok_or_else(too_large)
}

fn show(value: u64, units: &[(&str, u64)], zero: &str) -> String {
    let exact = units.iter().find(|(_, factor)| value != 0 && value.is_multiple_of(*factor));
    exact.map_or_else(|| zero.to_owned(), |(name, factor)| format!("{}{name}", value / factor))
}

//! A cursor over one request frame that believes nothing.
//!
//! The frame's own length was checked against the frame cap before a byte of it was stored; from
//! here on every length inside it is checked against the bytes *left* before anything is reserved.
//! Strings and byte fields are views into the frame, so they reserve nothing at all. Arrays are the
//! one thing that does, and an array of `n` elements is refused unless `n` times the least that one
//! element takes on the wire is still there:
//!
//! ```text
//!   frame  ├──── read ────┤ n │ at least n * element_bytes_min ... ┤
//!                           └── Vec::with_capacity(n), never more
//! ```
//!
//! So what a request makes us reserve is bounded by the frame's length times
//! [`RESERVED_FACTOR_MAX`], and [`ELEMENTS_MAX`] caps the count of elements over all arrays of one
//! request, which bounds the *work* a frame can ask for. Nesting is as deep as the protocol's
//! structs, never as deep as the input says.
//!
//! Two encodings share the cursor. Since the flexible versions a length is an unsigned varint holding
//! length + 1 (0 is null) and each struct ends in tagged fields; before, lengths are `i16` and `i32`
//! with -1 for null and there are no tags. The version decides once, so the request files read alike.

use super::Rejected;

/// Elements over all arrays of one request. A consumer of some thousand partitions stays far below.
pub const ELEMENTS_MAX: usize = 20_000;

/// Reserved bytes for each byte of the frame, at most. An element takes up to 40 bytes in memory for 3 on the wire (a flexible
/// topic), so one array reserves at most 14 for each byte that is left; the bytes behind it may be claimed once more by the
/// arrays within its elements, and that twice in the deepest request (groups, their topics, their partitions of 4 for 4).
pub const RESERVED_FACTOR_MAX: usize = 2 * 14 + 1;

/// Cursor over one frame.
#[derive(Debug)]
pub struct Reader<'a> {
    left: &'a [u8],
    flexible: bool,
    elements: usize,
    reserved_bytes: usize,
}

impl<'a> Reader<'a> {
    /// Begins at the first byte of `frame`, in the encoding before the flexible versions.
    #[must_use]
    pub fn new(frame: &'a [u8]) -> Self {
        Self { left: frame, flexible: false, elements: 0, reserved_bytes: 0 }
    }

    /// Reads on in the flexible encoding (or not).
    pub fn switch_flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    /// Bytes reserved for arrays so far; at most the frame's length times [`RESERVED_FACTOR_MAX`].
    #[must_use]
    pub fn reserved_bytes(&self) -> usize {
        self.reserved_bytes
    }

    /// Bytes not yet read.
    #[must_use]
    pub fn left_bytes(&self) -> usize {
        self.left.len()
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Rejected> {
        let (taken, left) =
            self.left.split_at_checked(count).ok_or(Rejected::Short { wanted_bytes: count, left_bytes: self.left.len() })?;
        self.left = left;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Rejected> {
        let (taken, left) = self.left.split_first_chunk::<N>().ok_or(Rejected::Short { wanted_bytes: N, left_bytes: self.left.len() })?;
        self.left = left;
        Ok(*taken)
    }

    /// A signed byte.
    pub fn int8(&mut self) -> Result<i8, Rejected> {
        self.fixed().map(i8::from_be_bytes)
    }

    /// A big-endian 16-bit integer.
    pub fn int16(&mut self) -> Result<i16, Rejected> {
        self.fixed().map(i16::from_be_bytes)
    }

    /// A big-endian 32-bit integer.
    pub fn int32(&mut self) -> Result<i32, Rejected> {
        self.fixed().map(i32::from_be_bytes)
    }

    /// A big-endian 64-bit integer.
    pub fn int64(&mut self) -> Result<i64, Rejected> {
        self.fixed().map(i64::from_be_bytes)
    }

    /// A boolean: any byte but 0 is true.
    pub fn boolean(&mut self) -> Result<bool, Rejected> {
        self.int8().map(|byte| byte != 0)
    }

    /// A topic id, all zero where the client knows none.
    pub fn uuid(&mut self) -> Result<[u8; 16], Rejected> {
        self.fixed()
    }

    /// An unsigned varint of at most 32 bits: five bytes, the last holding four bits.
    pub fn varint(&mut self) -> Result<u32, Rejected> {
        let mut value = 0u32;
        for shift in [0u32, 7, 14, 21, 28] {
            let [byte] = self.fixed::<1>()?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0x0f {
                return Err(Rejected::Varint);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Rejected::Varint)
    }

    /// A string that may not be null.
    pub fn string(&mut self) -> Result<&'a str, Rejected> {
        self.nullable_string()?.ok_or(Rejected::Null)
    }

    /// A string or null.
    pub fn nullable_string(&mut self) -> Result<Option<&'a str>, Rejected> {
        let length = if self.flexible { self.compact_length()? } else { legacy_length(i64::from(self.int16()?))? };
        self.text(length)
    }

    /// The client id of a request header: the older encoding in every header version.
    pub fn header_string(&mut self) -> Result<Option<&'a str>, Rejected> {
        let length = legacy_length(i64::from(self.int16()?))?;
        self.text(length)
    }

    fn text(&mut self, length: Option<usize>) -> Result<Option<&'a str>, Rejected> {
        let Some(length) = length else {
            return Ok(None);
        };
        let bytes = self.bytes(length)?;
        std::str::from_utf8(bytes).map(Some).map_err(|_| Rejected::NotUtf8)
    }

    /// A byte field or null.
    pub fn nullable_bytes(&mut self) -> Result<Option<&'a [u8]>, Rejected> {
        match self.array_length()? {
            Some(length) => self.bytes(length).map(Some),
            None => Ok(None),
        }
    }

    /// An array that may not be null; `element_bytes_min` is the least one element takes on the wire.
    pub fn array<T>(
        &mut self,
        element_bytes_min: usize,
        element: impl FnMut(&mut Self) -> Result<T, Rejected>,
    ) -> Result<Vec<T>, Rejected> {
        self.nullable_array(element_bytes_min, element)?.ok_or(Rejected::Null)
    }

    /// An array or null; `element_bytes_min` is the least one element takes on the wire.
    pub fn nullable_array<T>(
        &mut self,
        element_bytes_min: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, Rejected>,
    ) -> Result<Option<Vec<T>>, Rejected> {
        let Some(count) = self.array_length()? else {
            return Ok(None);
        };
        self.admit(count, element_bytes_min)?;
        let mut elements = Vec::with_capacity(count);
        self.reserved_bytes += count * size_of::<T>();
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(Some(elements))
    }

    /// The check before every reservation.
    fn admit(&mut self, count: usize, element_bytes_min: usize) -> Result<(), Rejected> {
        assert!(element_bytes_min > 0, "an element takes at least one byte");
        if count > self.left.len() / element_bytes_min {
            return Err(Rejected::Short { wanted_bytes: count.saturating_mul(element_bytes_min), left_bytes: self.left.len() });
        }
        self.elements += count;
        if self.elements > ELEMENTS_MAX {
            return Err(Rejected::TooMany { elements: self.elements });
        }
        Ok(())
    }

    /// The tagged fields that end a struct of a flexible version; nothing before. None of those a
    /// client may send changes an answer of ours, so they are stepped over.
    pub fn tags(&mut self) -> Result<(), Rejected> {
        if !self.flexible {
            return Ok(());
        }
        // Each field takes at least two bytes, so the frame's length bounds the loop.
        for _ in 0..self.varint()? {
            self.varint()?;
            let length = self.varint()?;
            self.bytes(usize::try_from(length).map_err(|_| Rejected::Length)?)?;
        }
        Ok(())
    }

    fn array_length(&mut self) -> Result<Option<usize>, Rejected> {
        if self.flexible { self.compact_length() } else { legacy_length(i64::from(self.int32()?)) }
    }

    fn compact_length(&mut self) -> Result<Option<usize>, Rejected> {
        match self.varint()?.checked_sub(1) {
            Some(length) => usize::try_from(length).map(Some).map_err(|_| Rejected::Length),
            None => Ok(None),
        }
    }
}

/// -1 is null, any other negative number is nonsense.
fn legacy_length(length: i64) -> Result<Option<usize>, Rejected> {
    if length == -1 {
        return Ok(None);
    }
    usize::try_from(length).map(Some).map_err(|_| Rejected::Length)
}

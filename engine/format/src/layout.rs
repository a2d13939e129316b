//! One list of fields is the struct, its offsets and its row in `FORMAT.md`; they cannot drift apart.

/// One field of an on-disk structure, as `FORMAT.md` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Name in the code.
    pub name: &'static str,
    /// Bytes from the start of the structure.
    pub offset: usize,
    /// Size in bytes.
    pub bytes: usize,
    /// What it holds and when it is valid.
    pub meaning: &'static str,
}

/// Defines a byte-exact structure: dense, unaligned, and exactly the stated number of bytes long.
macro_rules! layout {
    ($(#[$meta:meta])* $name:ident, $bytes:expr, { $($field:ident : $ty:ty = $doc:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable, zerocopy::KnownLayout, zerocopy::Unaligned)]
        #[repr(C)]
        pub struct $name { $(#[doc = $doc] pub $field: $ty),* }

        impl $name {
            /// The structure's fields in order, as `FORMAT.md` shows them.
            pub const FIELDS: &'static [$crate::Field] = &[$($crate::Field {
                name: stringify!($field),
                offset: core::mem::offset_of!($name, $field),
                bytes: core::mem::size_of::<$ty>(),
                meaning: $doc,
            }),*];
        }

        const _: () = assert!(core::mem::size_of::<$name>() == $bytes);
    };
}

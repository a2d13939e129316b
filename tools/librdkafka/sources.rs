//! Empty: cargo wants a target in a package before it fetches what the package depends on.
#![forbid(unsafe_code)]

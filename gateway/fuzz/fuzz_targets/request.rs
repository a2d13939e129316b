//! The request reader under the fuzzer. With frames of at most 64 KiB a request may reserve 1 MiB
//! (16 bytes for each byte of the frame, which the entry function asserts); the cap on single
//! allocations is a second, independent witness:
//!
//! `cargo +nightly fuzz run request -- -max_len=65536 -malloc_limit_mb=2 -rss_limit_mb=512`
//!
//! The corpus begins with one frame of every request and version, written by
//! `cargo run -p headworks-gateway --example seed_corpus`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|frame: &[u8]| {
    let _ = headworks_gateway::kafka::request::read_frame(frame);
});

use super::{MEMBER, check};

const FUZZ: &str = "[package]\nname = \"headworks-log-fuzz\"\n[workspace]\n";

#[test]
fn a_root_without_the_attribute_is_found() {
    let manifest = ("engine/log/Cargo.toml", MEMBER);
    let good = "//! Log.\n#![forbid(unsafe_code)]\n";
    check("forbid-unsafe", &[manifest, ("engine/log/src/lib.rs", good)], &[]);
    let said = "// #![forbid(unsafe_code)]\n";
    let bad = [manifest, ("engine/log/src/bin/a.rs", ""), ("engine/log/src/lib.rs", said), ("engine/log/src/a.rs", "")];
    check("forbid-unsafe", &bad, &["src/bin/a.rs: is a crate root", "src/lib.rs: is a crate root"]);
}

#[test]
fn ring_io_and_fuzz_packages_need_no_attribute() {
    let ring = [("engine/ring/Cargo.toml", MEMBER), ("engine/ring/src/lib.rs", "")];
    check("forbid-unsafe", &ring, &[]);
    let fuzz = [("engine/log/fuzz/Cargo.toml", FUZZ), ("engine/log/fuzz/src/main.rs", "")];
    check("forbid-unsafe", &fuzz, &[]);
}

#[test]
fn the_word_is_found_in_code_only_and_outside_ring_and_io_only() {
    let code = "unsafe { read() }\n// unsafe\nlet s = \"unsafe\";\n#[unsafe(no_mangle)]\n";
    check("unsafe", &[("engine/ring/src/a.rs", code), ("engine/io/tests/a.rs", code)], &[]);
    check("unsafe", &[("engine/ringlike/src/a.rs", code)], &["a.rs:1: unsafe", "a.rs:4: unsafe"]);
}

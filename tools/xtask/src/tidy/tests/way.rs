use super::check;

const CRATES: [(&str, &str); 4] =
    [("ingest/Cargo.toml", ""), ("engine/ring/Cargo.toml", ""), ("ingest/src/udp/mod.rs", ""), ("engine/ring/src/slots.rs", "")];

fn way(text: &str, wanted: &[&str]) {
    let mut files = CRATES.to_vec();
    files.push(("ARCHITECTURE.md", text));
    check("way", &files, wanted);
}

#[test]
fn files_that_exist_pass_in_one_line_or_several() {
    way("# Way\n`ingest/udp → ring/slots`; then\n", &[]);
    way("```\ningest/udp →\n  ring/slots\n```\n", &[]);
}

#[test]
fn a_step_that_is_not_there_is_found() {
    way("\n`ingest/udp → ring/pins`\n", &["ARCHITECTURE.md:2: the way of a packet goes through ring/pins, and neither"]);
    way("```\ningest/udp → ring/pins\n```\n", &["ARCHITECTURE.md:2: "]);
    way("`ingest/udp → rink/slots`", &["there is no crate rink"]);
    way("`ingest/udp → slots`", &["a step that is no file: \"slots\""]);
    way("`ingest/udp → ring/slots → ingest/udp`", &["comes to ingest/udp twice"]);
}

#[test]
fn a_document_without_the_way_is_found() {
    way("# Architecture\n", &["names no way of a packet"]);
    check("way", &[], &["ARCHITECTURE.md: is not there"]);
}

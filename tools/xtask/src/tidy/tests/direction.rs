use super::check;
use crate::tidy::direction;

fn arrows(package: &str, rest: &str, wanted: &[&str]) {
    let manifest = format!("[package]\nname = \"{package}\"\n{rest}\n");
    check("direction", &[("x/Cargo.toml", &manifest)], wanted);
}

#[test]
fn an_arrow_that_points_up_is_found_however_it_is_written() {
    let log = "headworks-log";
    arrows(log, "[dependencies]\nheadworks-format = { workspace = true }\nbytes = \"1\"", &[]);
    let says = ["x/Cargo.toml:4: headworks-log may not depend on headworks-io; it may on: format"];
    arrows(log, "[dependencies]\nheadworks-io = { workspace = true }", &says);
    arrows(log, "[dev-dependencies]\nheadworks-io.workspace = true", &says);
    arrows(log, "[target.'cfg(loom)'.dependencies]\nheadworks-io = \"1\"", &says);
    arrows(log, "[dependencies]\nkernel = { package = \"headworks-io\", path = \"../io\" }", &says);
    arrows(log, "[dependencies.kernel]\npackage = \"headworks-io\"", &says);
    let header = ["x/Cargo.toml:3: headworks-log may not depend on headworks-io"];
    arrows(log, "[build-dependencies.headworks-io]\nworkspace = true", &header);
}

#[test]
fn a_package_outside_the_table_is_found() {
    arrows("headworks-cache", "", &["headworks-cache is not in the table"]);
    check("direction", &[("Cargo.toml", "[workspace.dependencies]\nheadworks-io = { path = \"io\" }\n")], &[]);
}

#[test]
fn a_fuzz_package_sees_its_crate_and_what_that_sees() {
    let manifest = |name: &str| format!("[package]\nname = \"f\"\n[dependencies]\nheadworks-{name} = \"1\"\n[workspace]\n");
    check("direction", &[("engine/log/fuzz/Cargo.toml", &manifest("log"))], &[]);
    check("direction", &[("engine/log/fuzz/Cargo.toml", &manifest("format"))], &[]);
    check("direction", &[("engine/log/fuzz/Cargo.toml", &manifest("io"))], &["f may not depend on headworks-io"]);
}

#[test]
fn the_table_itself_points_down() {
    for (row, (package, edges)) in direction::EDGES.iter().enumerate() {
        for edge in *edges {
            let above = direction::EDGES.iter().position(|(name, _)| name == edge);
            assert!(above.is_some_and(|above| above < row), "{package} in row {row} sees {edge} in row {above:?}");
        }
    }
}

#[test]
fn io_is_named_at_the_edge_only() {
    let code = "// headworks_io\nuse headworks_io::Ring;\n";
    check(
        "edge",
        &[
            ("ingest/src/turn.rs", code),
            ("ingest/src/udp/sockets.rs", code),
            ("ingest/src/tcp/edge/mod.rs", code),
            ("gateway/src/a.rs", code),
        ],
        &[],
    );
    check("edge", &[("ingest/src/udpate.rs", code)], &["udpate.rs:2: names headworks_io outside the edge"]);
}

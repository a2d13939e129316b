use super::{MEMBER, check};

#[test]
fn a_member_without_workspace_lints_is_found() {
    check("lints", &[("engine/log/Cargo.toml", MEMBER), ("Cargo.toml", "[workspace]\n")], &[]);
    let bad = "[package]\nname = \"headworks-log\"\n[lints.rust]\nworkspace = true\n";
    check("lints", &[("engine/log/Cargo.toml", bad)], &["has no `[lints] workspace = true`"]);
}

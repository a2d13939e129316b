use super::{Workspace, members};

#[test]
fn members_are_read_in_order_and_default_members_are_not_them() {
    let manifest = "[workspace]\nmembers = [\n    \"engine/a\", \"b\",\n    \"tools/c\",\n]\ndefault-members = [\"b\"]\n";
    assert_eq!(members(manifest), ["engine/a", "b", "tools/c"]);
}

#[test]
fn a_manifest_without_members_has_none() {
    assert!(members("[package]\nname = \"x\"\ndefault-members = [\"b\"]\n").is_empty());
}

#[test]
fn this_workspace_has_this_crate() {
    let workspace = Workspace::open().expect("the workspace that built this test");
    assert!(workspace.has("tools/xtask"), "members {:?}", workspace.members);
    assert!(workspace.engine_packages().contains(&"headworks-format".to_owned()));
}

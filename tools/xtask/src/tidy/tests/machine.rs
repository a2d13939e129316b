use super::check;

#[test]
fn a_folder_of_one_machine_is_found() {
    let own = ["work", "root"].map(|folder| format!("see /{folder}/notes\n"));
    check("machine", &[("README.md", &own[0])], &["README.md:1: names a folder of one machine"]);
    check("machine", &[(".ci/run", &own[1])], &["run:1: names a folder of one machine"]);
    check("machine", &[("a.rs", "//! a net/work/queue and target/root/x\n")], &[]);
}

#[test]
fn a_host_of_a_registry_is_found() {
    let host = format!("from https://{}.{}/x\n", "pypi", "org");
    check("machine", &[("README.md", &host)], &["names a registry's host"]);
    check("machine", &[("Cargo.lock", &host), ("gateway/fuzz/Cargo.lock", &host)], &[]);
}

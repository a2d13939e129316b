use super::check;

fn code(text: &str, wanted: &[&str]) {
    check("words", &[("engine/log/src/a.rs", text)], wanted);
}

#[test]
fn banned_calls_are_found_in_code_only() {
    code("todo!()\n", &["a.rs:1: todo!: write it"]);
    code("unimplemented!()\n", &["unimplemented!: "]);
    code("x(dbg!(y))\n", &["dbg!: use tracing"]);
    code("#[ignore = \"slow\"]\n", &["#[ignore: mend"]);
    code("// todo! dbg!\nlet s = \"todo!() FIXME XXX\";\nmytodo!()\n", &[]);
}

#[test]
fn banned_marks_are_found_in_comments_only() {
    code("/// FIXME: later\nconst FIXME: u8 = 1;\n", &["a.rs:1: FIXME: mend it"]);
    code("x(); // XXX\n// XXXL is a size\n", &["a.rs:1: XXX: say"]);
}

#[test]
fn sleeping_is_found_in_tests_only() {
    let sleeps = "std::thread::sleep(x);\n";
    let says = ["thread::sleep: wait for the event"];
    code(sleeps, &[]);
    check("words", &[("engine/log/src/a/tests.rs", sleeps)], &says);
    check("words", &[("tools/headworks/tests/faults.rs", sleeps)], &says);
    code("thread::sleep(x);\n#[cfg(test)]\nmod tests {\n    thread::sleep(x);\n}\n", &["a.rs:4: thread::sleep"]);
}

#[test]
fn banned_names_are_found_with_what_to_do() {
    code("fn get_offset() {}\n", &["fn get_offset: name it for what it returns: offset"]);
    code("fn get_mut() {}\nfn budget_of() {}\n", &[]);
    code("struct LogManager;\n", &["type LogManager: "]);
    code("pub enum TestHelpers {}\nstruct Managerial;\n", &["type TestHelpers: "]);
    code("mod util;\nmod utility;\n", &["a.rs:1: mod util: "]);
}

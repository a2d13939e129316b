use super::{Function, Source, identifier_after, words};

fn check(text: &str, code: &str, comments: &str) {
    let source = Source::split(text);
    assert_eq!(source.code.trim_end(), code, "code of {text:?}");
    assert_eq!(source.comments.trim(), comments, "comments of {text:?}");
    let lengths = (source.code.chars().count(), source.comments.chars().count());
    let wanted = text.chars().count();
    assert_eq!(lengths, (wanted, wanted), "views of {text:?}");
}

#[test]
fn comments_leave_the_code() {
    check("a // b \"c\"", "a", "// b \"c\"");
    check("a /* b /* c */ d */ e", "a                   e", "/* b /* c */ d */");
    check("a /* never closed", "a", "/* never closed");
}

#[test]
fn literals_are_blank_in_both_views() {
    check(r#"f("// a \" b") // c"#, "f(\"         \")", "// c");
    check(r##"f(r#"a " // b"#)"##, "f(r#\"        \"#)", "");
    check(r##"f(br"a\") // b"##, "f(br\"  \")", "// b");
    check(r"['\'', '\u{7f}', '/', '/']", r"['  ', '      ', ' ', ' ']", "");
}

#[test]
fn lifetimes_and_raw_identifiers_are_code() {
    check("fn f<'a>(r#type: &'a str)", "fn f<'a>(r#type: &'a str)", "");
    check("for\"x\"", "for\" \"", "");
}

#[test]
fn words_have_edges() {
    assert_eq!(words("unsafe_code unsafe{ an_unsafe", "unsafe").collect::<Vec<_>>(), [12]);
    assert_eq!(words("mydbg!(x) dbg!(x)", "dbg!").collect::<Vec<_>>(), [10]);
    assert_eq!(identifier_after("fn  name(x)", 2), "name");
    assert_eq!(identifier_after("fn(x)", 2), "");
}

#[test]
fn functions_are_measured_from_fn_to_brace() {
    let text =
        "trait T {\n    fn none(&self, a: [u8; 4]);\n}\nfn one() { 1 }\npub fn four(\n    a: [u8; 2],\n) -> fn(u8) -> u8 {\n    \"}\" }\n";
    let found = Source::split(text).functions();
    let function = |name: &str, line, lines| Function { name: name.to_owned(), line, lines };
    assert_eq!(found, [function("one", 4, 1), function("four", 5, 4)]);
}

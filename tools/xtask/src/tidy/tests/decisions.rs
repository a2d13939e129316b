use super::check;

#[test]
fn a_name_without_a_day_is_found() {
    check("decisions", &[("docs/decisions/2026-02-28-one-log-loop.md", ""), ("docs/a.md", "")], &[]);
    for name in ["0001-a.md", "2026-13-01-a.md", "2026-02-28.md", "2026-2-28-a.md", "2026-02-28-A b.md", "2026-02-28-a.txt"] {
        check("decisions", &[(&format!("docs/decisions/{name}"), "")], &["is not named YYYY-MM-DD-name.md"]);
    }
}

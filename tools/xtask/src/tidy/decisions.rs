//! Decisions are files `docs/decisions/YYYY-MM-DD-name.md`: dates do not collide as numbers do, and sort by themselves.

use super::Finding;
use super::tree::Tree;

const FOLDER: &str = "docs/decisions/";

/// Every file among the decisions is named by its day and what was decided.
pub fn are_dated(tree: &Tree) -> Vec<Finding> {
    let inside = tree.files().filter_map(|file| Some((&file.path, file.path.strip_prefix(FOLDER)?)));
    let wrong = inside.filter(|(_, name)| *name != ".gitkeep" && !is_dated(name));
    wrong.map(|(path, _)| Finding::about(path, "is not named YYYY-MM-DD-name.md; name it for its day")).collect()
}

fn is_dated(name: &str) -> bool {
    let Some(stem) = name.strip_suffix(".md") else {
        return false;
    };
    let parts: Vec<&str> = stem.splitn(4, '-').collect();
    let [year, month, day, title] = parts[..] else {
        return false;
    };
    let within =
        |text: &str, digits: usize, most: u16| text.len() == digits && text.parse().is_ok_and(|number: u16| (1..=most).contains(&number));
    let plain = |letter: char| letter == '-' || letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let titled = !title.is_empty() && title.chars().all(plain);
    titled && within(year, 4, 9999) && within(month, 2, 12) && within(day, 2, 31)
}

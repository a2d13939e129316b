use super::*;

#[track_caller]
fn check(values: &[f64], median: f64, min: f64, max: f64) {
    assert_eq!(Spread::of(values), Spread { median, min, max }, "{values:?}");
}

#[test]
fn median_is_the_middle_one_or_the_mean_of_two() {
    check(&[3.0], 3.0, 3.0, 3.0);
    check(&[3.0, 1.0, 2.0], 2.0, 1.0, 3.0);
    check(&[4.0, 1.0, 2.0, 3.0], 2.5, 1.0, 4.0);
}

#[test]
fn verdict_judges_the_ratio_where_there_is_one() {
    let row = Row::of("s", "w", "u", Spread::one(10.0));
    assert_eq!(row.verdict(), None);
    assert_eq!(row.clone().held_to(Bar::AtMost(9.0)).verdict(), Some(false));
    let ratio = Row { ratio: Some(Spread::one(0.9)), ..row };
    assert_eq!(ratio.clone().held_to(Bar::AtLeast(0.8)).verdict(), Some(true));
    assert_eq!(ratio.held_to(Bar::AtLeast(0.95)).verdict(), Some(false));
}

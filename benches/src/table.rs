//! Figures for people.

use std::fmt::Write as _;

use crate::figures::{Bar, Row, Spread};
use crate::machine::Machine;

/// The machine, a line each.
pub fn machine(machine: &Machine) -> String {
    let mut text = String::new();
    for (name, value) in machine.lines() {
        line(&mut text, format_args!("{name:<11} {value}"));
    }
    text
}

/// Rows, each with its notes below it. Verdicts only where they mean something.
pub fn rows(rows: &[Row], judged: bool) -> String {
    let mut text = String::new();
    for row in rows {
        let verdict = row.verdict().filter(|_| judged).map_or("", |met| if met { "  met" } else { "  MISSED" });
        let bar = row.bar.map_or_else(String::new, |bar| format!("  bar {}", show_bar(bar)));
        let probe = row.probe.map_or_else(String::new, |probe| format!("  probe {}", spread(probe)));
        let ratio = row.ratio.map_or_else(String::new, |ratio| format!("  ratio {}", spread(ratio)));
        line(&mut text, format_args!("{:<9} {}: {} {}{probe}{ratio}{bar}{verdict}", row.scenario, row.what, spread(row.subject), row.unit));
        for note in &row.notes {
            line(&mut text, format_args!("          {note}"));
        }
    }
    text
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(text, "{arguments}").expect("a string takes every write");
}

/// `median (min..max)`, or the median alone where there is no spread.
pub fn spread(spread: Spread) -> String {
    if spread.min.total_cmp(&spread.max).is_eq() {
        return digits(spread.median);
    }
    format!("{} ({}..{})", digits(spread.median), digits(spread.min), digits(spread.max))
}

fn show_bar(bar: Bar) -> String {
    match bar {
        Bar::AtLeast(value) => format!(">= {}", digits(value)),
        Bar::AtMost(value) => format!("<= {}", digits(value)),
    }
}

/// Three places that count, for any size that occurs.
fn digits(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        0.1.. => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

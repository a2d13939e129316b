//! Scenarios and runbooks say the same.

use super::*;
use std::path::Path;

#[test]
fn every_runbook_holds_the_steps_of_its_scenarios() {
    let runbooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/runbooks");
    for scenario in ALL {
        let path = runbooks.join(scenario.runbook());
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for course in scenario.courses {
            let steps = course.steps.iter().enumerate().map(|(at, step)| format!("{}. {step}\n", at + 1)).collect::<String>();
            assert!(text.contains(&steps), "{} lacks these steps of {} {:?}:\n{steps}", path.display(), scenario.name, course.name);
        }
        let command = format!("headworks drill run --scenario {} ", scenario.name);
        assert!(text.contains(&command), "{} does not say `{command}…`", path.display());
    }
}

#[test]
fn names_are_told_apart_and_causes_come_before_their_ends() {
    for (at, scenario) in ALL.iter().enumerate() {
        assert!(ALL[..at].iter().all(|other| other.name != scenario.name), "{} stands twice", scenario.name);
        for course in scenario.courses {
            assert!(course.steps.iter().any(Step::is_cause), "{} {:?} does nothing", scenario.name, course.name);
            let last = course.steps.iter().rfind(|step| !matches!(step, Step::See(..) | Step::SeeMoved(..)));
            assert_eq!(last, Some(&Step::AwaitInSync), "{} {:?} leaves half a pair behind", scenario.name, course.name);
        }
    }
}

use super::*;

#[test]
fn ticks_count_waiting_for_the_disk_as_idle() {
    assert_eq!(ticks("cpu  10 1 5 80 4 0 2 1 0 0\ncpu0 1 1\n"), Some((19, 103)));
    assert_eq!(ticks("cpu  10\n"), None);
}

#[test]
fn quiet_is_neither_busy_nor_held_up() {
    for (busy, held_up, quiet) in [(0.0, 0.0, true), (0.119, 0.004, true), (0.12, 0.0, false), (0.0, 0.005, false), (0.5, 0.1, false)] {
        let look = Look { busy, held_up };
        assert_eq!(look.is_quiet(), quiet, "{look:?}");
    }
}

#[test]
fn a_look_takes_its_time_and_finds_a_share() {
    let started = Instant::now();
    let share = held_up(cpus::allowed()[0]);
    assert!((0.0..=1.0).contains(&share), "held up {share} of the time");
    assert!(started.elapsed() >= LOOK, "a look of {:?}, wanted {LOOK:?}", started.elapsed());
}

#[test]
fn a_note_says_the_middle_and_the_worst() {
    let looks = [Look { busy: 0.01, held_up: 0.001 }, Look { busy: 0.02, held_up: 0.002 }, Look { busy: 0.5, held_up: 0.04 }];
    let expected =
        "before the runs all processors were busy 2 % of the time (at most 50 %), and each was held up 0.2 % of it (at most 4.0 %)";
    assert_eq!(note(&looks), expected);
}

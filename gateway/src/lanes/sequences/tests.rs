use super::*;

const PARTITION: PartitionId = PartitionId(3);

fn produced(epoch: i16, first: i32, last: i32) -> Produced {
    Produced { id: 7, epoch, first, last }
}

fn place() -> Place {
    Rc::new(Cell::new(None))
}

/// A producer in epoch 4 that has sent batches of ten, as many as said, from sequence 0 on.
fn sent(batches: i32) -> (Sequences, Vec<Place>) {
    let mut sequences = Sequences::default();
    let places: Vec<Place> = (0..batches).map(|_| place()).collect();
    for (batch, place) in (0..).zip(&places) {
        sequences.note(PARTITION, &produced(4, batch * 10, batch * 10 + 9), Rc::clone(place));
    }
    (sequences, places)
}

fn check(sequences: &Sequences, batch: &Produced, wanted: &str) {
    let found = match sequences.decide(PARTITION, batch) {
        Decision::Append => "append".to_owned(),
        Decision::Duplicate(_) => "duplicate".to_owned(),
        Decision::OutOfOrder { expected } => format!("expected {expected}"),
        Decision::Fenced => "fenced".to_owned(),
    };
    assert_eq!(found, wanted, "{batch:?}");
}

#[test]
fn every_row_of_the_table_holds() {
    let (sequences, _) = sent(2);
    check(&Sequences::default(), &produced(4, 55, 60), "append");
    check(&sequences, &produced(3, 20, 29), "fenced");
    check(&sequences, &produced(3, 0, 9), "fenced");
    check(&sequences, &produced(5, 0, 0), "append");
    check(&sequences, &produced(5, 20, 29), "expected 0");
    check(&sequences, &produced(4, 0, 9), "duplicate");
    check(&sequences, &produced(4, 10, 19), "duplicate");
    check(&sequences, &produced(4, 20, 20), "append");
    check(&sequences, &produced(4, 21, 30), "expected 20");
    check(&sequences, &produced(4, 10, 18), "expected 20");
    check(&sequences, &produced(4, 0, 19), "expected 20");
}

#[test]
fn another_partition_and_another_producer_are_strangers() {
    let (sequences, _) = sent(1);
    assert!(matches!(sequences.decide(PartitionId(4), &produced(4, 77, 77)), Decision::Append));
    assert!(matches!(sequences.decide(PARTITION, &Produced { id: 8, ..produced(4, 77, 77) }), Decision::Append));
}

#[test]
fn the_sixth_batch_before_the_last_is_no_duplicate_any_more() {
    let (sequences, _) = sent(6);
    check(&sequences, &produced(4, 0, 9), "expected 60");
    check(&sequences, &produced(4, 10, 19), "duplicate");
}

#[test]
fn a_duplicate_learns_its_place_with_the_original() {
    let (sequences, places) = sent(1);
    let Decision::Duplicate(place) = sequences.decide(PARTITION, &produced(4, 0, 9)) else { panic!("the same batch") };
    assert_eq!(place.get(), None);
    places[0].set(Some(Stand { base_offset: 70, sequence: 3 }));
    assert_eq!(place.get(), Some(Stand { base_offset: 70, sequence: 3 }));
}

#[test]
fn sequences_go_round() {
    let mut sequences = Sequences::default();
    sequences.note(PARTITION, &produced(0, i32::MAX - 1, i32::MAX), place());
    check(&sequences, &produced(0, 0, 4), "append");
    check(&sequences, &produced(0, 1, 4), "expected 0");
    sequences.note(PARTITION, &produced(0, 0, 4), place());
    check(&sequences, &produced(0, i32::MAX - 1, i32::MAX), "duplicate");
}

#[test]
fn what_a_checkpoint_knew_is_known() {
    let (partition, id) = (PARTITION, 7);
    let mut producer = Producer::begin(partition, &produced(4, 0, 9), 100);
    producer.add(&produced(4, 10, 19), 110);
    let sequences = Sequences::new([producer].iter(), 0);
    let Decision::Duplicate(place) = sequences.decide(partition, &Produced { id, ..produced(4, 10, 19) }) else { panic!("the same batch") };
    assert_eq!(place.get(), Some(Stand { base_offset: 110, sequence: 0 }));
    check(&sequences, &produced(4, 20, 20), "append");
}

#[test]
fn the_one_that_was_silent_longest_is_forgotten_for_a_new_one() {
    let mut sequences = Sequences::default();
    let most = i64::try_from(PRODUCERS_MAX).unwrap();
    for id in 0..=most {
        sequences.note(PARTITION, &Produced { id, ..produced(0, 0, 0) }, place());
    }
    assert_eq!(sequences.known.len(), PRODUCERS_MAX);
    assert!(!sequences.known.contains_key(&(PARTITION, 0)), "0 was noted first");
}

use super::*;

const PARTITION: PartitionId = PartitionId(4);

fn produced(id: i64, first: i32) -> Produced {
    Produced { id, epoch: 0, first, last: first }
}

#[test]
fn a_producer_is_known_by_partition_and_id() {
    let mut table = Producers::default();
    table.note(PARTITION, &produced(7, 0), 100);
    assert_eq!(table.known(PARTITION, 7).map(Producer::batches), Some(&[(0, 0, 100)][..]));
    assert_eq!(table.known(PartitionId(5), 7), None);
    assert_eq!(table.known(PARTITION, 8), None);
}

#[test]
fn a_full_table_forgets_who_was_silent_longest() {
    let mut table = Producers::with_room(Vec::new(), 3);
    for id in 0..3 {
        table.note(PARTITION, &produced(id, 0), 0);
    }
    table.note(PARTITION, &produced(0, 1), 3);
    table.note(PARTITION, &produced(3, 0), 4);
    let mut ids: Vec<i64> = table.iter().map(|producer| producer.id).collect();
    ids.sort_unstable();
    assert_eq!(ids, [0, 2, 3], "1 was heard of before 0 and 2 were");
    assert_eq!(table.known(PARTITION, 1), None);
    assert_eq!(table.known(PARTITION, 3).map(Producer::batches), Some(&[(0, 0, 4)][..]));
    assert_eq!(table.len(), 3);
}

#[test]
fn a_table_made_from_another_one_knows_the_same() {
    let mut table = Producers::default();
    (0..10).for_each(|batch| table.note(PARTITION, &produced(batch % 3, i32::try_from(batch).unwrap()), u64::try_from(batch).unwrap()));
    let again = Producers::new(table.iter().copied().collect());
    for id in 0..3 {
        assert_eq!(again.known(PARTITION, id), table.known(PARTITION, id));
    }
}

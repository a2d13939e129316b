"""kafka-python: two members of a group share a topic, one leaves, a later one goes on at what was committed."""

import sys
import threading
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

BOOTSTRAP = sys.argv[1]
TOPIC = "kafka-python-groups"
GROUP = "kafka-python"
COUNT = 1000
PARTITIONS = 4
PATIENCE_SECONDS = 60


class Member(threading.Thread):
    """Polls, and commits what it has read each time, until it is told to leave."""

    def __init__(self):
        super().__init__()
        self.values, self.has, self.leaving, self.failed = [], 0, threading.Event(), None
        self.start()

    def run(self):
        try:
            consumer = KafkaConsumer(TOPIC, bootstrap_servers=BOOTSTRAP, group_id=GROUP, auto_offset_reset="earliest",
                                     enable_auto_commit=False, heartbeat_interval_ms=200, session_timeout_ms=10000)
            while not self.leaving.is_set():
                records = consumer.poll(timeout_ms=50)
                if records:
                    consumer.commit()
                self.values.extend(int(record.value) for each in records.values() for record in each)
                self.has = len(consumer.assignment())
            self.committed = [consumer.committed(TopicPartition(TOPIC, number)) for number in range(PARTITIONS)]
            consumer.close()
        except Exception as error:
            self.failed = error

    def leave(self):
        self.leaving.set()
        self.join(PATIENCE_SECONDS)
        assert not self.is_alive(), "a member does not leave"


def produce(first):
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, acks="all")
    sent = [producer.send(TOPIC, str(number).encode(), partition=number % PARTITIONS) for number in range(first, first + COUNT)]
    producer.flush(30)
    assert len({(future.get(30).partition, future.get(30).offset) for future in sent}) == COUNT
    producer.close()


def until(what, condition, *members):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        failed = [member.failed for member in members if member.failed is not None]
        assert not failed, f"{what}: {failed[0]!r}"
        assert time.monotonic() < deadline, f"{what}: members have {[(member.has, len(member.values)) for member in members]}"
        time.sleep(0.02)


def read_by(*members):
    return sorted(value for member in members for value in member.values)


produce(0)
one = Member()
until("one has all and reads it", lambda: one.has == PARTITIONS and len(one.values) >= COUNT, one)
two = Member()
until("both have half", lambda: (one.has, two.has) == (2, 2), one, two)
produce(COUNT)
until("both read their half", lambda: len(read_by(one, two)) >= 2 * COUNT, one, two)
assert read_by(one, two) == list(range(2 * COUNT)) and len(two.values) == COUNT // 2, (len(one.values), len(two.values))
two.leave()
until("one has all again", lambda: one.has == PARTITIONS, one)
one.leave()
assert one.failed is None and two.failed is None, (one.failed, two.failed)
assert one.committed == [2 * COUNT // PARTITIONS] * PARTITIONS, f"committed {one.committed}"
produce(2 * COUNT)
later = Member()
until("the rest is read", lambda: len(later.values) >= COUNT, later)
later.leave()
assert later.failed is None, later.failed
assert read_by(one, two, later) == list(range(3 * COUNT)), f"{len(later.values)} values from {min(later.values)} on"
print("stored and read", 3 * COUNT)

"""confluent-kafka, with the newest librdkafka: topics by name and all of them, idempotent produce with each codec, consume by assignment,
watermarks, seek by time."""

import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition, OFFSET_BEGINNING
from confluent_kafka.admin import AdminClient, NewTopic

BOOTSTRAP = sys.argv[1]
TOPIC = "confluent-kafka"
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
COUNT = 400
PARTITIONS = 4


def make():
    admin = AdminClient({"bootstrap.servers": BOOTSTRAP})
    for future in admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)]).values():
        future.result(20)
    everything = admin.list_topics(timeout=20).topics
    assert set(everything) >= {TOPIC, "events"}, f"all topics: {sorted(everything)}"
    alone = admin.list_topics(TOPIC, timeout=20).topics
    assert set(alone) == {TOPIC}, f"one topic: {sorted(alone)}"
    assert sorted(alone[TOPIC].partitions) == list(range(PARTITIONS)), f"partitions: {sorted(alone[TOPIC].partitions)}"


def produce(codec):
    told = []
    settings = {"bootstrap.servers": BOOTSTRAP, "enable.idempotence": True, "compression.type": codec, "linger.ms": 5}
    producer = Producer(settings)
    for number in range(COUNT):
        value = f"{codec}-{number}".encode()
        producer.produce(TOPIC, value, partition=number % PARTITIONS, on_delivery=lambda error, message: told.append((error, message)))
    left = producer.flush(30)
    assert left == 0, f"{left} records left"
    errors = [str(error) for error, _ in told if error is not None]
    offsets = {(message.partition(), message.offset()) for _, message in told}
    assert not errors and len(offsets) == COUNT, f"{errors[:3]}; {len(offsets)} offsets for {COUNT} records"


def consume(wanted, start=None):
    consumer = Consumer({"bootstrap.servers": BOOTSTRAP, "group.id": "assigned", "enable.auto.commit": False})
    partitions = [TopicPartition(TOPIC, number, OFFSET_BEGINNING if start is None else start) for number in range(PARTITIONS)]
    if start is not None:
        partitions = consumer.offsets_for_times(partitions, timeout=20)
    consumer.assign(partitions)
    values = []
    while len(values) < wanted:
        message = consumer.poll(20)
        assert message is not None, f"{len(values)} of {wanted} values after 20 s of silence"
        assert message.error() is None, str(message.error())
        values.append(message.value().decode())
    ends = [consumer.get_watermark_offsets(TopicPartition(TOPIC, number), timeout=20) for number in range(PARTITIONS)]
    consumer.close()
    assert ends == [(0, len(CODECS) * COUNT // PARTITIONS)] * PARTITIONS, f"watermarks {ends}"
    return values


make()
for codec in CODECS[:-1]:
    produce(codec)
time.sleep(0.05)
between = int(time.time() * 1000)
time.sleep(0.05)
produce(CODECS[-1])
values = consume(len(CODECS) * COUNT)
everything = {f"{codec}-{number}" for codec in CODECS for number in range(COUNT)}
assert len(values) == len(everything) and set(values) == everything, f"{len(values)} values, {len(set(values))} different"
later = consume(COUNT, between)
assert set(later) == {f"{CODECS[-1]}-{number}" for number in range(COUNT)}, f"{len(set(later))} values from the middle"
print("stored and read", len(values))

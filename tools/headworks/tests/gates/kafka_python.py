"""kafka-python: idempotent produce with and without a codec, consume by assignment, seek by time."""

import sys
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

BOOTSTRAP = sys.argv[1]
TOPIC = "kafka-python"
COUNT = 1000
PARTITIONS = 4


def produce(codec):
    producer = KafkaProducer(bootstrap_servers=BOOTSTRAP, acks="all", enable_idempotence=True, compression_type=codec, linger_ms=5)
    sent = [producer.send(TOPIC, f"{codec}-{number}".encode(), partition=number % PARTITIONS) for number in range(COUNT)]
    producer.flush(30)
    offsets = [(future.get(30).partition, future.get(30).offset) for future in sent]
    producer.close()
    assert len(set(offsets)) == COUNT, f"{len(set(offsets))} offsets for {COUNT} records"


def consume(partitions, wanted, start=None):
    consumer = KafkaConsumer(bootstrap_servers=BOOTSTRAP, enable_auto_commit=False, consumer_timeout_ms=20000)
    consumer.assign(partitions)
    if start is None:
        consumer.seek_to_beginning(*partitions)
    else:
        found = consumer.offsets_for_times({partition: start for partition in partitions})
        for partition in partitions:
            consumer.seek(partition, found[partition].offset)
    values = []
    for record in consumer:
        values.append(record.value.decode())
        if len(values) == wanted:
            break
    consumer.close()
    return values


produce(None)
time.sleep(0.05)
between = int(time.time() * 1000)
time.sleep(0.05)
produce("gzip")
partitions = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
first = {f"None-{number}" for number in range(COUNT)}
second = {f"gzip-{number}" for number in range(COUNT)}
values = consume(partitions, 2 * COUNT)
assert len(values) == 2 * COUNT and set(values) == first | second, f"{len(values)} values, {len(set(values))} different"
later = consume(partitions, COUNT, between)
assert set(later) == second, f"{len(later)} values from the middle, {len(set(later) - second)} of them earlier"
print("stored and read", len(values))

"""aiokafka: idempotent produce, consume by assignment, seek by time."""

import asyncio
import sys
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

BOOTSTRAP = sys.argv[1]
TOPIC = "aiokafka"
COUNT = 1000
PARTITIONS = 4


async def produce(codec):
    producer = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, acks="all", enable_idempotence=True, compression_type=codec, linger_ms=5)
    await producer.start()
    sent = [await producer.send(TOPIC, f"{codec}-{number}".encode(), partition=number % PARTITIONS) for number in range(COUNT)]
    told = await asyncio.gather(*sent)
    await producer.stop()
    offsets = {(metadata.partition, metadata.offset) for metadata in told}
    assert len(offsets) == COUNT, f"{len(offsets)} offsets for {COUNT} records"


async def consume(wanted, start=None):
    consumer = AIOKafkaConsumer(bootstrap_servers=BOOTSTRAP, enable_auto_commit=False)
    await consumer.start()
    partitions = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
    consumer.assign(partitions)
    if start is None:
        await consumer.seek_to_beginning(*partitions)
    else:
        found = await consumer.offsets_for_times({partition: start for partition in partitions})
        for partition in partitions:
            consumer.seek(partition, found[partition].offset)
    values = [(await asyncio.wait_for(consumer.getone(), 20)).value.decode() for _ in range(wanted)]
    await consumer.stop()
    return values


async def main():
    await produce(None)
    await asyncio.sleep(0.05)
    between = int(time.time() * 1000)
    await asyncio.sleep(0.05)
    await produce("gzip")
    first = {f"None-{number}" for number in range(COUNT)}
    second = {f"gzip-{number}" for number in range(COUNT)}
    values = await consume(2 * COUNT)
    assert set(values) == first | second, f"{len(values)} values, {len(set(values))} different"
    later = await consume(COUNT, between)
    assert set(later) == second, f"{len(set(later) - second)} of {len(later)} values are earlier"
    print("stored and read", len(values))


asyncio.run(main())

"""aiokafka: two members of a group share a topic, one leaves, a later one goes on at what was committed."""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

BOOTSTRAP = sys.argv[1]
TOPIC = "aiokafka-groups"
GROUP = "aiokafka"
COUNT = 1000
PARTITIONS = 4
PATIENCE_SECONDS = 60


class Member:
    """Reads, and commits what it has read each time."""

    async def join(self):
        self.values = []
        self.consumer = AIOKafkaConsumer(TOPIC, bootstrap_servers=BOOTSTRAP, group_id=GROUP, auto_offset_reset="earliest",
                                         enable_auto_commit=False, heartbeat_interval_ms=200, session_timeout_ms=10000)
        await self.consumer.start()
        return self

    def has(self):
        return len(self.consumer.assignment())

    async def poll(self):
        records = await self.consumer.getmany(timeout_ms=50)
        if records:
            await self.consumer.commit()
        self.values.extend(int(record.value) for each in records.values() for record in each)


async def produce(first):
    producer = AIOKafkaProducer(bootstrap_servers=BOOTSTRAP, acks="all")
    await producer.start()
    sent = [await producer.send(TOPIC, str(number).encode(), partition=number % PARTITIONS) for number in range(first, first + COUNT)]
    await asyncio.gather(*sent)
    await producer.stop()


async def until(what, condition, *members):
    async def wait():
        while not condition():
            await asyncio.gather(*(member.poll() for member in members))

    try:
        await asyncio.wait_for(wait(), PATIENCE_SECONDS)
    except asyncio.TimeoutError:
        sys.exit(f"{what}: members have {[(member.has(), len(member.values)) for member in members]}")


def read_by(*members):
    return sorted(value for member in members for value in member.values)


async def main():
    await produce(0)
    one = await Member().join()
    await until("one has all and reads it", lambda: one.has() == PARTITIONS and len(one.values) >= COUNT, one)
    two = await Member().join()
    await until("both have half", lambda: (one.has(), two.has()) == (2, 2), one, two)
    await produce(COUNT)
    await until("both read their half", lambda: len(read_by(one, two)) >= 2 * COUNT, one, two)
    assert read_by(one, two) == list(range(2 * COUNT)) and len(two.values) == COUNT // 2, (len(one.values), len(two.values))
    await two.consumer.stop()
    await until("one has all again", lambda: one.has() == PARTITIONS, one)
    committed = [await one.consumer.committed(TopicPartition(TOPIC, number)) for number in range(PARTITIONS)]
    assert committed == [2 * COUNT // PARTITIONS] * PARTITIONS, f"committed {committed}"
    await one.consumer.stop()
    await produce(2 * COUNT)
    later = await Member().join()
    await until("the rest is read", lambda: len(later.values) >= COUNT, later)
    await later.consumer.stop()
    assert read_by(one, two, later) == list(range(3 * COUNT)), f"{len(later.values)} values from {min(later.values)} on"
    print("stored and read", 3 * COUNT)


asyncio.run(main())

"""What a stock librdkafka sees of a failover: `headworks drill run --beside "python librdkafka_gap.py"` gives it servers and a topic, and SIGTERM
when it is to end. It prints how many records were acknowledged, how many were given up, and the longest time between two acknowledgements."""

import json
import signal
import sys
import time

from confluent_kafka import Producer

BOOTSTRAP, TOPIC = sys.argv[1:3]
PERIOD_S = 0.005
FLUSH_S = 20

is_over = False
acknowledged = failed = 0
last_s = None
gap_s = 0.0


def on_signal(_number, _frame):
    global is_over
    is_over = True


def on_delivery(error, _message):
    global acknowledged, failed, last_s, gap_s
    now_s = time.monotonic()
    if error is not None:
        failed += 1
        return
    acknowledged += 1
    if last_s is not None:
        gap_s = max(gap_s, now_s - last_s)
    last_s = now_s


signal.signal(signal.SIGTERM, on_signal)
# Nothing is tuned but how soon a record is sent.
producer = Producer({"bootstrap.servers": BOOTSTRAP, "enable.idempotence": True, "linger.ms": 2})
due_s = time.monotonic()
number = 0
while not is_over:
    producer.produce(TOPIC, f"{number:020}".encode(), on_delivery=on_delivery)
    number += 1
    due_s += PERIOD_S
    producer.poll(max(0.0, due_s - time.monotonic()))
left = producer.flush(FLUSH_S)
print(json.dumps({"acknowledged": acknowledged, "failed": failed + left, "gap_ns": int(gap_s * 1e9)}))

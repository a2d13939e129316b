"""What a stock librdkafka sees of a failover: `headworks drill run --beside "python librdkafka_gap.py"` gives it servers and a topic, and ends its
standard input when it is to end. It says when it is answered first, and at the end how many records were acknowledged, how many were given up, and the longest time between two acknowledgements."""

import json
import sys
import threading
import time

from confluent_kafka import Producer

BOOTSTRAP, TOPIC = sys.argv[1:3]
PERIOD_S = 0.005
FLUSH_S = 20

acknowledged = failed = 0
last_s = None
gap_s = 0.0
over = threading.Event()


def await_end():
    sys.stdin.read()
    over.set()


def on_delivery(error, _message):
    global acknowledged, failed, last_s, gap_s
    now_s = time.monotonic()
    if error is not None:
        failed += 1
        return
    acknowledged += 1
    if acknowledged == 1:
        print("acknowledged", flush=True)
    if last_s is not None:
        gap_s = max(gap_s, now_s - last_s)
    last_s = now_s


threading.Thread(target=await_end, daemon=True).start()
# Nothing is tuned but how soon a record is sent.
producer = Producer({"bootstrap.servers": BOOTSTRAP, "enable.idempotence": True, "linger.ms": 2})
due_s = time.monotonic()
number = 0
while not over.is_set():
    producer.produce(TOPIC, f"{number:020}".encode(), on_delivery=on_delivery)
    number += 1
    due_s += PERIOD_S
    while (wait_s := due_s - time.monotonic()) > 0:
        producer.poll(wait_s)
    producer.poll(0)
left = producer.flush(FLUSH_S)
print(json.dumps({"acknowledged": acknowledged, "failed": failed + left, "gap_ns": int(gap_s * 1e9)}))

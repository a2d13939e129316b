//! What the rings cost, beside a peer: rtrb, the ring that most Rust programs would take.
//!
//! The figure to read is the ratio of two lines of one run; absolute times belong to the machine.
//! `single_thread` is the bare path (no cache line moves), `two_threads` the throughput of a burst
//! between cores, both sides yielding when they find nothing to do. `slot_ring` is the whole life of
//! a slot on one thread, without its bytes: what the ring adds to each block of 1 MiB.
//!
//! `cargo bench -p headworks-ring`; under `cargo test --benches` each runs once.

#[cfg(not(loom))]
mod rings {
    use std::hint::black_box;
    use std::sync::Arc;
    use std::thread;
    use std::time::{Duration, Instant};

    use criterion::{Criterion, Throughput};
    use headworks_ring::{Full, Region, message_ring, slot_ring};

    /// A message of the usual size: a pointer, a length and a little beside.
    type Message = [u64; 4];

    const MESSAGES_MAX: usize = 1024;

    pub fn single_thread(criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("message_single_thread");
        group.throughput(Throughput::Elements(1));
        let (mut sender, mut receiver) = message_ring::<Message>(MESSAGES_MAX);
        group.bench_function("headworks", |bencher| {
            bencher.iter(|| {
                sender.send(black_box([7; 4])).expect("room");
                receiver.recv().expect("one value")
            });
        });
        let (mut producer, mut consumer) = rtrb::RingBuffer::<Message>::new(MESSAGES_MAX);
        group.bench_function("rtrb", |bencher| {
            bencher.iter(|| {
                producer.push(black_box([7; 4])).expect("room");
                consumer.pop().expect("one value")
            });
        });
        group.finish();
    }

    pub fn two_threads(criterion: &mut Criterion) {
        let mut group = criterion.benchmark_group("message_two_threads");
        group.throughput(Throughput::Elements(1));
        group.sample_size(20);
        group.bench_function("headworks", |bencher| {
            bencher.iter_custom(|messages| {
                let (mut sender, mut receiver) = message_ring::<Message>(MESSAGES_MAX);
                across(messages, move |value| sender.send(value).map_err(|Full(value)| value), || receiver.recv())
            });
        });
        group.bench_function("rtrb", |bencher| {
            bencher.iter_custom(|messages| {
                let (mut producer, mut consumer) = rtrb::RingBuffer::<Message>::new(MESSAGES_MAX);
                across(messages, move |value| producer.push(value).map_err(|rtrb::PushError::Full(value)| value), || consumer.pop().ok())
            });
        });
        group.finish();
    }

    /// Sends `messages` values from a thread of its own and takes them here; how long that took.
    fn across(
        messages: u64,
        mut send: impl FnMut(Message) -> Result<(), Message> + Send + 'static,
        mut recv: impl FnMut() -> Option<Message>,
    ) -> Duration {
        let start = Instant::now();
        let sending = thread::spawn(move || {
            for number in 0..messages {
                let mut value = [number; 4];
                while let Err(back) = send(value) {
                    value = back;
                    thread::yield_now();
                }
            }
        });
        let mut number = 0;
        while number < messages {
            // Asked before the look: a sender that died early fails the run instead of hanging it.
            let is_last_look = sending.is_finished();
            while let Some(value) = recv() {
                assert_eq!(value, [number; 4], "value {number} of {messages}");
                number += 1;
            }
            assert!(number == messages || !is_last_look, "the sender ended after {number} of {messages} values");
            thread::yield_now();
        }
        sending.join().expect("sender");
        start.elapsed()
    }

    pub fn slots(criterion: &mut Criterion) {
        const SLOTS: usize = 64;
        const SLOT_BYTES: usize = 4096;
        let mut group = criterion.benchmark_group("slot_ring");
        group.throughput(Throughput::Elements(1));

        let region = Arc::new(Region::map(SLOTS * SLOT_BYTES).expect("memory"));
        let (mut filler, mut drain, readers) = slot_ring(region, SLOTS, SLOT_BYTES);
        group.bench_function("claim_publish_release", |bencher| {
            bencher.iter(|| {
                filler.claim().expect("room")[0] = 7;
                filler.publish();
                let published = drain.published();
                drain.block_mut(published - 1)[1] = 7;
                drain.share(published);
                drain.release(published);
            });
        });

        filler.claim().expect("room").fill(7);
        filler.publish();
        let published = drain.published();
        drain.share(published);
        group.bench_function("pin", |bencher| {
            bencher.iter(|| readers.pin(black_box(published - 1)).expect("shared")[0]);
        });
        group.bench_function("pin_refused", |bencher| {
            bencher.iter(|| readers.pin(black_box(published)).is_none());
        });
        group.finish();
    }
}

#[cfg(not(loom))]
criterion::criterion_group!(benches, rings::single_thread, rings::two_threads, rings::slots);
#[cfg(not(loom))]
criterion::criterion_main!(benches);

/// Loom's atomics live inside models only; there is nothing to measure.
#[cfg(loom)]
fn main() {}

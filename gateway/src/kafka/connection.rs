//! One connection: a frame in, its answer out, in order, until either side ends it. Produce requests may wait for their level
//! several at a time; their batches are handed over as they arrive.
//!
//! Every way a connection can end has a name here. What the client did by itself (closed, fell
//! silent) is told at debug level; what we closed is counted by reason and gets one log line that
//! names the client's software, because a bare reset is what makes people search for days.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::{Pin, pin};

use tokio::net::TcpStream;
use tokio::net::tcp::WriteHalf;
use tokio::time::Instant;

use super::broker::{Admitted, Broker};
use super::dispatch::{self, Answer, Begun, Refusal};
use super::frame::{self, FrameError};
use super::versions::Api;
use crate::store::Store;

/// Characters of a client's name that are kept.
const CLIENT_CHARS_MAX: usize = 64;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Refusal(#[from] Refusal),
    #[error("the appliance stops")]
    Closing,
}

impl End {
    /// The reason under which it is counted, where it was us who closed.
    fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Closing | Self::Frame(FrameError::Ended | FrameError::Socket(_)) => None,
            Self::Frame(FrameError::Idle(_)) => Some("idle"),
            Self::Frame(FrameError::Stalled { .. }) => Some("stalled"),
            Self::Frame(FrameError::Length { .. }) => Some("frame_length"),
            Self::Refusal(Refusal::Malformed { .. }) => Some("malformed"),
            Self::Refusal(Refusal::Unsupported { .. }) => Some("unsupported"),
            Self::Refusal(Refusal::Encode { .. }) => Some("encode"),
        }
    }
}

/// Who is at the other end: for log lines what ApiVersions told, else the client id; for groups the client id.
#[derive(Debug, Default)]
pub struct Client {
    peer: Option<SocketAddr>,
    id: String,
    name: String,
    named_by_software: bool,
}

impl Client {
    /// A client that comes from there.
    fn at(peer: SocketAddr) -> Self {
        Self { peer: Some(peer), ..Self::default() }
    }

    /// The client id of a request header.
    pub fn on_client_id(&mut self, client_id: Option<&str>) {
        if self.id.is_empty() {
            self.id = printable(client_id.unwrap_or_default()).collect();
        }
        if self.name.is_empty() {
            self.name.clone_from(&self.id);
        }
    }

    /// The client id, as far as it can be printed.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it comes from, as Apache Kafka writes it.
    pub fn host(&self) -> String {
        self.peer.map_or_else(String::new, |peer| format!("/{}", peer.ip()))
    }

    /// Name and version of the client's library.
    pub fn on_software(&mut self, name: &str, version: &str) {
        if !self.named_by_software {
            self.named_by_software = true;
            self.name = printable(name).chain([' ']).chain(printable(version)).collect();
        }
    }

    /// The name, or a dash.
    pub fn name(&self) -> &str {
        if self.name.is_empty() { "-" } else { &self.name }
    }
}

/// What of a client's text may stand in a log line.
fn printable(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(char::is_ascii_graphic).take(CLIENT_CHARS_MAX)
}

/// Serves one connection to its end.
pub async fn run<S: Store>(admitted: Admitted<S>, mut stream: TcpStream, peer: SocketAddr) {
    if let Err(error) = stream.set_nodelay(true) {
        // The connection works without, each answer up to 40 ms later.
        tracing::debug!(%peer, %error, "TCP_NODELAY could not be set");
    }
    let broker = admitted.broker();
    let mut client = Client::at(peer);
    let Err(end) = converse(broker, &mut stream, &mut client).await;
    match end.reason() {
        Some(reason) if reason != "idle" => {
            broker.counters.on_closed(reason);
            tracing::warn!(%peer, client = client.name(), "Kafka connection closed: {end}");
        }
        reason => {
            if let Some(reason) = reason {
                broker.counters.on_closed(reason);
            }
            tracing::debug!(%peer, client = client.name(), "Kafka connection ended: {end}");
        }
    }
}

async fn converse<S: Store>(broker: &Broker<S>, stream: &mut TcpStream, client: &mut Client) -> Result<std::convert::Infallible, End> {
    let (mut from, mut to) = stream.split();
    let mut under_way = Line::new();
    loop {
        let frame = {
            // The one read goes on while answers are written: what it has read already is never dropped.
            let mut reading = pin!(frame::read(&mut from, &broker.limits, &broker.requests));
            loop {
                tokio::select! {
                    // A request that lies ready while we stop is not begun.
                    biased;
                    () = broker.closed() => return Err(End::Closing),
                    answered = under_way.first(), if !under_way.is_empty() => send(broker, &mut to, answered?).await?,
                    frame = &mut reading, if under_way.len() < UNDER_WAY_MAX => break frame?,
                }
            }
        };
        if dispatch::is_produce(&frame.bytes) {
            // Back-pressure: a request that the log has no room for is not begun, and its connection is not read on.
            loop {
                tokio::select! {
                    biased;
                    () = broker.closed() => return Err(End::Closing),
                    answered = under_way.first(), if !under_way.is_empty() => send(broker, &mut to, answered?).await?,
                    () = broker.store.room() => break,
                }
            }
        } else {
            // Everything else sees what came before it answered, as if each request waited for the one before.
            while !under_way.is_empty() {
                let answered = under_way.first().await?;
                send(broker, &mut to, answered).await?;
            }
        }
        let begun = Instant::now();
        match dispatch::begin(broker, client, &frame.bytes).await? {
            (api, Begun::Done(answer)) => {
                drop(frame);
                send(broker, &mut to, Answered { api, begun, answer }).await?;
            }
            (api, Begun::Waiting(answered)) => {
                drop(frame);
                // While it waits its connection is read on, so that a client that goes away is noticed and what it waits for
                // is given up.
                under_way.join(async move { Ok(Answered { api, begun, answer: answered.await? }) });
            }
            (api, Begun::Producing(producing)) => under_way.join(async move {
                let answer = producing.finish().await?;
                // Until here the request's memory counts: its batches are parts of the frame.
                drop(frame);
                Ok(Answered { api, begun, answer })
            }),
        }
    }
}

/// Produce requests of one connection that may wait for their level at once: three times what clients keep under way.
const UNDER_WAY_MAX: usize = 16;

/// An answer with what is counted about it.
struct Answered {
    api: &'static Api,
    begun: Instant,
    answer: Answer,
}

async fn send<S: Store>(broker: &Broker<S>, to: &mut WriteHalf<'_>, answered: Answered) -> Result<(), End> {
    let Answered { api, begun, answer } = answered;
    let error = match &answer {
        Answer::Reply(reply) => reply.error,
        Answer::Silent(error) => *error,
    };
    broker.counters.on_answered(api.name, error.name(), begun.elapsed());
    if let Answer::Reply(reply) = answer {
        frame::write(to, &broker.limits, reply).await?;
    }
    Ok(())
}

/// A request that was begun.
type UnderWay<'b> = Pin<Box<dyn Future<Output = Result<Answered, Refusal>> + 'b>>;

/// Requests that were begun and are answered in their order.
struct Line<'b>(VecDeque<UnderWay<'b>>);

impl<'b> Line<'b> {
    fn new() -> Line<'b> {
        Line(VecDeque::new())
    }

    fn join(&mut self, request: impl Future<Output = Result<Answered, Refusal>> + 'b) {
        self.0.push_back(Box::pin(request));
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The answer to the oldest. Nothing is lost when the caller stops waiting: the request stays first in line.
    async fn first(&mut self) -> Result<Answered, Refusal> {
        let answered = poll_fn(|context| self.0.front_mut().expect("asked only while requests are under way").as_mut().poll(context)).await;
        self.0.pop_front();
        answered
    }
}

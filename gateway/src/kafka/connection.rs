//! One connection: a frame in, its answer out, in order, until either side ends it.
//!
//! Every way a connection can end has a name here. What the client did by itself (closed, fell
//! silent) is told at debug level; what we closed is counted by reason and gets one log line that
//! names the client's software, because a bare reset is what makes people search for days.

use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::broker::{Admitted, Broker};
use super::dispatch::{self, Answer, Refusal};
use super::frame::{self, FrameError};
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

/// Who is at the other end, for log lines: what ApiVersions told, else the client id.
#[derive(Debug, Default)]
pub struct Client {
    name: String,
    named_by_software: bool,
    /// Whether the log already says that this client tried to produce without wanting answers.
    pub silent_produce_logged: bool,
}

impl Client {
    /// The client id of a request header.
    pub fn on_client_id(&mut self, client_id: Option<&str>) {
        if self.name.is_empty() {
            self.name = printable(client_id.unwrap_or_default()).collect();
        }
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
    let mut client = Client::default();
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
    loop {
        let frame = tokio::select! {
            // A request that lies ready while we stop is not begun.
            biased;
            () = broker.closed() => return Err(End::Closing),
            frame = frame::read(stream, &broker.limits, &broker.requests) => frame?,
        };
        let begun = Instant::now();
        let (api, answer) = dispatch::answer(broker, client, &frame.bytes).await?;
        let error = match &answer {
            Answer::Reply(reply) => reply.error,
            Answer::Silent(error) => *error,
        };
        broker.counters.on_answered(api.name, error.name(), begun.elapsed());
        drop(frame);
        if let Answer::Reply(reply) = answer {
            frame::write(stream, &broker.limits, reply).await?;
        }
    }
}

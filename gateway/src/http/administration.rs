//! What an operator orders over HTTP: who may, and what is answered.
//!
//! ```text
//! POST /api/v1/pair/switchover                       Authorization: Bearer TOKEN
//! POST /api/v1/pair/promote   {"fenced": "NAME"}     ─► 202 what will happen │ 400 │ 401 │ 409 why not
//! POST /api/v1/pair/rejoin                              {"accepted": …, "says": "…"}
//! ```
//!
//! The token is one for the node, and stands in a file that only its owner reads. Whoever cannot show it learns nothing but that:
//! not whether there is a pair. Each request is logged with who asked and what became of it, and counted. A body is small, or refused.

use super::listener::Remote;
use super::questions::{Ask, Question};
use crate::counters::Counters;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use serde::Deserialize;
use std::fmt;

/// Bytes of a body at most: a name and what goes around it.
pub const BODY_BYTES_MAX: usize = 1024;
/// Characters of what was asked that the log shows.
const ACT_CHARS_SHOWN: usize = 32;
const SCHEME: &str = "Bearer ";

/// What an operator orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// The standby in sync is to lead.
    Switchover,
    /// This node is to lead, or to go on, without the named one, which is fenced.
    Promote {
        /// The other node's name.
        fenced: String,
    },
    /// This node is to start over and compare its log again.
    Rejoin,
}

/// Opens what may be ordered.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// From its text.
    #[must_use]
    pub fn new(text: String) -> Token {
        Token(text)
    }

    /// Whether this is it, in a time that does not tell how much of it was right. Its length is no secret.
    #[must_use]
    pub fn is(&self, shown: &str) -> bool {
        let (own, shown) = (self.0.as_bytes(), shown.as_bytes());
        let difference = own.iter().zip(shown).fold(0, |difference, (own, shown)| difference | (own ^ shown));
        !own.is_empty() && own.len() == shown.len() && std::hint::black_box(difference) == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// What the routes need.
#[derive(Debug, Clone)]
pub struct Desk {
    /// The way to who carries it out.
    pub ask: Ask,
    /// Counts.
    pub counters: Counters,
    /// The node's token.
    pub token: Token,
}

/// Body of a promotion.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Promotion {
    fenced: String,
}

/// What became of a request: its code, the word that it is counted by, and a sentence.
struct Outcome {
    code: StatusCode,
    counted: &'static str,
    says: String,
}

/// Takes an order.
pub async fn order(
    State(desk): State<Desk>,
    ConnectInfo(Remote(peer)): ConnectInfo<Remote>,
    Path(act): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let outcome = carry_out(&desk, &act, &headers, &body).await;
    desk.counters.on_administered(outcome.counted);
    let code = outcome.code.as_u16();
    tracing::warn!(%peer, act = act.chars().take(ACT_CHARS_SHOWN).collect::<String>(), code, says = outcome.says, "administrative request");
    answer(&outcome)
}

async fn carry_out(desk: &Desk, act: &str, headers: &HeaderMap, body: &[u8]) -> Outcome {
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| value.strip_prefix(SCHEME));
    if !shown.is_some_and(|shown| desk.token.is(shown)) {
        let says = "this needs `Authorization: Bearer TOKEN`; the token stands in the file `admin.token` of the node's data directory";
        return Outcome { code: StatusCode::UNAUTHORIZED, counted: "unauthorized", says: says.into() };
    }
    let act = match parse(act, body) {
        Ok(act) => act,
        Err((code, says)) => return Outcome { code, counted: "malformed", says },
    };
    match desk.ask.ask(|reply| Question::Order(act, reply)).await {
        Ok(Ok(says)) => Outcome { code: StatusCode::ACCEPTED, counted: "accepted", says },
        Ok(Err(says)) => Outcome { code: StatusCode::CONFLICT, counted: "refused", says },
        Err(_) => Outcome { code: StatusCode::SERVICE_UNAVAILABLE, counted: "refused", says: "the appliance is stopping".into() },
    }
}

fn parse(act: &str, body: &[u8]) -> Result<Act, (StatusCode, String)> {
    match act {
        "switchover" => Ok(Act::Switchover),
        "rejoin" => Ok(Act::Rejoin),
        "promote" => serde_json::from_slice(body).map(|promotion: Promotion| Act::Promote { fenced: promotion.fenced }).map_err(|error| {
            (StatusCode::BAD_REQUEST, format!("the body is to be {{\"fenced\": \"NAME\"}}, the name of the node that is fenced: {error}"))
        }),
        _ => Err((StatusCode::NOT_FOUND, "nothing here; try switchover, promote or rejoin".into())),
    }
}

fn answer(outcome: &Outcome) -> Response {
    let body = serde_json::json!({"accepted": outcome.code == StatusCode::ACCEPTED, "says": outcome.says});
    let mut response = (outcome.code, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response();
    if outcome.code == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
    }
    response
}

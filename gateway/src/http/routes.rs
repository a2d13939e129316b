//! The paths and what each answers.

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};

use super::administration::{self, BODY_BYTES_MAX, Desk, Token};
use super::exposition;
use super::questions::{Ask, Question, Stopping};
use crate::counters::Counters;

const PAGE: &str = include_str!("page.html");

/// The page carries its own style and script and may load nothing else, from anywhere.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
    script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

const TEXT: &str = "text/plain; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone)]
struct Shared {
    ask: Ask,
    counters: Counters,
}

/// All routes.
pub fn routes(ask: Ask, token: Token, counters: Counters) -> Router {
    let desk = Desk { ask: ask.clone(), counters: counters.clone(), token };
    let orders = Router::new()
        .route("/api/v1/pair/{act}", post(administration::order))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(desk);
    Router::new()
        .route("/", get(page))
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/api/v1/status", get(status))
        .route("/api/v1/ledger", get(ledger))
        .with_state(Shared { ask, counters })
        .merge(orders)
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
}

fn plain(status: StatusCode, content_type: &'static str, body: impl IntoResponse) -> Response {
    let headers = [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-store"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (status, headers, body).into_response()
}

fn stopping(_: Stopping) -> Response {
    plain(StatusCode::SERVICE_UNAVAILABLE, TEXT, "the appliance is stopping\n")
}

async fn page() -> Response {
    let policy: [(HeaderName, &str); 2] = [(header::CONTENT_SECURITY_POLICY, PAGE_POLICY), (header::REFERRER_POLICY, "no-referrer")];
    plain(StatusCode::OK, "text/html; charset=utf-8", (policy, PAGE).into_response())
}

async fn metrics(State(shared): State<Shared>) -> Response {
    match shared.ask.ask(Question::Metrics).await {
        Ok(report) => match exposition::render(report, &shared.counters) {
            Ok(text) => plain(StatusCode::OK, OPEN_METRICS, text),
            Err(error) => {
                tracing::error!(%error, "the metrics could not be rendered");
                plain(StatusCode::INTERNAL_SERVER_ERROR, TEXT, "the metrics could not be rendered\n")
            }
        },
        Err(gone) => stopping(gone),
    }
}

async fn health() -> Response {
    plain(StatusCode::OK, TEXT, "ok\n")
}

async fn ready(State(shared): State<Shared>) -> Response {
    match shared.ask.ask(Question::Ready).await {
        Ok(Ok(())) => plain(StatusCode::OK, TEXT, "ready\n"),
        Ok(Err(why)) => plain(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n")),
        Err(gone) => stopping(gone),
    }
}

async fn status(State(shared): State<Shared>) -> Response {
    match shared.ask.ask(Question::Status).await {
        Ok(report) => uncached(Json(report)),
        Err(gone) => stopping(gone),
    }
}

async fn ledger(State(shared): State<Shared>) -> Response {
    match shared.ask.ask(Question::Ledger).await {
        Ok(report) => uncached(Json(report)),
        Err(gone) => stopping(gone),
    }
}

fn uncached(body: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], body).into_response()
}

async fn unknown_path() -> Response {
    plain(StatusCode::NOT_FOUND, TEXT, "nothing here; try /, /metrics, /healthz, /readyz, /api/v1/status or /api/v1/ledger\n")
}

async fn wrong_method() -> Response {
    plain(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD are answered here, and POST below /api/v1/pair/\n")
}

//! The appliance as the generator sees it: its ledger, asked for over plain HTTP.
//!
//! [`report`] is the shape of the answer, [`http`] the asking. No crate of the engine is linked: what
//! checks the appliance shares no code with it, so one mistake cannot hide in both.

pub mod http;
pub mod report;

pub use report::Report;

/// Path of the ledger.
const LEDGER_PATH: &str = "/api/v1/ledger";

/// The appliance's ledger, now.
///
/// # Errors
/// It cannot be reached, does not answer with 200, or answers with another shape.
pub fn ledger(address: &str) -> Result<Report, String> {
    let body = http::fetch(address, LEDGER_PATH).map_err(|reason| format!("cannot ask http://{address}{LEDGER_PATH}: {reason}"))?;
    serde_json::from_slice(&body).map_err(|reason| format!("http://{address}{LEDGER_PATH} is not a ledger: {reason}"))
}

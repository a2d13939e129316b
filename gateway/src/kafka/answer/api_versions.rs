//! ApiVersions: the table, as clients read it.

use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::messages::api_versions_response::ApiVersion;

use super::super::dispatch::{Asked, Refusal};
use super::super::errors::ErrorCode;
use super::super::versions::{Api, Key, TABLE};
use super::{Reply, encode};

/// Lists every request spoken.
pub fn answer(asked: Asked) -> Result<Reply, Refusal> {
    let listed = TABLE.iter().map(listed).collect();
    encode(asked, ErrorCode::None, &ApiVersionsResponse::default().with_api_keys(listed))
}

/// The answer to a version we do not know: body version 0, which every client can read, error 35,
/// and our own range, from which the client chooses again (KIP-511). Closing instead leaves clients
/// without a reason and without a second try.
pub fn unsupported(correlation: i32) -> Result<Reply, Refusal> {
    let own = TABLE.iter().find(|api| api.key == Key::ApiVersions).expect("the table lists ApiVersions");
    let asked = Asked { api: own, version: 0, correlation };
    let error = ErrorCode::UnsupportedVersion;
    encode(asked, error, &ApiVersionsResponse::default().with_error_code(error.number()).with_api_keys(vec![listed(own)]))
}

fn listed(api: &Api) -> ApiVersion {
    ApiVersion::default().with_api_key(api.number).with_min_version(api.advertised_min).with_max_version(*api.versions.end())
}

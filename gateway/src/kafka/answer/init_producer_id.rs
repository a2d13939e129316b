//! InitProducerId: a number that no producer had before, in incarnation 0.

use kafka_protocol::messages::{InitProducerIdResponse, ProducerId};

use super::super::dispatch::{Asked, Refusal};
use super::super::errors::ErrorCode;
use super::super::request::init_producer_id::InitProducerId;
use super::{Reply, encode};
use crate::store::Store;

/// Gives a number; a transactional producer is told that there are no transactions.
pub fn answer<S: Store>(store: &S, asked: Asked, request: InitProducerId<'_>) -> Result<Reply, Refusal> {
    if request.transactional_id.is_some() {
        // Permanent to every client, and the one code that says whose fault it is not.
        let error = ErrorCode::TransactionalIdAuthorizationFailed;
        let body =
            InitProducerIdResponse::default().with_error_code(error.number()).with_producer_id(ProducerId(-1)).with_producer_epoch(-1);
        return encode(asked, error, &body);
    }
    let body = InitProducerIdResponse::default().with_producer_id(ProducerId(store.producer_id())).with_producer_epoch(0);
    encode(asked, ErrorCode::None, &body)
}

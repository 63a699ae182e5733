//! The reads that the gateway makes itself.

use actix_web::http::{Method, StatusCode};
use bytes::{Bytes, BytesMut};
use futures_util::future::LocalBoxFuture;
use futures_util::{StreamExt as _, stream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::client::{Rack, Request};
use super::headers;
use crate::pep::{Chunks, Errand, ErrandError, Reader};

/// Who acts, for the rack's own log.
const ACTOR: &str = "rack-gateway";

impl Reader for Rack {
    fn read(&self, errand: Errand) -> LocalBoxFuture<'static, Result<Bytes, ErrandError>> {
        let rack = self.clone();
        Box::pin(async move {
            let mut chunks = open(&rack, &errand).await?;
            let mut whole = BytesMut::new();
            while let Some(chunk) = chunks.next().await {
                let chunk = chunk?;
                if whole.len().saturating_add(chunk.len()) > errand.max() {
                    return Err(unreadable("the rack's answer is too long"));
                }
                whole.extend_from_slice(&chunk);
            }
            Ok(whole.freeze())
        })
    }

    fn stream(&self, errand: Errand) -> LocalBoxFuture<'static, Result<Chunks, ErrandError>> {
        let rack = self.clone();
        Box::pin(async move { open(&rack, &errand).await })
    }
}

async fn open(rack: &Rack, errand: &Errand) -> Result<Chunks, ErrandError> {
    let place: OwnedSemaphorePermit = rack.place().await.map_err(|_| unreadable("too many requests are under way"))?;
    let uri = rack.uri(errand.target()).map_err(|_| unreadable("the request cannot be written"))?;
    let headers = headers::request(rack.config(), &[], ACTOR, errand.request_id());
    let headers = headers.map_err(|_| unreadable("the request cannot be written"))?;
    let request = Request { method: &Method::GET, uri: &uri, headers: &headers };
    let answer = timeout(rack.limits().head, rack.exchange_again(&request)).await;
    let answer = match answer {
        Ok(Ok(answer)) => answer,
        Ok(Err(trouble)) => return Err(ErrandError::Unreadable(trouble.told().text.to_owned())),
        Err(_) => return Err(unreadable("the rack did not answer in time")),
    };
    match answer.status() {
        status if status.is_success() => {}
        StatusCode::NOT_FOUND => return Err(ErrandError::Missing),
        status => return Err(ErrandError::Status(status.as_u16())),
    }
    let idle = rack.limits().idle;
    let chunks = stream::unfold(Some((answer, place)), move |state| async move {
        let (mut answer, place) = state?;
        match timeout(idle, answer.next()).await {
            Ok(Some(Ok(chunk))) => Some((Ok(chunk), Some((answer, place)))),
            Ok(Some(Err(_))) => Some((Err(unreadable("the rack's answer broke off")), None)),
            Ok(None) => None,
            Err(_) => Some((Err(unreadable("the rack fell silent")), None)),
        }
    });
    Ok(chunks.boxed_local())
}

fn unreadable(why: &str) -> ErrandError {
    ErrandError::Unreadable(why.to_owned())
}

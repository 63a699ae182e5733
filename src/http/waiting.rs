//! A terminal waits: instead of being refused, the socket stays open until its challenge is answered,
//! and then the same request takes the whole path again.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Payload;
use actix_web::{FromRequest as _, HttpRequest, HttpResponse, dev};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::pep::{Gate, Passed, Permit, Posed, Recheck, Recorded, Wanted, Way};
use crate::store::StoreError;
use crate::upstream::{self, KillSignal, Rack};

use super::answer::{name, says_in_socket};
use super::proxy::pass;
use super::sockets::{self, Stopping};

/// How often the challenge is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// How many times in a row it may be unknown, before the socket is refused all the same.
const UNKNOWN: u32 = 15;
/// Most terminals that wait at once. Any further is refused with its link at once.
const PLACES: usize = 256;

const LATE: &str = "nobody confirmed it in time; run the command again";
const USED: &str = "the confirmation was used for another connection; run the command again";
const ENDED: &str = "the session has ended; sign in again";
const BLIND: &str = "whether it was confirmed cannot be read any more; run the command again";
const STOPS: &str = "the gateway stops; run the command again";

/// Places to wait in, of the whole process.
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(PLACES)))
    }
}

impl Places {
    fn take(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }
}

/// What a wait needs.
#[derive(Clone, Copy)]
pub(super) struct Room<'a> {
    pub(super) gate: &'a Gate,
    pub(super) rack: &'a Rack,
    pub(super) stopping: &'a Stopping,
    pub(super) places: &'a Places,
}

/// The challenge that a person at a terminal can answer while the socket waits.
pub(super) fn awaited(recorded: &Recorded) -> Option<&Posed> {
    match &recorded.wanted {
        Some(Wanted::Answer(posed)) if posed.way == Way::Socket => Some(posed),
        Some(Wanted::Answer(_) | Wanted::Enrol) | None => None,
    }
}

/// Accepts the socket, shows the link, waits for the answer and then lets the request pass or fail as
/// it does then. Nothing reaches the rack before that.
pub(super) fn open(
    request: &HttpRequest,
    payload: Payload,
    recorded: &Recorded,
    posed: &Posed,
    room: Room<'_>,
) -> HttpResponse {
    let Room { gate, rack, stopping, places } = room;
    let mut response = match places.take() {
        Some(place) => {
            let message = format!("{}.\nConfirm it at this address:\n\n  {}\n", recorded.message, posed.url);
            let ready = ready((gate.clone(), rack.clone()), request.clone(), posed.clone(), stopping.clone(), place);
            let stop = stopped(stopping.clone());
            upstream::wait_socket(rack, request, payload, &message, ready, stop)
        }
        None => {
            let message = format!("{}; confirm it at {} and run the command again", recorded.message, posed.url);
            upstream::deny_socket(request, payload, &message, says_in_socket(recorded).flatten())
        }
    };
    name(&mut response, &recorded.request_id);
    response
}

async fn stopped(stopping: Stopping) -> String {
    stopping.begun().await;
    STOPS.to_owned()
}

/// Waits for the answer; the permit that comes of it, and what ends the socket later.
async fn ready(
    (gate, rack): (Gate, Rack),
    request: HttpRequest,
    posed: Posed,
    stopping: Stopping,
    _place: OwnedSemaphorePermit,
) -> Result<(Permit, KillSignal), String> {
    let look = || look(&gate, &posed.id);
    until_answered(look, EVERY).await?;
    let (permit, recheck) = again(&gate, &rack, &request).await?;
    tracing::debug!(request.id = permit.request_id(), route = permit.row().path, "a socket that waited may open");
    let signal = sockets::watch_over(&gate, recheck, permit.row(), stopping);
    Ok((*permit, signal))
}

/// The whole path once more. What is asked for now, if anything, is asked for by the next command.
async fn again(gate: &Gate, rack: &Rack, request: &HttpRequest) -> Result<(Box<Permit>, Box<Recheck>), String> {
    // A socket has no body: what comes behind its head are frames.
    let mut nothing = dev::Payload::None;
    let mut payload = Payload::from_request(request, &mut nothing).await.map_err(|error| error.to_string())?;
    match pass(request, &mut payload, gate, rack).await {
        Ok(Passed::Rack(permit, recheck)) => Ok((permit, recheck)),
        Ok(Passed::Own(_)) => Err("this is not a socket of the rack".to_owned()),
        Err(stopped) => {
            let Recorded { message, wanted, .. } = stopped.record(gate).await;
            Err(if wanted.is_some() { format!("{message}; run the command again") } else { message })
        }
    }
}

/// Where a challenge stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Open,
    Answered,
    /// It comes to nothing: why, for people.
    Over(&'static str),
}

async fn look(gate: &Gate, challenge: &str) -> Result<Look, StoreError> {
    let now = gate.clock.now();
    let Some(row) = gate.store.challenge_find(challenge).await? else { return Ok(Look::Over(LATE)) };
    let session = gate.store.credential_get(&row.credential_id).await?;
    Ok(if row.spent_at.is_some() {
        Look::Over(USED)
    } else if row.expires_at <= now {
        Look::Over(LATE)
    } else if !session.is_some_and(|session| session.is_live(now)) {
        Look::Over(ENDED)
    } else if row.answered_at.is_some() {
        Look::Answered
    } else {
        Look::Open
    })
}

/// Looks again and again until it is answered.
async fn until_answered<F>(look: impl Fn() -> F, every: Duration) -> Result<(), String>
where
    F: Future<Output = Result<Look, StoreError>>,
{
    let mut unknown = 0;
    loop {
        tokio::time::sleep(every).await;
        match look().await {
            Ok(Look::Answered) => return Ok(()),
            Ok(Look::Over(why)) => return Err(why.to_owned()),
            Ok(Look::Open) => unknown = 0,
            Err(_) => unknown += 1,
        }
        if unknown >= UNKNOWN {
            return Err(BLIND.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    async fn after(looks: Vec<Result<Look, ()>>) -> (Result<(), String>, usize) {
        let left = RefCell::new(looks.into_iter());
        let look = || {
            let next = left.borrow_mut().next().expect("it has stopped looking");
            async move { next.map_err(|()| StoreError::NotFound) }
        };
        let outcome = until_answered(look, Duration::ZERO).await;
        let left = left.borrow().len();
        (outcome, left)
    }

    #[tokio::test]
    async fn it_looks_until_it_knows() {
        let open = || Ok(Look::Open);
        assert_eq!(after(vec![open(), open(), Ok(Look::Answered), open()]).await, (Ok(()), 1));
        assert_eq!(after(vec![Ok(Look::Over(USED)), open()]).await, (Err(USED.to_owned()), 1));
        let mut blind = vec![open()];
        blind.extend([Err(()); 15]);
        blind.push(open());
        assert_eq!(after(blind).await, (Err(BLIND.to_owned()), 1));
        let mut blinking: Vec<_> = [Err(()); 14].into_iter().chain([open()]).collect();
        blinking.extend([Err(()); 14]);
        blinking.push(Ok(Look::Answered));
        assert_eq!(after(blinking).await, (Ok(()), 0));
    }

    #[test]
    fn places_are_given_back() {
        let places = Places::default();
        let taken: Vec<_> = (0..PLACES).map_while(|_| places.take()).collect();
        assert_eq!((taken.len(), places.take().is_none()), (PLACES, true));
        drop(taken);
        assert!(places.take().is_some());
    }
}

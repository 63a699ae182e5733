//! Trouble that a test asks for.

use std::sync::{Mutex, PoisonError};

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trip {
    /// It is answered with status 500, and nothing is done.
    Fail,
    /// It is done, and the answer breaks off.
    Lose,
}

/// What is to go wrong: method, how the path ends, and how.
#[derive(Debug, Default)]
pub(super) struct Trips(Mutex<Vec<(String, String, Trip)>>);

impl Trips {
    pub(super) fn add(&self, method: &str, ending: &str, trip: Trip) {
        let mut trips = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        trips.push((method.to_owned(), ending.to_owned(), trip));
    }

    /// What goes wrong with this request, once.
    pub(super) fn take(&self, method: &str, path: &str) -> Option<Trip> {
        let mut trips = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = trips.iter().position(|(of, ending, _)| of == method && path.ends_with(ending.as_str()))?;
        Some(trips.remove(at).2)
    }
}

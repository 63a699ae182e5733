// error: E0277
// A permit cannot be made from nothing.

use rack_gateway::pep::Permit;

fn from_nothing<T: Default>() -> T {
    T::default()
}

pub fn permit() -> Permit {
    from_nothing()
}

// error: E0277
// A decision cannot be made from nothing.

use rack_gateway::pdp::Decision;

fn from_nothing<T: Default>() -> T {
    T::default()
}

pub fn decision() -> Decision {
    from_nothing()
}

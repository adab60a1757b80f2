//! What keeps upstreams and the gateway itself from more than they can do: limits on what runs at once, circuit breakers,
//! and shedding.

mod breaker;
mod limits;
mod overload;
mod world;

//! Callers who ask for too much, send too much, or take too long.

mod connections;
mod hanging_up;
mod rate_limit;
mod size;
mod slow;

const LIST: &str = "/v2/Credentials";

//! H-matrices against dense ones, in units of the tolerance asked for.

mod arithmetic;
mod build;
#[path = "../cases/mod.rs"]
mod cases;
mod errors;
mod factorisation;
mod systems;

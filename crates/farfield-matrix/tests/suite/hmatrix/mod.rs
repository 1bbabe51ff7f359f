//! H-matrices against dense ones, in units of the tolerance asked for.

mod arithmetic;
mod build;
mod errors;
mod factorisation;
mod systems;

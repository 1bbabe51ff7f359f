//! Identities of every format, constructor, operation and factorisation on structured matrices up to n = 4096, in units of the tolerance asked for.
//!
//! Every constructor meets every tolerance and every structured case at n = 512, and some at 1000, 2048 and 4096, chosen in turn; errors are those of the dense difference.

mod arithmetic;
mod builds;
mod double_double;
mod factorisations;
mod log_determinants;

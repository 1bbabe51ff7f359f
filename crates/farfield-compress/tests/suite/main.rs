//! Tests of compression, in one program.

mod certificates;
mod files;
mod hostile;
mod mutations;
mod raw;
mod weights;

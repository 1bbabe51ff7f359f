//! Tests of compression, in one program.

mod certificates;
mod files;
mod hostile;
mod loader;
mod mutations;
mod networks;
mod raw;
mod refinement;
mod rivals;
mod weights;

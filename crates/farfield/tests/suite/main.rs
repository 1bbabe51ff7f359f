//! The command from outside, in one program: linking it takes longer than running most of its tests.

mod command;
mod compress;
mod evolutions_and_masks;
mod export;
mod matrix;
mod place;
mod reproduce;

//! `helmholtz-2d`.

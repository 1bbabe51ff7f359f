//! Partial differential equations as data generators: pairs (input field, output field) to learn
//! solution operators from.
//!
//! A [`Problem`] is a domain, a sampler of right-hand sides, a discretisation and a fast direct
//! solver. [`problem`] builds one by name, [`generate`] draws many samples in parallel and hands
//! them over in order:
//!
//! ```
//! use farfield_pde::{Family, ProblemOptions, Stream, generate, problem};
//!
//! let poisson = problem("poisson-2d", &ProblemOptions::default())?;
//! let family = Family::Random { smoothness: 1 };
//! let mut largest: f64 = 0.0;
//! generate(&*poisson, family, 7, Stream::Train, 0..3, |_, _f, u| {
//!     largest = u.iter().fold(largest, |m, u| m.max(u.abs()));
//!     Ok::<(), std::convert::Infallible>(())
//! })?;
//! assert!(largest > 0.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An [`Evolution`] is a time-dependent equation, a sampler of initial states and an integrator:
//! [`evolution`] builds one by name, [`generate_trajectories`] draws many.
//!
//! The problems are those of the Neural-HSS paper (arXiv 2602.18248, appendix F), each with the
//! paper's own data and with Gaussian random data ([`Family`]), and those of the H2-NN paper (arXiv 2212.12899) and its rivals:
//! radiative transfer, sums over all pairs of points, on grids and on [`ScatteredPoints`], and the nonlinear Schroedinger equation.
//! All numbers are f64. Same seed, stream and index: same bits, for any number of threads.
//!
//! The solvers are public as well: [`DirichletSolver`], [`NeumannSolver`], [`FiveDiagonal`],
//! [`LShapeSolver`], [`DiskSolver`], [`HelmholtzSolver`], [`RadiativeTransferSlab`], [`RingGroundState`].

mod advection_diffusion;
mod bdf;
mod burgers_1d;
mod custom_operator;
mod dirichlet_box;
mod dirichlet_line;
mod dirichlet_solver;
mod disk_cells;
mod disk_solver;
mod end_states;
mod error;
mod etdrk4;
mod evolution;
mod exponential_integral;
mod family;
mod five_diagonal;
mod fixed_steps;
mod fourier_2d;
mod fourier_multiplier;
mod gaussian_bumps;
mod gaussian_field;
mod generate;
mod gmres;
mod gray_scott_2d;
mod gray_scott_solver;
mod gray_scott_states;
mod heat_1d;
mod helmholtz_2d;
mod helmholtz_solver;
mod kernel_sum;
mod key;
mod l_shape_solver;
mod n_body;
mod navier_stokes_2d;
mod neumann_solver;
mod nonlinear_schrodinger_1d;
mod options;
mod point_fields;
mod poisson_1d;
mod poisson_1d_neumann;
mod poisson_2d;
mod poisson_2d_disk;
mod poisson_2d_l_shape;
mod poisson_3d;
mod problem;
mod radiative_transfer_1d;
mod radiative_transfer_2d;
mod radiative_transfer_slab;
mod radiative_transfer_square;
mod ring_ground_state;
mod series;
mod sine_transform;
mod sparse_cholesky;
mod sparse_gaussian_field;
mod spectral_grid;
mod stencil;
mod time_grid;
mod tridiagonal_lu;
mod vorticity_solver;

pub use burgers_1d::Burgers1d;
pub use custom_operator::CustomOperator;
pub use dirichlet_solver::DirichletSolver;
pub use disk_cells::DiskCells;
pub use disk_solver::DiskSolver;
pub use end_states::{Direction, EndStates};
pub use error::{GenerateError, PdeError};
pub use etdrk4::{Etdrk4, Etdrk4Stages, phi_functions};
pub use evolution::{Evolution, evolution, evolutions};
pub use family::Family;
pub use five_diagonal::FiveDiagonal;
pub use fourier_2d::{Fourier2d, Fourier2dScratch};
pub use generate::{generate, generate_trajectories};
pub use gray_scott_2d::{GrayScott2d, GrayScottPattern};
pub use gray_scott_solver::GrayScottSolver;
pub use heat_1d::Heat1d;
pub use helmholtz_2d::Helmholtz2d;
pub use helmholtz_solver::{HelmholtzScheme, HelmholtzSolver};
pub use key::{SampleKey, Stream};
pub use l_shape_solver::LShapeSolver;
pub use n_body::NBody;
pub use navier_stokes_2d::NavierStokes2d;
pub use neumann_solver::NeumannSolver;
pub use nonlinear_schrodinger_1d::NonlinearSchrodinger1d;
pub use options::ProblemOptions;
pub use poisson_1d::Poisson1d;
pub use poisson_1d_neumann::Poisson1dNeumann;
pub use poisson_2d::Poisson2d;
pub use poisson_2d_disk::Poisson2dDisk;
pub use poisson_2d_l_shape::Poisson2dLShape;
pub use poisson_3d::Poisson3d;
pub use problem::{Problem, ScatteredPoints, problem, problems};
pub use radiative_transfer_1d::RadiativeTransfer1d;
pub use radiative_transfer_2d::RadiativeTransfer2d;
pub use radiative_transfer_slab::RadiativeTransferSlab;
pub use ring_ground_state::RingGroundState;
pub use sine_transform::SineTransform;
pub use stencil::{Stencil, second_difference_eigenvalue};
pub use vorticity_solver::VorticitySolver;

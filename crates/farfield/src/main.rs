//! The `farfield` command.

use std::process::ExitCode;

use clap::Parser;

/// Steps of small networks allocate many small tensors; the system's allocator makes them several times slower.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_env("FARFIELD_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().init();
    match farfield::cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("farfield: {}", farfield::failure::one_line(&error));
            ExitCode::from(farfield::failure::exit_status(&error))
        }
    }
}

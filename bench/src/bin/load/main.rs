//! The load: makes TCP connections on this host's loopback, as many as there can be or as many as
//! are asked for. It ends when its standard input does, and dies with who started it.

mod churn;
mod exchange;
mod hold;
mod socket;
mod stop;

use std::process::ExitCode;

use clap::Parser;

/// Make TCP connections on the loopback.
#[derive(Parser)]
enum Verb {
    /// Open and close connections for a while, and report in JSON how many
    Churn(churn::Args),
    /// Open connections, say `ready`, and keep them until standard input ends
    Hold(hold::Args),
}

fn main() -> ExitCode {
    let result = match Verb::parse() {
        Verb::Churn(args) => churn::churn(&args),
        Verb::Hold(args) => hold::hold(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

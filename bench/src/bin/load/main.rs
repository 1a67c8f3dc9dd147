//! The load: makes TCP connections on the loopback, as many as possible or a given number. It ends when its
//! standard input does.
//!
//! # Layout
//! - `churn`: opens and closes connections
//! - `hold`: opens connections and keeps them
//! - `time_wait`: leaves sockets in TIME_WAIT
//! - `exchange`: requests and responses on a connection
//! - `socket`: sockets, and the addresses to connect to
//! - `stop`: stops the load when standard input ends

mod churn;
mod exchange;
mod hold;
mod socket;
mod stop;
mod time_wait;

use std::process::ExitCode;

use clap::Parser;

/// Make TCP connections on the loopback.
#[derive(Parser)]
enum Verb {
    /// Open and close connections for a while, and report as JSON how many
    Churn(churn::Args),
    /// Open connections, print `ready`, and keep them until standard input ends
    Hold(hold::Args),
    /// Leave sockets in TIME_WAIT, and end
    TimeWait(time_wait::Args),
}

fn main() -> ExitCode {
    let result = match Verb::parse() {
        Verb::Churn(args) => churn::churn(&args),
        Verb::Hold(args) => hold::hold(&args),
        Verb::TimeWait(args) => time_wait::time_wait(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}

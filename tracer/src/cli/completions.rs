//! Shell completions, generated from the definition of the command line.

use clap::{CommandFactory as _, ValueEnum};
use clap_complete::{Generator, generate, shells};

use crate::cli::Cli;

/// Help that shows where to install the completions.
pub const HELP: &str = "\
Examples:
  tracer completions bash | sudo tee /etc/bash_completion.d/tracer
  tracer completions zsh | sudo tee /usr/local/share/zsh/site-functions/_tracer
  tracer completions fish > ~/.config/fish/completions/tracer.fish";

/// Shells that there are completions for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU bash.
    Bash,
    /// Z shell.
    Zsh,
    /// fish.
    Fish,
}

/// Generates the completions for a shell.
#[must_use]
pub fn completions(shell: Shell) -> Vec<u8> {
    fn of(shell: impl Generator) -> Vec<u8> {
        let mut script = Vec::new();
        generate(shell, &mut Cli::command(), "tracer", &mut script);
        script
    }
    match shell {
        Shell::Bash => of(shells::Bash),
        Shell::Zsh => of(shells::Zsh),
        Shell::Fish => of(shells::Fish),
    }
}

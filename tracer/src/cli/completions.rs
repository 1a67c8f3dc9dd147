//! Shell completions. The shell asks this program what goes on with a command line: see [`asked`].

use std::{env, ffi::OsStr};

use clap::{Command, CommandFactory as _, ValueEnum};
use clap_complete::env::{CompleteEnv, EnvCompleter, Shells};

use crate::{
    cli::{Cli, offers::with_offers},
    text::escape::escaped,
};

/// Help that shows where to install the completions.
pub const HELP: &str = "\
Examples:
  tracer completions bash | sudo tee /etc/bash_completion.d/tracer
  tracer completions zsh | sudo tee /usr/local/share/zsh/site-functions/_tracer
  tracer completions fish > ~/.config/fish/completions/tracer.fish";

/// The environment variable by which a shell asks.
const VARIABLE: &str = "TRACER_COMPLETE";

/// The program that the shell asks: the first of this name on its path.
const PROGRAM: &str = "tracer";

/// zsh reads the file as the function `_tracer`, and has to get values at the first call, too.
const ZSH_FIRST_CALL: &str = "[[ $funcstack[1] == _tracer ]] && _clap_dynamic_completer_tracer\n";

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

impl Shell {
    fn completer(self) -> &'static dyn EnvCompleter {
        match self {
            Self::Bash => &clap_complete::env::Bash,
            Self::Zsh => &clap_complete::env::Zsh,
            Self::Fish => &clap_complete::env::Fish,
        }
    }
}

/// Makes the script by which a shell asks this program.
#[must_use]
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    // Writing into memory cannot fail.
    let _ = shell.completer().write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script);
    if shell == Shell::Zsh {
        script.extend_from_slice(ZSH_FIRST_CALL.as_bytes());
    }
    script
}

/// Answers a shell that asks what goes on with a command line, and tells whether one did. Call this before anything
/// else: it only writes to standard output.
pub fn asked() -> Result<bool, String> {
    if env::var_os(VARIABLE).is_none_or(|shell| shell.as_os_str() == OsStr::new("")) {
        return Ok(false);
    }
    let shells: [&dyn EnvCompleter; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish].map(Shell::completer);
    let answer = CompleteEnv::with_factory(command).var(VARIABLE).shells(Shells(&shells));
    let answered = answer.try_complete(env::args_os(), env::current_dir().ok().as_deref());
    // It may repeat what is in the variable.
    let words = |error: clap::Error| error.to_string().trim_start_matches("error: ").trim_end().to_owned();
    answered.map_err(|error| escaped(words(error).as_bytes()))
}

fn command() -> Command {
    with_offers(Cli::command())
}

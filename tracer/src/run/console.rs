//! The terminal: its modes, which are always restored, and the keyboard.

use std::{
    fs::File,
    io::{self, IsTerminal as _},
    sync::{
        Once,
        atomic::{AtomicBool, Ordering},
        mpsc::sync_channel,
    },
    thread,
    time::Duration,
};

use ratatui::crossterm::{
    cursor::{Hide, Show},
    event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, read},
    execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode, size},
};
use rustix::{
    event::Timespec,
    process::{Signal as Kill, getpgrp, getpid, kill_process},
    termios::tcgetpgrp,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc::{Receiver, channel},
};

use crate::{
    output::stderr,
    run::{fault, stop::any},
    view::input::Input,
};

/// Time limit for the write that restores the terminal.
const PATIENCE: Duration = Duration::from_millis(500);

/// Capacity of the key queue. No keyboard fills it; when a paste does, the reading thread waits.
const KEYS: usize = 256;

/// Why the console cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Standard output is a file or a pipe.
    #[error("top needs a terminal, and standard output is none: `tracer summary` tells the same in lines")]
    NoTerminal,
    /// The terminal cannot move its cursor (`TERM=dumb`).
    #[error("top needs a terminal that can do more than TERM=dumb: `tracer summary` tells the same in lines")]
    Dumb,
    /// Standard input is not a terminal, and there is no controlling terminal.
    #[error("top needs a keyboard: standard input is no terminal, and there is no /dev/tty")]
    NoKeyboard,
    /// The terminal's modes or signals could not be set.
    #[error("setting the terminal up: {0}")]
    Terminal(#[from] io::Error),
}

/// A terminal with a keyboard, before it is taken over.
pub struct IdleConsole(());

/// A terminal whose screen belongs to this process until the value is dropped.
pub struct Console {
    keys: Receiver<Input>,
    stop: Signal,
    goes_on: Signal,
    /// Signals that would end the process without restoring the terminal.
    deadly: Vec<Signal>,
}

impl IdleConsole {
    /// Checks that there is a terminal with a keyboard.
    pub fn check() -> Result<Self, Error> {
        if !io::stdout().is_terminal() {
            return Err(Error::NoTerminal);
        }
        if std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
            return Err(Error::Dumb);
        }
        if !io::stdin().is_terminal() && File::open("/dev/tty").is_err() {
            return Err(Error::NoKeyboard);
        }
        Ok(Self(()))
    }

    /// Takes over the screen and the keyboard. Must be called inside a tokio runtime.
    pub fn open(self) -> Result<Console, Error> {
        let stop = signal(SignalKind::from_raw(Kill::TSTP.as_raw()))?;
        let goes_on = signal(SignalKind::from_raw(Kill::CONT.as_raw()))?;
        let deadly = deadly().map(|number| signal(SignalKind::from_raw(number)));
        let deadly = deadly.collect::<Result<_, _>>()?;
        fault::leave_before_dying(&ENTERED)?;
        enter()?;
        leave_before_panics();
        let (sender, keys) = channel(KEYS);
        // This thread blocks in `read` and ends with the process.
        thread::Builder::new()
            .name("tracer-keys".into())
            .spawn(move || {
                while let Ok(event) = read() {
                    if inputs(&event).any(|input| sender.blocking_send(input).is_err()) {
                        return;
                    }
                }
            })
            .inspect_err(|_| leave())?;
        Ok(Console { keys, stop, goes_on, deadly })
    }
}

impl Console {
    /// The size of the screen.
    #[must_use]
    pub fn screen(&self) -> Input {
        // 80 by 24 is the customary default if the terminal reports no size.
        let (width, height) = size().unwrap_or((80, 24));
        Input::Screen(width, height)
    }

    /// Waits for input; without a console, for ever. It is safe to cancel. SIGTSTP waits while a drawing is
    /// being written: the drawing would end up on the shell's screen.
    pub async fn next(console: Option<&mut Self>, is_drawing: bool) -> Input {
        let Some(console) = console else {
            return std::future::pending().await;
        };
        tokio::select! {
            key = console.keys.recv() => match key {
                Some(key) => key,
                // The keyboard is closed; signals still work.
                None => std::future::pending().await,
            },
            () = any(&mut console.deadly) => Input::Interrupt,
            _ = console.stop.recv(), if !is_drawing => {
                leave();
                wait_for_the_shell();
                console.screen()
            }
            // Another process stopped this one with SIGSTOP, and it runs again.
            _ = console.goes_on.recv() => {
                if is_in_front() {
                    let _ = enter();
                } else {
                    wait_for_the_shell();
                }
                console.screen()
            }
        }
    }
}

/// Signals that end a process by default, besides those that end every capture, and those by which it dies where
/// it stands.
fn deadly() -> impl Iterator<Item = i32> {
    let named = [
        Kill::USR1,
        Kill::USR2,
        Kill::ALARM,
        Kill::VTALARM,
        Kill::PROF,
        Kill::XCPU,
        Kill::IO,
        Kill::POWER,
        Kill::STKFLT,
    ];
    named.into_iter().map(Kill::as_raw).chain(libc::SIGRTMIN()..=libc::SIGRTMAX())
}

/// Stops the process until the shell continues it in the foreground, and then takes the screen again. Nothing
/// may be drawn in between.
fn wait_for_the_shell() {
    while kill_process(getpid(), Kill::STOP).is_ok() && !is_in_front() {}
    let _ = enter();
}

/// Whether this process is in the terminal's foreground process group.
fn is_in_front() -> bool {
    match tcgetpgrp(io::stdout()) {
        Ok(front) => front == getpgrp(),
        Err(_) => true,
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        leave();
        stderr::release();
    }
}

/// Restores the terminal before a panic prints its message, which would be lost with the alternate screen.
fn leave_before_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            leave();
            before(panic);
        }));
    });
}

/// Whether this process has taken over the screen.
static ENTERED: AtomicBool = AtomicBool::new(false);

fn enter() -> io::Result<()> {
    if ENTERED.swap(true, Ordering::Relaxed) {
        // Another process stopped this one without `leave`, and the shell has set its own modes since.
        disable_raw_mode()?;
    }
    enable_raw_mode()?;
    stderr::hold();
    execute!(io::stdout(), EnterAlternateScreen, Hide)
}

/// Restores the terminal. Further calls do nothing, because the terminal may already belong to the shell.
fn leave() {
    if !ENTERED.swap(false, Ordering::Relaxed) {
        return;
    }
    // Restore the modes first: that writes nothing, and a write would block on a terminal on hold (Ctrl-S).
    let _ = disable_raw_mode();
    let (done, is_done) = sync_channel(1);
    let write = move || {
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
        let _ = done.send(());
    };
    if thread::Builder::new().name("tracer-leave".into()).spawn(write).is_ok() {
        let _ = is_done.recv_timeout(PATIENCE);
    } else if fault::accepts_output(&Timespec::default()) {
        // The host has no room for a thread.
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
    }
}

/// A terminal sends a key with Alt as Escape and the key. Over a slow line the two keys look the same, so they are what
/// they are taken for.
fn inputs(event: &Event) -> impl Iterator<Item = Input> {
    let (escape, input) = match event {
        Event::Resize(width, height) => (None, Some(Input::Screen(*width, *height))),
        Event::Key(key) if key.kind != KeyEventKind::Release => {
            let is_character = matches!(key.code, KeyCode::Char(_));
            let has_escape = is_character && key.modifiers.contains(KeyModifiers::ALT);
            (has_escape.then_some(Input::Escape), of_key(*key))
        }
        _ => (None, None),
    };
    escape.into_iter().chain(input)
}

fn of_key(key: KeyEvent) -> Option<Input> {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Some(Input::Interrupt),
            KeyCode::Char('u') => Some(Input::Clear),
            KeyCode::Char('z') => {
                let _ = kill_process(getpid(), Kill::TSTP);
                None
            }
            _ => None,
        };
    }
    Some(match key.code {
        KeyCode::Char(c) => Input::Char(c),
        KeyCode::Up => Input::Up,
        KeyCode::Down => Input::Down,
        KeyCode::Left => Input::Left,
        KeyCode::Right => Input::Right,
        KeyCode::PageUp => Input::PageUp,
        KeyCode::PageDown => Input::PageDown,
        KeyCode::Home => Input::Home,
        KeyCode::End => Input::End,
        KeyCode::Enter => Input::Enter,
        KeyCode::Esc => Input::Escape,
        KeyCode::Backspace => Input::Backspace,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_and_a_key_at_once_are_both() {
        let typed = |code, modifiers| inputs(&Event::Key(KeyEvent::new(code, modifiers))).collect::<Vec<_>>();
        let slash = KeyCode::Char('/');
        assert_eq!(typed(slash, KeyModifiers::ALT), [Input::Escape, Input::Char('/')]);
        assert_eq!(typed(slash, KeyModifiers::NONE), [Input::Char('/')]);
    }
}

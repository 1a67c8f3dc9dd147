//! The terminal itself: its modes, which are set back whatever happens, and the keyboard.

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
    process::{Signal as Kill, getpgrp, getpid, kill_process},
    termios::tcgetpgrp,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc::{Receiver, channel},
};

use crate::{output::stderr, run::stop::any, view::input::Input};

/// How long a terminal may take for the few bytes that give it back.
const PATIENCE: Duration = Duration::from_millis(500);

/// Keys that may wait: more come from no keyboard, and what pastes more has itself to blame.
const KEYS: usize = 256;

/// Why there is no console.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Standard output is a file or a pipe.
    #[error("top needs a terminal, and standard output is none: `tracer summary` tells the same in lines")]
    NoTerminal,
    /// One that cannot move its cursor.
    #[error("top needs a terminal that can do more than TERM=dumb: `tracer summary` tells the same in lines")]
    Dumb,
    /// Neither standard input nor a controlling terminal.
    #[error("top needs a keyboard: standard input is no terminal, and there is no /dev/tty")]
    NoKeyboard,
    /// Its modes.
    #[error("setting the terminal up: {0}")]
    Terminal(#[from] io::Error),
}

/// A terminal whose screen is ours until this goes out of scope.
pub struct Console {
    keys: Receiver<Input>,
    stop: Signal,
    goes_on: Signal,
    /// Those that would end the process without giving the terminal back.
    deadly: Vec<Signal>,
}

impl Console {
    /// Whether there is a terminal at all, with a keyboard.
    pub fn check() -> Result<(), Error> {
        if !io::stdout().is_terminal() {
            return Err(Error::NoTerminal);
        }
        if std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
            return Err(Error::Dumb);
        }
        if !io::stdin().is_terminal() && File::open("/dev/tty").is_err() {
            return Err(Error::NoKeyboard);
        }
        Ok(())
    }

    /// Takes over the screen and the keyboard. Needs a tokio runtime around it.
    pub fn open() -> Result<Self, Error> {
        let stop = signal(SignalKind::from_raw(Kill::TSTP.as_raw()))?;
        let goes_on = signal(SignalKind::from_raw(Kill::CONT.as_raw()))?;
        let deadly = DEADLY.map(|kill| signal(SignalKind::from_raw(kill.as_raw())));
        let deadly = deadly.into_iter().collect::<Result<_, _>>()?;
        enter()?;
        leave_before_panics();
        let (sender, keys) = channel(KEYS);
        // Waits in a read for ever; it ends with the process.
        thread::Builder::new().name("tracer-keys".into()).spawn(move || {
            while let Ok(event) = read() {
                if let Some(input) = input(&event)
                    && sender.blocking_send(input).is_err()
                {
                    return;
                }
            }
        })?;
        Ok(Self { keys, stop, goes_on, deadly })
    }

    /// How large the screen is.
    #[must_use]
    pub fn screen(&self) -> Input {
        // A terminal that does not say is as large as they were once.
        let (width, height) = size().unwrap_or((80, 24));
        Input::Screen(width, height)
    }

    /// Waits for a key; with no console, for ever. Cancelling loses nothing. While a drawing is on
    /// its way the terminal is not given back to the shell: it would arrive on the shell's screen.
    pub async fn next(console: Option<&mut Self>, is_drawing: bool) -> Input {
        let Some(console) = console else {
            return std::future::pending().await;
        };
        tokio::select! {
            key = console.keys.recv() => match key {
                Some(key) => key,
                // The keyboard is gone; signals work.
                None => std::future::pending().await,
            },
            () = any(&mut console.deadly) => Input::Interrupt,
            _ = console.stop.recv(), if !is_drawing => {
                leave();
                wait_for_the_shell();
                console.screen()
            }
            // Somebody else has stopped us.
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

/// Signals that end a process that does not listen to them, beside those that end every capture.
const DEADLY: [Kill; 6] = [Kill::USR1, Kill::USR2, Kill::ALARM, Kill::VTALARM, Kill::PROF, Kill::XCPU];

/// Stops the process until the shell lets it go on with the terminal. Nothing may be drawn between
/// that and taking the screen again.
fn wait_for_the_shell() {
    while kill_process(getpid(), Kill::STOP).is_ok() && !is_in_front() {}
    let _ = enter();
}

/// Whether the terminal is ours, and not that of another job of the shell.
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

/// A panic's message belongs on the screen that stays.
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

/// Whether the screen is ours.
static ENTERED: AtomicBool = AtomicBool::new(false);

fn enter() -> io::Result<()> {
    if ENTERED.swap(true, Ordering::Relaxed) {
        // Somebody else has stopped us, and the shell has set its own modes since.
        disable_raw_mode()?;
    }
    enable_raw_mode()?;
    stderr::hold();
    execute!(io::stdout(), EnterAlternateScreen, Hide)
}

/// As often as one likes: a terminal that was left once may show something else already.
fn leave() {
    if !ENTERED.swap(false, Ordering::Relaxed) {
        return;
    }
    // The modes first: they take no writing, which a terminal on hold would not let come to an end.
    let _ = disable_raw_mode();
    let (done, is_done) = sync_channel(1);
    let write = move || {
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
        let _ = done.send(());
    };
    if thread::Builder::new().name("tracer-leave".into()).spawn(write).is_ok() {
        let _ = is_done.recv_timeout(PATIENCE);
    }
}

fn input(event: &Event) -> Option<Input> {
    match event {
        Event::Resize(width, height) => Some(Input::Screen(*width, *height)),
        Event::Key(key) if key.kind != KeyEventKind::Release => of_key(*key),
        _ => None,
    }
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

//! What the view does by itself: at its times, at a key, when a page is asked for, and at the end.

use crate::{
    facts::playback::PlayCommand,
    run::stages::{
        ActContext, Stages,
        lines::{LineCounter, showing},
    },
    tcp::state::State,
    view::{
        ClosingReceipt, Ending, Scene, View,
        input::Input,
        page::{Itself, ServedPage},
    },
};

impl Stages {
    /// The name under which the last parts of a recording must be kept, if they must be: time and cause.
    pub fn trigger(&mut self) -> Option<String> {
        let (why, at_ns) = self.view.trigger()?;
        Some(self.named_after(&why, at_ns))
    }

    pub(super) fn act(&mut self, around: &mut ActContext<'_>, out: &mut Vec<u8>) {
        self.show_beginnings(out);
        let message = (around.message)();
        let (at, now_ns) = (out.len(), self.now_ns);
        let (view, scene) = self.scene(around, message.as_deref());
        let lines = view.act(scene, out);
        self.view.flush(&self.context, out);
        if lines > 0 {
            self.starts.add_lines(at, out, now_ns, &self.context);
        } else {
            self.starts.add(at, out, now_ns, &self.context);
        }
        self.counts.shown += lines;
        self.counts.stuck_shown += lines;
        self.lines += lines;
        if self.ending() == Some(Ending::Stuck) {
            // Its line is the last one.
            self.limit = Some(self.counts.shown);
        }
    }

    /// States that the view has shown a connection stuck in since this was asked last, each once in a capture.
    pub fn newly_stuck(&mut self) -> Vec<State> {
        self.view.newly_stuck()
    }

    /// Shows the beginnings that were held back, of connections about which enough is known by now: a line that
    /// the view makes by itself comes after them.
    fn show_beginnings(&mut self, out: &mut Vec<u8>) {
        let mut counter = LineCounter::new(&self.counts, self.limit, self.span);
        let Self { tracker, select, view, context, starts, .. } = self;
        {
            let mut show = showing(&mut **view, &mut counter, context, (out, starts));
            for cookie in select.undecided() {
                if let Some(connection) = tracker.get(cookie) {
                    select.release(connection, &mut show);
                }
            }
        }
        self.shown(&counter, out);
    }

    /// Passes a key or a change of screen size to the view.
    pub fn input(&mut self, input: Input, around: &mut ActContext<'_>) {
        let message = (around.message)();
        let (view, scene) = self.scene(around, message.as_deref());
        view.input(input, scene);
    }

    /// Appends a page that somebody has asked for.
    pub fn page(
        &mut self,
        page: ServedPage,
        itself: &Itself,
        around: &mut ActContext<'_>,
        out: &mut Vec<u8>,
    ) {
        let (view, scene) = self.scene(around, None);
        view.page(page, itself, scene, out);
    }

    /// How the user wants a recording to be played, if that has changed.
    pub fn play(&mut self) -> Option<PlayCommand> {
        self.view.play()
    }

    /// Whether the view takes the receipt before it makes its last bytes.
    #[must_use]
    pub fn wants_receipt(&self) -> bool {
        self.view.needs().receipt
    }

    /// Hands the view the receipt.
    pub fn receipt(&mut self, receipt: ClosingReceipt) {
        self.view.receipt(receipt);
    }

    /// Lets the view make its last bytes.
    pub fn end(&mut self, around: &mut ActContext<'_>, out: &mut Vec<u8>) {
        // Nobody answers any more.
        if self.tracker.wants_holders().or(self.tracker.wants_look()).is_some() {
            self.tracker.expect_no_holders();
            self.act(around, out);
        }
        self.end_view(around, out);
    }

    fn end_view(&mut self, around: &mut ActContext<'_>, out: &mut Vec<u8>) {
        let (at, now_ns) = (out.len(), self.now_ns);
        let (view, scene) = self.scene(around, None);
        view.end(scene, out);
        self.starts.add(at, out, now_ns, &self.context);
    }

    /// Lets the view end a file. The next one begins with [`Self::begin`].
    pub fn end_file(&mut self, around: &mut ActContext<'_>, out: &mut Vec<u8>) {
        self.end_view(around, out);
    }

    /// Lines left below the limit.
    fn room(&self) -> u64 {
        self.limit.map_or(u64::MAX, |limit| limit.saturating_sub(self.counts.shown))
    }

    fn scene<'a>(
        &'a mut self,
        around: &'a mut ActContext<'_>,
        message: Option<&'a str>,
    ) -> (&'a mut dyn View, Scene<'a>) {
        let room = self.room();
        let scene = Scene {
            tracker: &mut self.tracker,
            select: &self.select,
            context: &self.context,
            now_ns: self.now_ns,
            is_shown: self.span.has(self.now_ns),
            lost: self.lost.zip(self.lost_before).map(|(lost, before)| lost.saturating_sub(before)),
            room,
            names: around.names,
            playback: around.playback,
            message,
        };
        (&mut *self.view, scene)
    }

    /// Why the view wants to end the capture, if it does.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        self.view.ending()
    }

    /// Whether the view makes lines of output.
    #[must_use]
    pub fn has_lines(&self) -> bool {
        self.view.has_lines()
    }
}

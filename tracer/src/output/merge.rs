//! Lines of several captures, brought into the order of their times. Each capture writes into a [`MergeInput`]
//! instead of standard output, and a [`Merger`] puts together what all of them have made.

use std::{collections::VecDeque, time::Duration};

use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        oneshot,
    },
    time::{Instant, sleep_until},
};

use crate::output::stdout::{Error, Output, Written};

/// How long lines wait for those of another host that may say nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where a line begins in the bytes that a view has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineStart {
    /// The offset.
    pub at: usize,
    /// The time of day that the line is about, in nanoseconds since 1970.
    pub wall_ns: i64,
}

/// Where a capture's lines go.
#[derive(Debug)]
pub struct MergeInput {
    /// Its number.
    host: usize,
    to: UnboundedSender<MergeNews>,
    /// Where the lines begin that are to be written next.
    starts: VecDeque<LineStart>,
    /// All lines up to this time of day have been made.
    made_ns: i64,
    told_ns: i64,
    /// After the last line of this capture nothing is written.
    is_last: bool,
}

/// What captures tell the merger.
#[derive(Debug)]
enum MergeNews {
    /// It has made these lines.
    Lines(usize, MadeLines),
    /// It has nothing to write up to this time.
    Time(usize, i64),
    /// It makes no more; whether its last line is the last of all.
    Ended(usize, bool),
}

/// Lines of one capture.
#[derive(Debug)]
struct MadeLines {
    bytes: Vec<u8>,
    /// Of those that are not yet written.
    starts: VecDeque<LineStart>,
    /// No later line is older than this.
    made_ns: i64,
    /// When they were handed over.
    since: Instant,
    /// After them nothing is written.
    are_last: bool,
    done: oneshot::Sender<Written>,
}

/// Puts lines together.
#[derive(Debug)]
pub struct Merger {
    inbox: UnboundedReceiver<MergeNews>,
    captures: Vec<MergedCapture>,
    /// Lines that may still be written (`--count`).
    room: u64,
    /// Captures that say nothing for so long do not hold the others back; `None` if they are only slow.
    patience: Option<Duration>,
    /// The beginning of the output has been written: all captures have the same.
    has_header: bool,
}

/// What one capture has made.
#[derive(Debug)]
struct MergedCapture {
    /// At most one write is in progress.
    lines: Option<MadeLines>,
    /// All lines up to this time are there.
    made_ns: i64,
    has_ended: bool,
    /// Its last line is the last of all.
    is_last: bool,
    has_begun: bool,
    /// Its lines in what is being written.
    in_flight: u64,
    /// When it last said something.
    heard: Instant,
    /// The time of the last line: the lines of one capture keep their order.
    last_ns: i64,
}

impl MergeInput {
    /// After what was made up to now, nothing else is to be written.
    pub fn end_all(&mut self) {
        self.is_last = true;
    }

    /// The next bytes have their lines here, and are all that was made up to this time of day.
    pub fn place(&mut self, starts: impl IntoIterator<Item = LineStart>, made_ns: i64) {
        self.starts.extend(starts);
        self.made_ns = made_ns;
    }

    /// Hands over bytes; nothing if there are none.
    pub(super) fn send(&mut self, bytes: Vec<u8>, done: oneshot::Sender<Written>) {
        let starts = std::mem::take(&mut self.starts);
        self.told_ns = self.made_ns;
        // If the merger is gone, the one who waits for the write notices.
        let (made_ns, are_last) = (self.made_ns, self.is_last);
        let lines = MadeLines { bytes, starts, made_ns, since: Instant::now(), are_last, done };
        let _ = self.to.send(MergeNews::Lines(self.host, lines));
    }

    /// Says how far the capture is, if there is nothing to write.
    pub(super) fn tell(&mut self) {
        if self.made_ns > self.told_ns {
            self.told_ns = self.made_ns;
            let _ = self.to.send(MergeNews::Time(self.host, self.made_ns));
        }
    }
}

impl Drop for MergeInput {
    fn drop(&mut self) {
        // The merger may have ended before.
        let _ = self.to.send(MergeNews::Ended(self.host, self.is_last));
    }
}

impl Merger {
    /// A merger of so many captures, with an input for each. `limit`: the most lines to write. `is_live`: they may have
    /// nothing to say for long.
    #[must_use]
    pub fn of(captures: usize, limit: Option<u64>, is_live: bool) -> (Self, Vec<MergeInput>) {
        let (to, inbox) = unbounded_channel();
        let input = |host| MergeInput {
            host,
            to: to.clone(),
            starts: VecDeque::new(),
            made_ns: i64::MIN,
            told_ns: i64::MIN,
            is_last: false,
        };
        let part = |_| MergedCapture {
            lines: None,
            made_ns: i64::MIN,
            has_ended: false,
            is_last: false,
            has_begun: false,
            in_flight: 0,
            heard: Instant::now(),
            last_ns: i64::MIN,
        };
        let merger = Self {
            inbox,
            captures: (0..captures).map(part).collect(),
            room: limit.unwrap_or(u64::MAX),
            patience: is_live.then_some(PATIENCE),
            has_header: false,
        };
        (merger, (0..captures).map(input).collect())
    }

    /// Whether no more lines may be written.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.room == 0
    }

    /// Writes until all captures have ended, or the limit is reached. From the end of `hurry` on, a reader that does not
    /// read is given up after a while. What is not written then is reported as such.
    ///
    /// # Errors
    /// The output takes nothing.
    pub async fn write(&mut self, output: &mut Output, hurry: impl Future<Output = ()>) -> Result<(), Error> {
        let written = self.write_all(output, hurry).await;
        for MergedCapture { lines, in_flight, .. } in &mut self.captures {
            if let Some(lines) = lines.take() {
                lines.finish(*in_flight);
            }
        }
        written
    }

    async fn write_all(&mut self, output: &mut Output, hurry: impl Future<Output = ()>) -> Result<(), Error> {
        let mut hurry = std::pin::pin!(hurry);
        let mut hurries = false;
        let mut out = Vec::new();
        while !self.is_full() && !self.captures.iter().all(|part| part.has_ended && part.lines.is_none()) {
            let patience_ends = self.patience_ends();
            let told = tokio::select! {
                biased;
                () = &mut hurry, if !hurries => {
                    hurries = true;
                    continue;
                }
                told = self.inbox.recv() => Some(told),
                () = wait_until(patience_ends) => None,
                closed = output.turn() => {
                    closed?;
                    continue;
                }
            };
            match told {
                Some(Some(told)) => self.take(told, &mut out),
                Some(None) => return Ok(()),
                None => {}
            }
            while let Ok(told) = self.inbox.try_recv() {
                self.take(told, &mut out);
            }
            let lines = self.merge(&mut out);
            output.start(&mut out, lines);
            while output.is_busy() {
                if hurries {
                    output.patience().await?;
                } else {
                    tokio::select! {
                        written = output.idle() => written?,
                        () = &mut hurry => hurries = true,
                    }
                }
            }
            self.finish();
        }
        Ok(())
    }

    /// When lines have waited long enough, for a capture that says nothing or for one whose clock is behind.
    fn patience_ends(&self) -> Option<Instant> {
        let patience = self.patience?;
        let waiting = self.captures.iter().filter_map(|part| part.lines.as_ref()).map(|lines| lines.since);
        let first = waiting.min()?;
        let silent = self.captures.iter().filter(|part| self.is_waited_for(part)).map(|part| part.heard);
        // What is over already brings nothing more.
        silent.chain([first]).map(|since| since + patience).filter(|end| *end > Instant::now()).min()
    }

    /// Whether this was so long ago that nobody waits any longer.
    fn is_over(&self, since: Instant) -> bool {
        self.patience.is_some_and(|patience| since.elapsed() >= patience)
    }

    /// Whether others wait for what it may still say.
    fn is_waited_for(&self, part: &MergedCapture) -> bool {
        !part.has_ended && part.lines.is_none() && !self.is_over(part.heard)
    }

    fn take(&mut self, told: MergeNews, out: &mut Vec<u8>) {
        let (MergeNews::Ended(host, _) | MergeNews::Time(host, _) | MergeNews::Lines(host, _)) = told;
        self.captures[host].heard = Instant::now();
        match told {
            MergeNews::Ended(host, is_last) => {
                let part = &mut self.captures[host];
                part.has_ended = true;
                part.is_last |= is_last;
            }
            MergeNews::Time(host, made_ns) => self.captures[host].made_ns = made_ns,
            MergeNews::Lines(host, mut lines) => {
                let Self { captures, has_header, .. } = self;
                let part = &mut captures[host];
                part.made_ns = lines.made_ns;
                // Its end is told later: by then others may have been written.
                part.is_last |= lines.are_last;
                let headless = lines.starts.front().map_or(lines.bytes.len(), |first| first.at);
                if !std::mem::replace(&mut part.has_begun, true) {
                    if headless > 0 && !std::mem::replace(has_header, true) {
                        out.extend_from_slice(&lines.bytes[..headless]);
                    }
                } else if headless > 0 {
                    lines.starts.push_front(LineStart { at: 0, wall_ns: i64::MIN });
                }
                // Nothing is about what is not yet there, and the order stays.
                for start in &mut lines.starts {
                    start.wall_ns = start.wall_ns.min(lines.made_ns).max(part.last_ns);
                    part.last_ns = start.wall_ns;
                }
                part.lines = Some(lines);
            }
        }
    }

    /// Appends the lines before which nothing else can come. Returns their number.
    fn merge(&mut self, out: &mut Vec<u8>) -> u64 {
        let waits =
            |part: &&MergedCapture| !part.has_ended && (part.lines.is_some() || self.is_waited_for(part));
        let open = self.captures.iter().filter(waits);
        let made_ns = open.map(|part| part.made_ns).min().unwrap_or(i64::MAX);
        // The clock of a host may be ahead.
        let overdue = self.captures.iter().filter_map(|part| part.lines.as_ref());
        let overdue = overdue.filter(|lines| self.is_over(lines.since)).map(|lines| lines.made_ns).max();
        let made_ns = overdue.map_or(made_ns, |overdue_ns| overdue_ns.max(made_ns));
        let mut count = 0;
        while self.room > 0 && !self.has_last() {
            let next =
                |part: &MergedCapture| part.lines.as_ref().and_then(|lines| lines.starts.front().copied());
            let firsts = self.captures.iter().enumerate();
            let firsts = firsts.filter_map(|(host, part)| Some((next(part)?.wall_ns, host)));
            let mut firsts: Vec<_> = firsts.filter(|(wall_ns, _)| *wall_ns <= made_ns).collect();
            firsts.sort_unstable();
            let Some(&(_, host)) = firsts.first() else {
                break;
            };
            let until = firsts.get(1).copied().unwrap_or((made_ns, usize::MAX));
            let MergedCapture { lines: Some(lines), in_flight, .. } = &mut self.captures[host] else {
                break;
            };
            let begin = lines.starts.front().map_or(0, |start| start.at);
            let is_before = |start: &LineStart| (start.wall_ns, host) < until;
            while self.room > 0 && lines.starts.front().is_some_and(is_before) {
                lines.starts.pop_front();
                self.room -= 1;
                *in_flight += 1;
                count += 1;
            }
            let end = lines.starts.front().map_or(lines.bytes.len(), |start| start.at);
            out.extend_from_slice(&lines.bytes[begin..end]);
        }
        if self.has_last() {
            self.room = 0;
        }
        count
    }

    /// Whether the last line of all has been taken.
    fn has_last(&self) -> bool {
        let is_empty = |lines: &MadeLines| lines.starts.is_empty();
        self.captures.iter().any(|part| part.is_last && part.lines.as_ref().is_none_or(is_empty))
    }

    /// Tells the captures whose lines are written.
    fn finish(&mut self) {
        for part in &mut self.captures {
            part.in_flight = 0;
            if let Some(lines) = part.lines.take_if(|lines| lines.starts.is_empty()) {
                lines.finish(0);
            }
        }
    }
}

/// Waits for ever without a time.
async fn wait_until(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

impl MadeLines {
    /// Gives the buffer back: all was written but these lines, and those that still wait.
    fn finish(self, unwritten: u64) {
        let Self { mut bytes, starts, done, .. } = self;
        bytes.clear();
        // The capture may have been cut short.
        let _ = done.send((bytes, unwritten + starts.len() as u64, Ok(())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        io::{self, Seek as _},
    };

    /// An output into a file, and what is in that.
    fn output() -> (Output, fs::File) {
        let file = tempfile::tempfile().unwrap();
        (Output::to(file.try_clone().unwrap()).unwrap(), file)
    }

    fn written(mut file: fs::File) -> String {
        file.rewind().unwrap();
        io::read_to_string(file).unwrap()
    }

    /// Writes lines of one byte, which are about these times, behind a header.
    fn write(output: &mut Output, header: &str, times: &str, made_ns: i64) {
        let bytes = header.to_owned() + &times.chars().flat_map(|time| [time, '\n']).collect::<String>();
        let starts = times.bytes().enumerate().map(|(number, time)| LineStart {
            at: header.len() + 2 * number,
            wall_ns: i64::from(time - b'0'),
        });
        output.merge_input().unwrap().place(starts.collect::<Vec<_>>(), made_ns);
        output.start(&mut bytes.into_bytes(), times.len() as u64);
    }

    fn of_two(limit: Option<u64>) -> (Merger, [Output; 2]) {
        let (merger, inputs) = Merger::of(2, limit, false);
        let captures: Vec<_> = inputs.into_iter().map(Output::merged).collect();
        (merger, captures.try_into().unwrap_or_else(|_| panic!("two")))
    }

    #[tokio::test]
    async fn lines_come_in_the_order_of_their_times() {
        let (mut merger, [mut one, mut other]) = of_two(None);
        let (mut output, file) = output();
        let captures = async {
            write(&mut one, "TIME\n", "1479", 9);
            write(&mut other, "TIME\n", "235", 5);
            // All that the other one has is older than what this one has made.
            other.idle().await.unwrap();
            assert!(one.is_busy(), "7 and 9 have to wait");
            other.merge_input().unwrap().place([], 8);
            other.start(&mut Vec::new(), 0);
            write(&mut other, "", "8", 9);
            other.idle().await.unwrap();
            // A line about what was before comes where it was made.
            write(&mut other, "", "1", 9);
            drop(other);
            one.idle().await.unwrap();
            drop(one);
        };
        let (result, ()) = tokio::join!(merger.write(&mut output, std::future::pending()), captures);
        result.unwrap();
        assert_eq!(written(file), "TIME\n1\n2\n3\n4\n5\n7\n8\n9\n1\n");
    }

    #[tokio::test]
    async fn no_more_lines_than_asked_for() {
        let (mut merger, [mut one, mut other]) = of_two(Some(3));
        let (mut output, file) = output();
        write(&mut one, "", "1479", 9);
        write(&mut other, "", "235", 9);
        merger.write(&mut output, std::future::pending()).await.unwrap();
        assert!(merger.is_full());
        assert_eq!(written(file), "1\n2\n3\n");
        one.idle().await.unwrap();
        other.idle().await.unwrap();
        assert_eq!((one.written(), one.unwritten(), other.written(), other.unwritten()), (1, 3, 2, 1));
    }

    #[tokio::test]
    async fn nothing_follows_the_last_line_of_all() {
        let (mut merger, [mut one, mut other]) = of_two(None);
        let (mut output, file) = output();
        one.merge_input().unwrap().end_all();
        write(&mut one, "", "5", 9);
        write(&mut other, "", "46", 9);
        let write = merger.write(&mut output, std::future::pending());
        tokio::time::timeout(Duration::from_secs(30), write).await.unwrap().unwrap();
        assert_eq!(written(file), "4\n5\n");
    }

    #[tokio::test]
    async fn a_capture_without_lines_holds_the_others_back_until_it_tells_the_time_or_ends() {
        let (mut merger, [mut one, mut other]) = of_two(None);
        let (mut output, file) = output();
        let captures = async {
            write(&mut one, "", "5", 5);
            tokio::task::yield_now().await;
            assert!(one.is_busy());
            other.merge_input().unwrap().place([], 5);
            other.start(&mut Vec::new(), 0);
            one.idle().await.unwrap();
            write(&mut one, "", "6", 6);
            drop(other);
            one.idle().await.unwrap();
            drop(one);
        };
        let (result, ()) = tokio::join!(merger.write(&mut output, std::future::pending()), captures);
        result.unwrap();
        assert_eq!(written(file), "5\n6\n");
    }
}

//! Log records of ends of connections, until somebody asks for them.

use std::collections::VecDeque;

use tracer_common::member::Member;

use crate::format::{
    otlp::records::{LogRecords, request},
    row::Row,
};

/// Records that wait at most. More push out the oldest.
const MOST: usize = 8192;

/// Records that are handed out at a time.
const BATCH: usize = 512;

/// Records that wait.
#[derive(Default)]
pub(super) struct EndRecords {
    records: Option<LogRecords>,
    waiting: VecDeque<Vec<u8>>,
    dropped: u64,
}

impl EndRecords {
    /// Begins on a kernel that lacks these structure members.
    pub(super) fn begin(&mut self, absent: &[Member]) {
        self.records = Some(LogRecords::new(absent));
    }

    /// Adds the end of a connection.
    pub(super) fn add(&mut self, row: &Row<'_>) {
        let Some(records) = &mut self.records else { return };
        if self.waiting.len() >= MOST {
            self.waiting.pop_front();
            self.dropped += 1;
        }
        self.waiting.push_back(records.record(row));
    }

    /// How many were pushed out.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Appends a request with the oldest ones, if there are any. They wait no longer.
    pub(super) fn take(&mut self, host: &str, out: &mut Vec<u8>) {
        let count = self.waiting.len().min(BATCH);
        if count > 0 {
            out.extend_from_slice(&request(self.waiting.drain(..count).collect(), host));
        }
    }
}

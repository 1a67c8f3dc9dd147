//! Until when an orphan may stay in FIN_WAIT2.

use tracer_common::{Event, timewait::orphan_time_ns};

use crate::track::{Tracker, connection::Connection};

/// `TCP_RTO_MIN`
const RTO_MIN_NS: u64 = 200_000_000;

impl Tracker {
    /// When the timewait socket that an orphan has just got is due, by its own `TCP_LINGER2`; `None` if the
    /// namespace decides.
    pub(super) fn orphan_due_ns(&self, event: &Event) -> Option<u64> {
        let linger2 = u64::try_from(event.linger2).ok().filter(|linger2| *linger2 > 0)?;
        let wait_ns = orphan_time_ns(linger2 * self.tick_ns, rto_ns(event.srtt_us));
        // Its timer has started in the middle of a jiffy.
        (self.tick_ns != 0).then(|| event.time_ns + wait_ns.saturating_sub(self.tick_ns))
    }

    /// When an orphan is due: by its timer, if a sample has seen it, or by its `TCP_LINGER2`; else by the namespace's
    /// `tcp_fin_timeout`, from the last event, which was when its timewait socket was made.
    pub(super) fn due_ns(&self, orphan: &Connection, fin_timeout_ns: Option<u64>) -> Option<u64> {
        self.timewaits.due_ns(orphan.cookie).or_else(|| {
            let wait_ns = orphan_time_ns(fin_timeout_ns?, rto_ns(orphan.counters.srtt_us));
            Some(orphan.last_ns.saturating_add(wait_ns))
        })
    }
}

/// The least that a retransmission timeout can be (`__tcp_set_rto`).
fn rto_ns(srtt_us: u32) -> u64 {
    RTO_MIN_NS + u64::from(srtt_us) * 1000
}

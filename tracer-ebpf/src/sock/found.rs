//! What only a snapshot tells of a socket (`tracer_common::found`), above all how long it has been in its state at
//! least. No stamp says that by itself: each of those used here is set when the state begins, or later.

use aya_ebpf::helpers::generated as helpers;
use tracer_common::{
    event::flag,
    member::{ABSENT, Member},
    state::{CLOSE, CLOSE_WAIT, ESTABLISHED, FIN_WAIT2, LISTEN, SYN_SENT},
};

use crate::{
    kernel::{load, load_bit, offset, tick_ns},
    sock::Sock,
};

const MILLISECOND_NS: u64 = 1_000_000;

impl Sock {
    /// How often the timer for retransmissions or window probes has been doubled.
    #[inline(always)]
    pub fn backoff(self) -> u8 {
        load!(self.tcp, Backoff as u8)
    }

    /// [`flag::WINDOW_ZERO`], for a socket in this state.
    #[inline(always)]
    pub fn window_flag(self, state: u8) -> u16 {
        if matches!(state, LISTEN | SYN_SENT | CLOSE) || offset(Member::PeerWindow) == ABSENT {
            return 0;
        }
        let window: u32 = load!(self.tcp, PeerWindow as u32);
        let (written, acked) = (load!(self.tcp, WriteSeq as u32), load!(self.tcp, SndUna as u32));
        if window == 0 && written != acked { flag::WINDOW_ZERO } else { 0 }
    }

    /// [`flag::V6ONLY`], for a listener.
    #[inline(always)]
    pub fn v6_only_flag(self) -> u16 {
        u16::from(load_bit!(self.sock, V6Only)) * flag::V6ONLY
    }

    /// What a listener has dropped.
    #[inline(always)]
    pub fn drops(self) -> u32 {
        load!(self.sock, Drops as u32)
    }

    /// A listener's half-open connections whose SYN-ACK was sent again (`reqsk_timer_handler`). They are counted one after
    /// the other, so this may be below zero.
    #[inline(always)]
    pub fn half_open(self) -> u32 {
        load!(self.tcp, HalfOpen as u32).wrapping_sub(load!(self.tcp, HalfOpenYoung as u32))
    }

    /// Milliseconds that it has been in this state at least; 0 if nothing proves that. `roles` are its
    /// [`Sock::role_flags`]. `now_ns` was read before this.
    ///
    /// FIN_WAIT1, LAST_ACK and CLOSING are left out: each retransmission of the FIN renews the stamp. So is SYN_RECV, in
    /// which a Fast Open child has the stamps of its listener.
    #[inline(always)]
    pub fn in_state_ms(self, state: u8, roles: u16, now_ns: u64) -> u32 {
        match state {
            ESTABLISHED => jiffies_ms(self.since_established(roles)),
            SYN_SENT => self.since_syn_ms(now_ns),
            // They begin when a segment comes, for which `tcp_rcv_established` or `tcp_rcv_state_process` first renews
            // the stamp. Not so `rcv_tstamp`: a FIN that was overtaken by a later ACK leaves it as it is.
            CLOSE_WAIT | FIN_WAIT2 => self.since_segment_ms(now_ns),
            _ => 0,
        }
    }

    /// Jiffies since the oldest stamp that is not older than the state. `lsndtime` and `rcv_tstamp` are set
    /// with it, in `tcp_finish_connect`, `tcp_rcv_state_process` and `tcp_ack`; `lrcvtime` only by a connect. A child of
    /// a listener has it from its birth, which Fast Open puts before the state.
    #[inline(always)]
    fn since_established(self, roles: u16) -> u32 {
        // SAFETY: returns a number, of which the kernel's stamps have the lower half.
        let now = unsafe { helpers::bpf_jiffies64() } as u32;
        let oldest =
            since(now, load!(self.tcp, LastSent as u32)).max(since(now, load!(self.tcp, LastAck as u32)));
        if roles & flag::CONNECTED == 0 {
            return oldest;
        }
        oldest.max(since(now, load!(self.tcp, LastReceived as u32)))
    }

    /// Milliseconds since the first SYN, which `tcp_connect` stamps. A SYN that waits for data (Fast Open) has none.
    #[inline(always)]
    fn since_syn_ms(self, now_ns: u64) -> u32 {
        if load!(self.tcp, SegsOut as u32) == 0 {
            return 0;
        }
        let stamp: u32 = load!(self.tcp, SynSent as u32);
        let since_ms = if load_bit!(self.tcp, MicrosecondStamps) == 0 {
            since((now_ns / MILLISECOND_NS) as u32, stamp)
        } else {
            since((now_ns / 1000) as u32, stamp) / 1000
        };
        less_rounding(since_ms.into())
    }

    /// Milliseconds since the last segment.
    #[inline(always)]
    fn since_segment_ms(self, now_ns: u64) -> u32 {
        let stamp_us: u64 = load!(self.tcp, LastSegment as u64);
        let now_us = now_ns / 1000;
        if stamp_us == 0 || stamp_us > now_us { 0 } else { less_rounding((now_us - stamp_us) / 1000) }
    }
}

/// Units from a stamp to now; 0 if it was never set, or has just been.
#[inline(always)]
fn since(now: u32, stamp: u32) -> u32 {
    let units = now.wrapping_sub(stamp);
    if stamp == 0 || units > i32::MAX as u32 { 0 } else { units }
}

/// Jiffies as milliseconds.
#[inline(always)]
fn jiffies_ms(jiffies: u32) -> u32 {
    // The stamp may be up to a jiffy older than it says.
    less_rounding(u64::from(jiffies.saturating_sub(1)) * tick_ns() / MILLISECOND_NS)
}

/// Without what rounding has added, at most 2^32 - 1.
#[inline(always)]
fn less_rounding(ms: u64) -> u32 {
    let ms = ms.saturating_sub(1);
    if ms > u64::from(u32::MAX) { u32::MAX } else { ms as u32 }
}

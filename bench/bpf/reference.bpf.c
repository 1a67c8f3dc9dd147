// The reference that tracer's kernel program is compared with: hand-written C on the same hook copies the
// same facts into a ring buffer of the same size, with the same wakeups.

#include "vmlinux.h"
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "event.h"

#define AF_INET 2
#define SHUTDOWN_MASK 3

// The reader sets these to what tracer uses.
const volatile __u64 WAKE_BYTES = 4096;
const volatile __u64 PAUSE_NS = 0;
const volatile __u64 RECORD_SIZE = 0;

__u64 last_wake_ns;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096); // the reader sets the size
} EVENTS SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} LOST SEC(".maps");

static __always_inline void count_lost(void)
{
	__u32 first = 0;
	__u64 *lost = bpf_map_lookup_elem(&LOST, &first);

	if (lost)
		__sync_fetch_and_add(lost, 1); // a softirq may interrupt a task here
}

static __always_inline __u64 wakeup(__u64 now_ns)
{
	__u64 waiting;

	if (now_ns - *(volatile __u64 *)&last_wake_ns <= PAUSE_NS) {
		waiting = bpf_ringbuf_query(&EVENTS, BPF_RB_AVAIL_DATA);
		if ((waiting & (WAKE_BYTES - 1)) >= RECORD_SIZE || waiting < WAKE_BYTES)
			return BPF_RB_NO_WAKEUP;
	}
	*(volatile __u64 *)&last_wake_ns = now_ns;
	return BPF_RB_FORCE_WAKEUP;
}

static __always_inline void copy_ends(struct event *event, struct sock *sk, struct tcp_sock *tcp)
{
	struct sock_common *common = &sk->__sk_common;

	event->family = common->skc_family;
	event->local_port = bpf_ntohs(tcp->inet_conn.icsk_inet.inet_sport);
	event->remote_port = bpf_ntohs(common->skc_dport);
	if (common->skc_family == AF_INET) {
		event->local_addr[0] = event->remote_addr[0] = 0;
		event->local_addr[1] = event->remote_addr[1] = 0;
		event->local_addr[2] = event->remote_addr[2] = bpf_htonl(0xffff);
		event->local_addr[3] = common->skc_rcv_saddr;
		event->remote_addr[3] = common->skc_daddr;
		return;
	}
	for (int word = 0; word < 4; word++) {
		event->local_addr[word] = common->skc_v6_rcv_saddr.in6_u.u6_addr32[word];
		event->remote_addr[word] = common->skc_v6_daddr.in6_u.u6_addr32[word];
	}
}

static __always_inline __u32 distance(__u32 from, __u32 to)
{
	return (__s32)(to - from) < 0 ? 0 : to - from;
}

static __always_inline void copy_queues(struct event *event, struct sock *sk, struct tcp_sock *tcp,
					int old_state, int new_state)
{
	if (new_state == TCP_LISTEN || (old_state == TCP_LISTEN && new_state == TCP_CLOSE)) {
		event->recv_queue = sk->sk_ack_backlog;
		event->send_queue = sk->sk_max_ack_backlog;
	} else if (new_state == TCP_SYN_SENT || old_state == TCP_LISTEN) {
		event->recv_queue = event->send_queue = 0; // the sequence numbers are not the connection's yet
	} else {
		event->recv_queue = distance(tcp->copied_seq, tcp->rcv_nxt);
		event->send_queue = distance(tcp->snd_una, tcp->write_seq);
	}
}

static __always_inline __u16 flags(struct sock *sk, struct tcp_sock *tcp, int new_state)
{
	unsigned long kernel = sk->__sk_common.skc_flags;
	__u16 flags = 0;

	if (sk->sk_lock.owned)
		flags |= FLAG_OWNED;
	if (kernel & (1 << SOCK_DONE))
		flags |= FLAG_DONE;
	if (kernel & (1 << SOCK_DEAD))
		flags |= FLAG_DEAD;
	if ((kernel & (1 << SOCK_LINGER)) && !sk->sk_lingertime)
		flags |= FLAG_LINGER_ZERO;
	if (kernel & (1 << SOCK_KEEPOPEN))
		flags |= FLAG_KEEPALIVE;
	if (!tcp->segs_out)
		flags |= FLAG_UNSENT;
	if (new_state == TCP_SYN_SENT && !sk->__sk_common.skc_num)
		flags |= FLAG_UNBOUND;
	return flags;
}

static __always_inline __u32 mptcp_token(struct tcp_sock *tcp)
{
	struct mptcp_subflow_context *context;
	struct mptcp_sock *connection = NULL;
	__u32 token = 0;

	if (!tcp->is_mptcp)
		return 0;
	context = tcp->inet_conn.icsk_ulp_data;
	bpf_probe_read_kernel(&connection, sizeof(connection), &context->conn);
	bpf_probe_read_kernel(&token, sizeof(token), &connection->token);
	return token;
}

static __always_inline __u32 idle_jiffies(struct tcp_sock *tcp)
{
	__u32 now = bpf_jiffies64();
	__u32 since_sent = now - tcp->lsndtime;
	__u32 since_received = now - tcp->inet_conn.icsk_ack.lrcvtime;

	return since_sent < since_received ? since_sent : since_received;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(inet_sock_set_state, struct sock *sk, int old_state, int new_state)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);
	struct task_struct *leader;
	struct event *event;
	__u64 pid_tgid;

	if (!tcp)
		return 0; // MPTCP or SCTP
	event = bpf_ringbuf_reserve(&EVENTS, sizeof(*event), 0);
	if (!event) {
		count_lost();
		return 0;
	}
	leader = bpf_get_current_task_btf()->group_leader;
	pid_tgid = bpf_get_current_pid_tgid();
	event->time_ns = bpf_ktime_get_ns();
	event->cookie = bpf_get_socket_cookie(tcp);
	event->cgroup = sk->sk_cgrp_data.cgroup->kn->id;
	event->bytes_acked = tcp->bytes_acked;
	event->bytes_received = tcp->bytes_received;
	event->netns_cookie = sk->__sk_common.skc_net.net->net_cookie;
	copy_ends(event, sk, tcp);
	event->comm[0] = ((__u64 *)leader->comm)[0];
	event->comm[1] = ((__u64 *)leader->comm)[1];
	event->pid = pid_tgid >> 32;
	event->tid = pid_tgid;
	event->netns = sk->__sk_common.skc_net.net->ns.inum;
	event->uid = sk->sk_uid.val;
	event->srtt_us = tcp->srtt_us >> 3;
	event->retransmits = tcp->total_retrans;
	copy_queues(event, sk, tcp, old_state, new_state);
	event->ifindex = sk->__sk_common.skc_bound_dev_if;
	event->mptcp_token = mptcp_token(tcp);
	event->idle_jiffies = new_state == TCP_CLOSE ? idle_jiffies(tcp) : 0;
	event->linger2 = tcp->linger2;
	event->error = sk->sk_err;
	event->cpu = bpf_get_smp_processor_id();
	event->flags = flags(sk, tcp, new_state);
	event->old_state = old_state;
	event->new_state = new_state;
	event->shutdown = sk->sk_shutdown & SHUTDOWN_MASK;
	event->reserved = 0;
	bpf_ringbuf_submit(event, wakeup(event->time_ns));
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

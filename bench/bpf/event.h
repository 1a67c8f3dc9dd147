// tracer_common::Event in C. The reader checks the size of every record.

struct event {
	__u64 time_ns;
	__u64 cookie;
	__u64 cgroup;
	__u64 bytes_acked;
	__u64 bytes_received;
	__u64 netns_cookie;
	__u32 local_addr[4];
	__u32 remote_addr[4];
	__u64 comm[2];
	__u32 pid;
	__u32 tid;
	__u32 netns;
	__u32 uid;
	__u32 srtt_us;
	__u32 retransmits;
	__u32 recv_queue;
	__u32 send_queue;
	__u32 ifindex;
	__u32 mptcp_token;
	__u32 idle_jiffies;
	__s32 linger2;
	__u16 error;
	__u16 cpu;
	__u16 local_port;
	__u16 remote_port;
	__u8 family;
	__u8 old_state;
	__u8 new_state;
	__u8 shutdown;
	__u16 reserved;
	__u16 flags;
};

_Static_assert(sizeof(struct event) == 160, "as long as tracer's");

enum {
	FLAG_OWNED = 1 << 0,
	FLAG_DONE = 1 << 1,
	FLAG_DEAD = 1 << 2,
	FLAG_LINGER_ZERO = 1 << 3,
	FLAG_KEEPALIVE = 1 << 4,
	FLAG_UNBOUND = 1 << 6,
	FLAG_UNSENT = 1 << 7,
};

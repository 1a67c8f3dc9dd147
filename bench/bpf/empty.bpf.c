// The empty program: what a program on the hook costs before it does anything.

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(inet_sock_set_state, struct sock *sk, int old_state, int new_state)
{
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

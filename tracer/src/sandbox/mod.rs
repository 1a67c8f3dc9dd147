//! What this process gives up once it has all that it needs: a fault in it is then of less use to others.
//!
//! # Layout
//! - [`calls`]: system calls (seccomp, Linux 3.5)
//! - [`files`]: files, where those of other processes are not needed (Landlock, Linux 5.13)
//!
//! Both are for good, and for all threads. Neither needs a privilege. `--no-sandbox` leaves them away.

pub mod calls;
pub mod files;

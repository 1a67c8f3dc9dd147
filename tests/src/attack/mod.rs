//! Attacks: tracer in hostile situations. Each case runs the real binary, and the same is checked after each.
//!
//! # Layout
//! - [`axes`]: the kinds of attack, a file for each; to add one, write its cases and name it there
//! - [`case`]: a case of an axis; [`run`]: what most cases are, one run of tracer
//! - [`judge`]: what has to hold after a run; [`text`] and [`left`]: of it, the output and what stays in the
//!   kernel; `hostile`: text that must not be printed as it is
//! - [`sandbox`], [`cgroup`]: what is done to the process before tracer begins; [`sink`]: where it writes to
//! - `child`: starts the process, and waits for its end; [`ended`]: how it ended
//! - [`binary`]: a copy of tracer that every user may run
//! - [`campaign`]: runs the cases that are asked for, and reports

pub mod axes;
pub mod binary;
pub mod campaign;
pub mod case;
pub mod cgroup;
mod child;
pub mod ended;
pub mod hostile;
pub mod judge;
pub mod left;
pub mod run;
pub mod sandbox;
pub mod sink;
pub mod text;

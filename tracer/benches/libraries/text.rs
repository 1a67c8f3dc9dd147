//! Writes numbers, times and addresses as text, each into a line of its own.

use std::{
    hint::black_box,
    io::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use criterion::{BenchmarkGroup, Criterion, Throughput, measurement::WallTime};
use fastrand::Rng;
use tracer::text::{
    line::Line,
    number::{push_addr, push_micros, push_nine, push_uint},
};

/// Values of each kind.
const VALUES: usize = 1000;

/// A buffer for the longest value.
type Room = [u8; 64];

pub(crate) fn all(criterion: &mut Criterion) {
    let mut random = Rng::with_seed(7);
    // Short numbers are ports, process ids and sizes; long ones are cookies, cgroups and times.
    for (name, digits) in [("numbers of 1 to 6 digits", 1..=6), ("numbers of 7 to 20 digits", 7..=20)] {
        let values = from(|| {
            let digits = random.u32(digits.clone());
            random.u64(10_u64.pow(digits - 1)..=10_u64.checked_pow(digits).map_or(u64::MAX, |next| next - 1))
        });
        numbers(criterion.benchmark_group(name), &values);
    }
    let values = from(|| {
        let most = 10_u64.pow(random.u32(4..=12));
        random.u64(1000..most)
    });
    microseconds(criterion.benchmark_group("microseconds"), &values);
    nine_digits(criterion.benchmark_group("nine digits"), &from(|| random.u64(0..1_000_000_000)));
    v4(criterion.benchmark_group("IPv4 addresses"), &from(|| Ipv4Addr::from(random.u32(..))));
    // Half of the groups are zero, as in real addresses.
    let group = |random: &mut Rng| if random.bool() { 0 } else { random.u16(..) };
    let values = from(|| Ipv6Addr::from([0; 8].map(|_: u16| group(&mut random))));
    v6(criterion.benchmark_group("IPv6 addresses"), &values);
}

fn from<T>(value: impl FnMut() -> T) -> Vec<T> {
    std::iter::repeat_with(value).take(VALUES).collect()
}

type Group<'a> = BenchmarkGroup<'a, WallTime>;

/// Measures how long `write` takes for all values.
fn each<T: Copy>(group: &mut Group<'_>, name: &str, values: &[T], write: impl Fn(T, &mut Room)) {
    group.throughput(Throughput::Elements(values.len() as u64));
    group.bench_function(name, |bencher| {
        let mut room = [0; 64];
        bencher.iter(|| {
            for value in values {
                write(*value, black_box(&mut room));
                black_box(&room);
            }
        });
    });
}

fn numbers(mut group: Group<'_>, values: &[u64]) {
    each(&mut group, "lexical-core, as in tracer", values, |value, room| {
        _ = black_box(push_uint(Line::new(room), value).len());
    });
    each(&mut group, "itoa", values, |value, room| {
        let line = Line::new(room).push_all(itoa::Buffer::new().format(value).as_bytes());
        black_box(line.len());
    });
    each(&mut group, "write!", values, |value, room| write!(&mut room[..], "{value}").unwrap());
}

/// Nanoseconds as microseconds, with as many decimals as needed, as in JSON.
fn microseconds(mut group: Group<'_>, values: &[u64]) {
    each(&mut group, "tracer", values, |ns, room| _ = black_box(push_micros(Line::new(room), ns).len()));
    each(&mut group, "zmij", values, |ns, room| {
        let mut buffer = zmij::Buffer::new();
        let line = Line::new(room).push_all(buffer.format_finite(ns as f64 / 1000.0).as_bytes());
        black_box(line.len());
    });
    each(&mut group, "write!", values, |ns, room| write!(&mut room[..], "{:?}", ns as f64 / 1000.0).unwrap());
}

/// Nine digits with leading zeros. Of the others only `write!` can do that, so lexical-core writes a one in
/// front.
fn nine_digits(mut group: Group<'_>, values: &[u64]) {
    each(&mut group, "tracer", values, |value, room| _ = black_box(push_nine(Line::new(room), value).len()));
    each(&mut group, "lexical-core", values, |value, room| {
        let mut digits = [0; 20];
        let digits = &lexical_core::write(1_000_000_000 + value, &mut digits)[1..];
        black_box(Line::new(room).push_all(digits).len());
    });
    each(&mut group, "write!", values, |value, room| write!(&mut room[..], "{value:09}").unwrap());
}

fn v4(mut group: Group<'_>, values: &[Ipv4Addr]) {
    each(&mut group, "tracer", values, |addr, room| {
        black_box(push_addr(Line::new(room), IpAddr::V4(addr)).len());
    });
    each(&mut group, "ipv4-display", values, |addr, room| {
        write!(&mut room[..], "{}", ipv4_display::Ipv4AddrDisplay::new(addr)).unwrap();
    });
    each(&mut group, "write!", values, |addr, room| write!(&mut room[..], "{addr}").unwrap());
}

fn v6(mut group: Group<'_>, values: &[Ipv6Addr]) {
    each(&mut group, "tracer", values, |addr, room| {
        black_box(push_addr(Line::new(room), IpAddr::V6(addr)).len());
    });
    each(&mut group, "write!", values, |addr, room| write!(&mut room[..], "{addr}").unwrap());
}

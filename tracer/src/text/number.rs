//! Numbers and addresses as text, without the standard library's formatting: at a million lines a second
//! that costs more than all the rest. Numbers are a library's work; what has leading zeros, a point or
//! dots no library writes as fast as these tables, see docs/dependencies.md.

// What is cast are digits, or has been found small enough.
#![allow(clippy::cast_possible_truncation)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lexical_core::FormattedSize as _;

use crate::text::line::Line;

/// `00` to `99`, the first digit in the lower byte.
static PAIRS: [u16; 100] = {
    let mut pairs = [0; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = u16::from_le_bytes([b'0' + (number / 10) as u8, b'0' + (number % 10) as u8]);
        number += 1;
    }
    pairs
};

/// `0.` to `255.`, and how many of the four bytes count.
static OCTETS: [([u8; 4], u8); 256] = {
    let mut octets = [([0; 4], 0); 256];
    let mut number = 0;
    while number < 256 {
        let digits =
            [b'0' + (number / 100) as u8, b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8];
        octets[number] = match number {
            0..10 => ([digits[2], b'.', 0, 0], 2),
            10..100 => ([digits[1], digits[2], b'.', 0], 3),
            _ => ([digits[0], digits[1], digits[2], b'.'], 4),
        };
        number += 1;
    }
    octets
};

/// A number.
#[inline]
pub fn push_uint<const N: usize>(line: Line<'_, N>, number: u64) -> Line<'_, N> {
    type Room = [u8; u64::FORMATTED_SIZE_DECIMAL];
    line.push_with(|room: &mut Room| lexical_core::write(number, room).len())
}

/// How long a number is.
#[must_use]
#[inline]
pub fn uint_len(number: u64) -> usize {
    number.checked_ilog10().unwrap_or_default() as usize + 1
}

/// The last two digits of a number, with a leading zero.
#[inline]
pub fn push_two<const N: usize>(line: Line<'_, N>, number: u64) -> Line<'_, N> {
    line.push_first(&pair(number), 2)
}

/// The last three.
#[inline]
pub fn push_three<const N: usize>(line: Line<'_, N>, number: u64) -> Line<'_, N> {
    let [tens, ones] = pair(number);
    line.push_first(&[b'0' + (number / 100 % 10) as u8, tens, ones], 3)
}

/// The last six.
#[inline]
pub fn push_six<const N: usize>(line: Line<'_, N>, number: u64) -> Line<'_, N> {
    push_two(push_two(push_two(line, number / 10_000), number / 100), number)
}

/// The last nine.
#[inline]
pub fn push_nine<const N: usize>(line: Line<'_, N>, number: u64) -> Line<'_, N> {
    push_six(push_three(line, number / 1_000_000), number)
}

#[inline]
fn pair(number: u64) -> [u8; 2] {
    PAIRS[(number % 100) as usize].to_le_bytes()
}

/// Nanoseconds as microseconds, with as many digits behind the point as it takes, and at least one:
/// what JSON calls a number.
#[inline]
pub fn push_micros<const N: usize>(line: Line<'_, N>, ns: u64) -> Line<'_, N> {
    let line = push_uint(line, ns / 1000);
    let rest = ns % 1000;
    let [tens, ones] = pair(rest);
    let count = match (tens, ones) {
        (b'0', b'0') => 2,
        (_, b'0') => 3,
        _ => 4,
    };
    line.push_first(&[b'.', b'0' + (rest / 100) as u8, tens, ones], count)
}

/// An address, as RFC 5952 writes it.
pub fn push_addr<const N: usize>(line: Line<'_, N>, addr: IpAddr) -> Line<'_, N> {
    match addr {
        IpAddr::V4(addr) => push_v4(line, addr),
        IpAddr::V6(addr) => push_v6(line, addr),
    }
}

/// An IPv4 address.
#[inline]
pub fn push_v4<const N: usize>(line: Line<'_, N>, addr: Ipv4Addr) -> Line<'_, N> {
    let octets = addr.octets().map(|octet| OCTETS[usize::from(octet)]);
    let line = octets.iter().fold(line, |line, (digits, count)| line.push_first(digits, usize::from(*count)));
    // Without the last dot.
    let len = line.len().saturating_sub(1);
    line.truncated(len)
}

/// An IPv6 address, as RFC 5952 writes it.
pub fn push_v6<const N: usize>(mut line: Line<'_, N>, addr: Ipv6Addr) -> Line<'_, N> {
    if let Some(mapped) = addr.to_ipv4_mapped() {
        return push_v4(line.push_first(b"::ffff:", 7), mapped);
    }
    let groups = addr.segments();
    let (begin, end) = longest_zeros(&groups);
    let mut index = 0;
    while index < groups.len() {
        if index == begin {
            line = line.push_first(b"::", 2);
            index = end;
            continue;
        }
        if index > 0 && index != end {
            line = line.push(b':');
        }
        line = push_hex(line, groups[index]);
        index += 1;
    }
    line
}

/// From where to where the longest run of zeros lies; the first of several, and none of a single
/// group: RFC 5952, 4.2.2 and 4.2.3.
fn longest_zeros(groups: &[u16; 8]) -> (usize, usize) {
    let mut longest = (groups.len(), groups.len());
    let mut begin = 0;
    for (index, group) in groups.iter().enumerate() {
        if *group != 0 {
            begin = index + 1;
        } else if index + 1 - begin > longest.1 - longest.0 {
            longest = (begin, index + 1);
        }
    }
    if longest.1 - longest.0 > 1 { longest } else { (groups.len(), groups.len()) }
}

/// A group without leading zeros.
fn push_hex<const N: usize>(line: Line<'_, N>, group: u16) -> Line<'_, N> {
    let digits = [group >> 12, group >> 8 & 0xf, group >> 4 & 0xf, group & 0xf]
        .map(|digit| b"0123456789abcdef"[usize::from(digit)]);
    let zeros = (group.leading_zeros() as usize / 4).min(3);
    line.push_all(&digits[zeros..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(push: impl FnOnce(Line<'_, 64>) -> Line<'_, 64>) -> String {
        String::from_utf8(push(Line::new(&mut [0; 64])).as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn every_octet_has_its_place() {
        for octet in 0..=255 {
            let addr = Ipv4Addr::new(octet, 255 - octet, octet, octet);
            assert_eq!(text(|line| push_addr(line, addr.into())), addr.to_string());
        }
    }

    #[test]
    fn no_length_is_off_by_one() {
        assert_eq!(uint_len(0), 1);
        for power in 0..20 {
            let power = 10_u64.pow(power);
            for number in [power - 1, power, power + 1] {
                assert_eq!(text(|line| push_uint(line, number)), number.to_string());
            }
        }
        assert_eq!(text(|line| push_uint(line, u64::MAX)), u64::MAX.to_string());
    }

    proptest! {
        #[test]
        // Of all lengths.
        fn numbers_are_what_the_library_makes_of_them(number: u64, shift in 0_u32..64) {
            let number = number >> shift;
            let last = |digits| number % 10_u64.pow(digits);
            prop_assert_eq!(text(|line| push_uint(line, number)), number.to_string());
            prop_assert_eq!(uint_len(number), number.to_string().len());
            prop_assert_eq!(text(|line| push_two(line, number)), format!("{:02}", last(2)));
            prop_assert_eq!(text(|line| push_three(line, number)), format!("{:03}", last(3)));
            prop_assert_eq!(text(|line| push_six(line, number)), format!("{:06}", last(6)));
            prop_assert_eq!(text(|line| push_nine(line, number)), format!("{:09}", last(9)));
        }

        #[test]
        // Exact in the library's floats, too, up to this number.
        #[allow(clippy::cast_precision_loss)]
        fn microseconds_are_what_the_library_makes_of_them(ns in 0..1_u64 << 52) {
            prop_assert_eq!(text(|line| push_micros(line, ns)), format!("{:?}", ns as f64 / 1000.0));
        }

        #[test]
        // Many zeros, which is what the shortest form is about.
        fn addresses_are_what_the_library_makes_of_them(
            groups in prop::array::uniform8(prop_oneof![2 => Just(0_u16), 1 => any::<u16>(), 1 => 0_u16..300]),
            v4: u32,
        ) {
            let v6 = Ipv6Addr::from(groups);
            for addr in [v6.into(), IpAddr::V4(v4.into()), Ipv4Addr::from(v4).to_ipv6_mapped().into()] {
                prop_assert_eq!(text(|line| push_addr(line, addr)), addr.to_string());
            }
        }
    }
}

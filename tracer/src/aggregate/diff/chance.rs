//! How likely chance alone is: probabilities that tests of statistics need.

/// Terms of a sum that are smaller than this part of it are left out.
const NEGLIGIBLE: f64 = 1e-17;

/// Steps of a continued fraction, at most.
const STEPS: u32 = 2_000;

/// More degrees of freedom make no difference.
const MOST_FREEDOM: f64 = 1e4;

/// Coefficients of Lanczos' approximation with g = 7 and nine terms (Godfrey): the relative error is below 1e-14.
const LANCZOS: [f64; 9] = [
    0.999_999_999_999_809_9,
    676.520_368_121_885_1,
    -1_259.139_216_722_402_8,
    771.323_428_777_653_1,
    -176.615_029_162_140_6,
    12.507_343_278_686_905,
    -0.138_571_095_265_720_12,
    9.984_369_578_019_572e-6,
    1.505_632_735_149_311_6e-7,
];

/// The logarithm of the gamma function of a positive number.
#[must_use]
pub fn ln_gamma(x: f64) -> f64 {
    let x = x - 1.0;
    let terms =
        LANCZOS[1..].iter().zip(1_u32..).map(|(coefficient, term)| coefficient / (x + f64::from(term)));
    let sum = LANCZOS[0] + terms.sum::<f64>();
    let t = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

/// The regularised incomplete beta function, by its continued fraction (Lentz's method).
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return if x <= 0.0 { 0.0 } else { 1.0 };
    }
    // The fraction converges quickly on this side only.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let ln_front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln();
    let away_from_zero = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let mut numerators = 1.0;
    let mut denominators = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = denominators;
    for step in (1..STEPS).map(f64::from) {
        let even = step * (b - step) * x / ((a + 2.0 * step - 1.0) * (a + 2.0 * step));
        let odd = -(a + step) * (a + b + step) * x / ((a + 2.0 * step) * (a + 2.0 * step + 1.0));
        let before = fraction;
        for coefficient in [even, odd] {
            denominators = 1.0 / away_from_zero(1.0 + coefficient * denominators);
            numerators = away_from_zero(1.0 + coefficient / numerators);
            fraction *= numerators * denominators;
        }
        if (fraction / before - 1.0).abs() < 1e-15 {
            break;
        }
    }
    (ln_front.exp() * fraction / a).clamp(0.0, 1.0)
}

/// The probability that a variable of Student's t distribution is at least so far from 0, on either side.
///
/// ```
/// use tracer::aggregate::diff::chance::student_t;
///
/// assert!((student_t(2.228_139, 10.0) - 0.05).abs() < 1e-6);
/// ```
#[must_use]
pub fn student_t(t: f64, freedom: f64) -> f64 {
    if !t.is_finite() {
        return 0.0;
    }
    let freedom = freedom.min(MOST_FREEDOM);
    incomplete_beta(freedom / 2.0, 0.5, freedom / (freedom + t * t))
}

/// Fisher's exact test on two shares: `count` of `of` on each side. The probability of what is there and of all that
/// is not more likely, given the sums; `None` if there are too many to add up, where an approximation is good
/// enough.
///
/// ```
/// use tracer::aggregate::diff::chance::fisher;
///
/// let tea = fisher((3, 4), (1, 4)).unwrap();
/// assert!((tea - 0.485_714).abs() < 1e-6);
/// ```
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn fisher((a, of_a): (u64, u64), (b, of_b): (u64, u64)) -> Option<f64> {
    /// Tables that are looked at, at most.
    const MOST: u64 = 10_000;
    let drawn = a + b;
    let (least, most) = (drawn.saturating_sub(of_b), drawn.min(of_a));
    if most - least > MOST {
        return None;
    }
    let ln_choose =
        |n: u64, k: u64| ln_gamma(n as f64 + 1.0) - ln_gamma(k as f64 + 1.0) - ln_gamma((n - k) as f64 + 1.0);
    let all = ln_choose(of_a + of_b, drawn);
    let ln_of = |k: u64| ln_choose(of_a, k) + ln_choose(of_b, drawn - k) - all;
    let here = ln_of(a);
    // What is as likely may differ in the last digits.
    let is_extreme = |ln: f64| ln <= here + 1e-7;
    // From each end to the middle, terms grow.
    let from = |way: &mut dyn Iterator<Item = u64>| -> f64 {
        way.map(ln_of).take_while(|ln| is_extreme(*ln)).map(f64::exp).sum()
    };
    let lower = from(&mut (least..=most));
    let sum = if lower > 1.0 - NEGLIGIBLE { 1.0 } else { lower + from(&mut (least..=most).rev()) };
    Some(sum.min(1.0))
}

/// Corrects for many tests at once (Holm, 1979): the probability that chance alone makes any of them look so.
///
/// ```
/// use tracer::aggregate::diff::chance::holm;
///
/// assert_eq!(holm(&[0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02]);
/// ```
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|one, other| p[*one].total_cmp(&p[*other]));
    let mut corrected = vec![1.0; p.len()];
    let mut highest = 0.0_f64;
    for (rank, index) in order.into_iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "there are not so many")]
        let left = (p.len() - rank) as f64;
        highest = highest.max((left * p[index]).min(1.0));
        corrected[index] = highest;
    }
    corrected
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_near(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-9, "{found} {expected}");
    }

    #[test]
    fn gamma_is_that_of_tables() {
        for (x, factorial) in [(1.0, 1.0), (5.0, 24.0), (11.0, 3_628_800.0)] {
            assert!((ln_gamma(x) - f64::ln(factorial)).abs() < 1e-12);
        }
        assert_near(ln_gamma(0.5), std::f64::consts::PI.sqrt().ln());
        assert_near(ln_gamma(1e6), 12_815_504.569_147_882);
    }

    /// Two-sided quantiles of the usual tables; with one and two degrees of freedom there is a closed form.
    #[test]
    fn t_is_that_of_tables() {
        for (t, freedom, p) in
            [(12.706_204_736, 1.0, 0.05), (3.169_272_673, 10.0, 0.01), (1.983_971_519, 100.0, 0.05)]
        {
            assert!((student_t(t, freedom) - p).abs() < 1e-7, "{t} {freedom}");
        }
        let t = 40.0_f64;
        assert_near(student_t(t, 1.0), 1.0 - 2.0 / std::f64::consts::PI * t.atan());
        assert_near(student_t(t, 2.0), 1.0 - t / (2.0 + t * t).sqrt());
        assert_eq!((student_t(0.0, 5.0), student_t(f64::INFINITY, 5.0)), (1.0, 0.0));
    }

    /// The tea of Fisher's lady, and tables with a known result.
    #[test]
    fn fisher_is_that_of_the_books() {
        assert_near(fisher((3, 4), (1, 4)).unwrap(), 34.0 / 70.0);
        // Convictions of twins (Fisher, 1935): 10 of 13 and 2 of 17.
        assert!((fisher((10, 13), (2, 17)).unwrap() - 0.000_536_7).abs() < 1e-7);
        assert_near(fisher((0, 10), (10, 10)).unwrap(), 2.0 / 184_756.0);
        assert_eq!(fisher((0, 5), (0, 7)), Some(1.0));
        assert_eq!(fisher((5, 10), (5, 10)), Some(1.0));
        assert_eq!(fisher((1_000_000, 2_000_000), (1_000_000, 2_000_000)), None);
    }
}

//! Statistics of a few figures.

/// The median: the middle figure, or the mean of the two in the middle.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<_> = figures.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(sorted[sorted.len() / 2 - 1], upper))
}

/// The smallest and the largest figure.
pub(crate) fn range(figures: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    figures.into_iter().fold(None, |range, figure| match range {
        None => Some((figure, figure)),
        Some((least, most)) => Some((figure.min(least), figure.max(most))),
    })
}

/// A confidence interval of at least 95 % for the median, whatever the distribution is. It lies between two
/// of the figures, as far from both ends as the binomial distribution allows. `None` for five figures and
/// fewer.
pub(crate) fn median_interval(figures: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let mut sorted: Vec<_> = figures.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let outside = outside(sorted.len())?;
    Some((*sorted.get(outside)?, *sorted.get(sorted.len() - 1 - outside)?))
}

/// How many of `count` figures may be left out at each end.
fn outside(count: usize) -> Option<usize> {
    let all = i32::try_from(count).ok()?;
    // The probability that at most `below` figures are smaller than the median; for each it is one half.
    let (mut exactly, mut at_most) = (0.5_f64.powi(all), 0.0);
    for below in 0..all {
        at_most += exactly;
        if at_most > 0.025 {
            return usize::try_from(below).ok()?.checked_sub(1);
        }
        exactly *= f64::from(all - below) / f64::from(below + 1);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median([]), None);
    }

    #[test]
    fn intervals_are_those_of_tables() {
        // Tables of the sign test: both ends together at most 5 %.
        for (count, expected) in
            [(5, None), (6, Some(0)), (10, Some(1)), (12, Some(2)), (20, Some(5)), (50, Some(17))]
        {
            assert_eq!(outside(count), expected, "of {count}");
        }
        assert_eq!(median_interval((1..=10).map(f64::from)), Some((2.0, 9.0)));
    }

    #[test]
    fn least_and_most() {
        assert_eq!(range([3.0, 1.0, 2.0]), Some((1.0, 3.0)));
        assert_eq!(range([]), None);
    }
}

"""A small Rust crate with a bug, tests in its sources, in `tests/` and in its documentation, and the right fix."""

from __future__ import annotations

CARGO_TOML = '[package]\nname = "shop"\nversion = "0.1.0"\nedition = "2021"\n\n[features]\nslow = []\n'
CARGO_LOCK = 'version = 3\n\n[[package]]\nname = "shop"\nversion = "0.1.0"\n'
LIB = """\
//! Statistics of plain lists.

pub mod basket;

/// The middle value.
///
/// ```
/// assert_eq!(shop::median(&[3.0, 1.0, 2.0]), 2.0);
/// ```
pub fn median(values: &[f64]) -> f64 {
    let mut ordered = values.to_vec();
    ordered.sort_by(|a, b| a.partial_cmp(b).unwrap());
    let middle = ordered.len() / 2;
    ordered[middle]
}

/// The arithmetic mean.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_of_three() {
        assert_eq!(mean(&[1.0, 2.0, 3.0]), 2.0);
    }

    #[test]
    fn median_odd() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    }

    #[test]
    fn median_even() {
        assert_eq!(median(&[1.0, 2.0, 3.0, 4.0]), 2.5);
        assert_eq!(median(&[7.0, 3.0]), 5.0);
    }
}
"""
BUGGY_LINE = "    ordered[middle]\n"
FIX = """\
    if ordered.len() % 2 == 0 {
        return (ordered[middle - 1] + ordered[middle]) / 2.0;
    }
"""
FIXED = LIB.replace(BUGGY_LINE, FIX + BUGGY_LINE)
BASKET = """\
//! Prices.

use crate::median;

/// The median price.
pub fn typical(prices: &[f64]) -> f64 {
    median(prices)
}
"""
API = """\
use shop::basket::typical;

#[test]
fn typical_of_three() {
    assert_eq!(typical(&[1.0, 9.0, 4.0]), 4.0);
}

#[test]
fn typical_of_two() {
    assert_eq!(typical(&[1.0, 2.0]), 1.5);
}
"""
FILES = {
    "Cargo.toml": CARGO_TOML,
    "Cargo.lock": CARGO_LOCK,
    "README.md": "# shop\n",
    "src/lib.rs": LIB,
    "src/basket.rs": BASKET,
    "tests/api.rs": API,
}
EVEN = "src/lib.rs::tests::median_even"

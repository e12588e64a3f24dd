//! Shamir's secret sharing over GF(2⁸), byte by byte, as HashiCorp Vault and sops do it (sops, shamir/shamir.go): each
//! byte of the secret is the value at 0 of a random polynomial; a share holds the values at one x, and behind them that x.
//!
//! No memory access and no branch depends on a secret: products are computed, not looked up.

use zeroize::Zeroizing;

use super::random::{NoRandomness, fill};

/// There is one share for every x but 0.
pub(super) const MAX_SHARES: usize = 255;

/// One share: the values, and x as the last byte.
pub(super) type Share = Zeroizing<Vec<u8>>;

/// Why a secret cannot be cut into shares, or these cannot be put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShamirError {
    /// Shares of different lengths, or too short ones.
    #[error("the shares of the data key do not have the same length")]
    Length,
    /// Two shares are for the same x, or one is for 0.
    #[error("two shares of the data key are the same")]
    Repeated,
    /// A number of shares that cannot be.
    #[error("a secret is cut into 2 to 255 shares, of which 2 or more put it together")]
    Number,
    /// There were no random bytes to cut with.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// Cuts `secret` into shares of which any `threshold` put it together; the x of share `n`, from 0, is `n + 1`.
pub(super) fn split(secret: &[u8], shares: usize, threshold: usize) -> Result<Vec<Share>, ShamirError> {
    if !(2..=MAX_SHARES).contains(&threshold)
        || !(threshold..=MAX_SHARES).contains(&shares)
        || secret.is_empty()
    {
        return Err(ShamirError::Number);
    }
    let empty = || Zeroizing::new(Vec::with_capacity(secret.len() + 1));
    let mut all: Vec<Share> = std::iter::repeat_with(empty).take(shares).collect();
    // The constant term first. A leading coefficient of 0 is one of 256 that are equally likely, and must stay so.
    let mut polynomial = Zeroizing::new(vec![0; threshold]);
    for byte in secret {
        fill(&mut polynomial)?;
        if let Some(constant) = polynomial.first_mut() {
            *constant = *byte;
        }
        for (share, x) in all.iter_mut().zip(1..=u8::MAX) {
            share.push(evaluate(&polynomial, x));
        }
    }
    for (share, x) in all.iter_mut().zip(1..=u8::MAX) {
        share.push(x);
    }
    Ok(all)
}

/// What the shares make together. Too few of them, or shares of different secrets, give other bytes without an error:
/// only the MAC of the file tells.
pub(super) fn combine(shares: &[&Share]) -> Result<Zeroizing<Vec<u8>>, ShamirError> {
    let (first, rest) = shares.split_first().ok_or(ShamirError::Number)?;
    if rest.is_empty() {
        return Err(ShamirError::Number);
    }
    let length = first.len();
    if length < 2 || rest.iter().any(|share| share.len() != length) {
        return Err(ShamirError::Length);
    }
    // Not secret: an x stands for a group.
    let xs: Vec<u8> = shares.iter().filter_map(|share| share.last().copied()).collect();
    let is_repeated = |(index, x): (usize, &u8)| *x == 0 || xs[..index].contains(x);
    if xs.iter().enumerate().any(is_repeated) {
        return Err(ShamirError::Repeated);
    }
    let weights: Vec<u8> = (0..xs.len()).map(|index| weight(&xs, index)).collect();
    let mut secret = Zeroizing::new(Vec::with_capacity(length - 1));
    for at in 0..length - 1 {
        let sum =
            shares.iter().zip(&weights).fold(0, |sum, (share, weight)| sum ^ multiply(share[at], *weight));
        secret.push(sum);
    }
    Ok(secret)
}

/// Lagrange's basis polynomial of one x, at 0: ∏ xⱼ ÷ (xⱼ − xᵢ).
fn weight(xs: &[u8], index: usize) -> u8 {
    let own = xs[index];
    let others = xs.iter().enumerate().filter(|(other, _)| *other != index);
    others.fold(1, |product, (_, x)| multiply(product, multiply(*x, inverse(*x ^ own))))
}

/// Horner's method.
fn evaluate(polynomial: &[u8], x: u8) -> u8 {
    polynomial.iter().rev().fold(0, |sum, coefficient| multiply(sum, x) ^ coefficient)
}

/// The product in GF(2⁸) modulo x⁸ + x⁴ + x³ + x + 1 (FIPS 197 §4.2), in the same eight steps for all factors.
fn multiply(one: u8, two: u8) -> u8 {
    let (mut product, mut shifted) = (0, one);
    for bit in 0..8 {
        let is_set = 0u8.wrapping_sub((two >> bit) & 1);
        product ^= shifted & is_set;
        let overflows = 0u8.wrapping_sub(shifted >> 7);
        shifted = (shifted << 1) ^ (0x1b & overflows);
    }
    product
}

/// The multiplicative inverse, x²⁵⁴; 0 for 0.
fn inverse(x: u8) -> u8 {
    let mut power = x;
    let mut result = 1;
    // 254 = 0b1111_1110.
    for _ in 0..7 {
        power = multiply(power, power);
        result = multiply(result, power);
    }
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shares(secret: &[u8], number: usize, threshold: usize) -> Vec<Share> {
        split(secret, number, threshold).unwrap()
    }

    fn together(shares: &[Share]) -> Result<Zeroizing<Vec<u8>>, ShamirError> {
        combine(&shares.iter().collect::<Vec<_>>())
    }

    /// FIPS 197 §4.2: {57} · {83} = {c1}, {57} · {13} = {fe}; §4.2.1 with {02}.
    #[test]
    fn products_are_those_of_the_standard() {
        assert_eq!((multiply(0x57, 0x83), multiply(0x57, 0x13), multiply(0x57, 0x02)), (0xc1, 0xfe, 0xae));
    }

    #[test]
    fn it_is_a_field() {
        for a in 0..=255u8 {
            assert_eq!(multiply(a, inverse(a)), u8::from(a != 0));
            for b in 0..=255u8 {
                assert_eq!(multiply(a, b), multiply(b, a));
                assert_eq!(multiply(a, b ^ 0x35), multiply(a, b) ^ multiply(a, 0x35));
            }
        }
    }

    /// Values of y = 7 + 3x + 200x² over the field, computed by hand from the definition.
    #[test]
    fn known_shares_put_a_known_secret_together() {
        let at = |x: u8| Zeroizing::new(vec![7 ^ multiply(3, x) ^ multiply(200, multiply(x, x)), x]);
        assert_eq!(*together(&[at(1), at(2), at(3)]).unwrap(), [7]);
        assert_eq!(*together(&[at(9), at(200), at(31), at(4)]).unwrap(), [7]);
    }

    #[test]
    fn numbers_that_cannot_be_are_refused() {
        for (number, threshold) in [(1, 1), (2, 1), (2, 3), (256, 2), (0, 0)] {
            assert_eq!(split(&[1], number, threshold).unwrap_err(), ShamirError::Number);
        }
        assert_eq!(split(&[], 2, 2).unwrap_err(), ShamirError::Number);
    }

    #[test]
    fn shares_that_do_not_belong_together_are_refused() {
        let share = |bytes: &[u8]| Zeroizing::new(bytes.to_vec());
        assert_eq!(together(&[share(&[1, 1])]), Err(ShamirError::Number));
        assert_eq!(together(&[share(&[1, 1]), share(&[1, 1, 2])]), Err(ShamirError::Length));
        assert_eq!(together(&[share(&[1]), share(&[2])]), Err(ShamirError::Length));
        assert_eq!(together(&[share(&[1, 1]), share(&[2, 1])]), Err(ShamirError::Repeated));
        assert_eq!(together(&[share(&[1, 0]), share(&[2, 1])]), Err(ShamirError::Repeated));
    }

    /// All 256 values at x = 1 are equally likely for a given byte: two runs that differ in the secret alone cannot be
    /// told apart by one share.
    #[test]
    fn one_share_says_nothing_about_the_secret() {
        let mut seen = [[0u32; 256]; 2];
        for (secret, seen) in [0u8, 255].into_iter().zip(&mut seen) {
            let many = shares(&vec![secret; 256 * 64], 2, 2);
            for value in &many[0][..256 * 64] {
                seen[usize::from(*value)] += 1;
            }
        }
        // 64 are expected of each. That one of the 512 counts is further off is less likely than once in 10^10 runs.
        assert!(seen.iter().flatten().all(|count| (10..=130).contains(count)), "{seen:?}");
    }

    proptest! {
        #[test]
        fn any_shares_as_many_as_the_threshold_put_the_secret_together(
            secret in prop::collection::vec(any::<u8>(), 1..40),
            threshold in 2usize..12,
            more in 0usize..12,
            seed in any::<u64>(),
        ) {
            let mut all = shares(&secret, threshold + more, threshold);
            // A rotation and a stride give other selections than the first ones.
            let turn = usize::try_from(seed % 97).unwrap() % all.len();
            all.rotate_left(turn);
            prop_assert_eq!(&*together(&all[..threshold]).unwrap(), &secret);
            all.reverse();
            prop_assert_eq!(&*together(&all).unwrap(), &secret);
        }

        #[test]
        fn one_share_too_few_gives_something_else(secret in prop::collection::vec(any::<u8>(), 16..40), threshold in 3usize..8) {
            let all = shares(&secret, threshold, threshold);
            prop_assert_ne!(&*together(&all[..threshold - 1]).unwrap(), &secret);
        }

        #[test]
        fn every_share_ends_in_its_number(number in 2usize..=255) {
            let all = shares(&[42], number, 2);
            let xs: Vec<usize> = all.iter().map(|part| usize::from(part[1])).collect();
            prop_assert_eq!(xs, (1..=number).collect::<Vec<_>>());
        }
    }
}

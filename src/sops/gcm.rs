//! Opening AES-256-GCM with a nonce of any length (NIST SP 800-38D §7). sops reads every length, while the cipher that
//! writes has its length in its type. Nothing is ever sealed here.

use aes_gcm::aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use aes_gcm::aes::{Aes256, Block};
use ghash::GHash;
use ghash::universal_hash::UniversalHash as _;

/// Decrypts `data` in place; `false`, and nothing is touched, where the tag is not that of these bytes.
pub(super) fn open(key: &[u8; 32], nonce: &[u8], additional: &[u8], data: &mut [u8], tag: [u8; 16]) -> bool {
    let cipher = Aes256::new(key.into());
    let encrypted = |block: [u8; 16]| {
        let mut block = Block::from(block);
        cipher.encrypt_block(&mut block);
        u128::from_be_bytes(block.into())
    };
    let hash_key = encrypted([0; 16]).to_be_bytes();
    let hash = |first: &[u8], second: &[u8], lengths: [usize; 2]| {
        let mut hash = GHash::new(&hash_key.into());
        hash.update_padded(first);
        hash.update_padded(second);
        let [one, two] = lengths.map(|bytes| 8 * bytes as u128);
        hash.update(&[Block::from(((one << 64) | two).to_be_bytes())]);
        u128::from_be_bytes(hash.finalize().into())
    };
    // J0 of the standard: the block before the first counter.
    let start = match nonce.try_into() {
        Ok::<[u8; 12], _>(nonce) => {
            let mut block = [0; 16];
            block[..12].copy_from_slice(&nonce);
            u128::from_be_bytes(block) | 1
        }
        Err(_) => hash(nonce, &[], [0, nonce.len()]),
    };
    let expected = hash(additional, data, [additional.len(), data.len()]) ^ encrypted(start.to_be_bytes());
    // One comparison of two numbers: how long it takes says nothing about their bytes.
    if expected ^ u128::from_be_bytes(tag) != 0 {
        return false;
    }
    let mut block = start.to_be_bytes();
    for chunk in data.chunks_mut(16) {
        // The last 32 bits count by themselves.
        let counter = u32::from_be_bytes([block[12], block[13], block[14], block[15]]).wrapping_add(1);
        block[12..].copy_from_slice(&counter.to_be_bytes());
        let stream = encrypted(block).to_be_bytes();
        chunk.iter_mut().zip(stream).for_each(|(byte, key)| *byte ^= key);
    }
    true
}

#[cfg(test)]
mod tests {
    use aes_gcm::aead::consts::{U12, U32, U40};
    use aes_gcm::aead::{Aead as _, Payload, array::ArraySize};
    use aes_gcm::{AesGcm, Nonce};

    use super::*;

    fn round_trip<N: ArraySize>(text: &[u8]) {
        let (key, nonce) = ([7; 32], Nonce::<N>::from_fn(|_| 0xfe));
        let cipher = AesGcm::<Aes256, N>::new(&key.into());
        let mut data = cipher.encrypt(&nonce, Payload { msg: text, aad: b"a:" }).unwrap();
        let tag: [u8; 16] = data.split_off(text.len()).try_into().unwrap();
        let mut opened = data.clone();
        assert!(open(&key, &nonce, b"a:", &mut opened, tag));
        assert_eq!(opened, text);
        assert!(!open(&key, &nonce, b"b:", &mut data, tag));
        assert!(!open(&key, &nonce[1..], b"a:", &mut data, tag));
        assert_ne!(data, opened);
    }

    #[test]
    fn what_the_cipher_seals_opens() {
        for text in [&b"x"[..], &[1; 16], &[2; 100]] {
            round_trip::<U12>(text);
            round_trip::<U32>(text);
            round_trip::<U40>(text);
        }
    }
}

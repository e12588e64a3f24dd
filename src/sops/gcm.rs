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
    use aes_gcm::aead::consts::{U1, U12, U16, U17, U32, U40};
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
            round_trip::<U1>(text);
            round_trip::<U12>(text);
            round_trip::<U16>(text);
            round_trip::<U17>(text);
            round_trip::<U32>(text);
            round_trip::<U40>(text);
        }
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().map(|digit| (digit as char).to_digit(16).unwrap() as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// Test cases 16, 17 and 18 of McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B: AES-256 with nonces
    /// of 96, 64 and 480 bits.
    #[test]
    fn the_test_cases_of_the_mode_s_authors_open() {
        let key: [u8; 32] = bytes(&"feffe9928665731c6d6a8f9467308308".repeat(2)).try_into().unwrap();
        let plain = bytes(concat!(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72",
            "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
        ));
        let additional = bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let cases = [
            (
                "cafebabefacedbaddecaf888",
                "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
                "76fc6ece0f4e1768cddf8853bb2d551b",
            ),
            (
                "cafebabefacedbad",
                "c3762df1ca787d32ae47c13bf19844cbaf1ae14d0b976afac52ff7d79bba9de0feb582d33934a4f0954cc2363bc73f7862ac430e64abe499f47c9b1f",
                "3a337dbf46a792c45e454913fe2ea8f2",
            ),
            (
                "9313225df88406e555909c5aff5269aa6a7a9538534f7da1e4c303d2a318a728c3c0c95156809539fcf0e2429a6b525416aedbf5a0de6a57a637b39b",
                "5a8def2f0c9e53f1f75d7853659e2a20eeb2b22aafde6419a058ab4f6f746bf40fc0c3b780f244452da3ebf1c5d82cdea2418997200ef82e44ae7e3f",
                "a44a8266ee1c8eb0c8b5d4cf5ae9f19a",
            ),
        ];
        for (nonce, data, tag) in cases {
            let (nonce, mut data) = (bytes(nonce), bytes(data));
            let tag: [u8; 16] = bytes(tag).try_into().unwrap();
            assert!(open(&key, &nonce, &additional, &mut data, tag), "{} bytes", nonce.len());
            assert_eq!(data, plain);
            assert!(!open(&key, &nonce, &additional[1..], &mut data, tag));
        }
    }
}

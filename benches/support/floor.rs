//! What no program can do without, measured in this process: the data key is unwrapped once, every value is decrypted
//! once and the new one encrypted, the text is read, written and flushed once.

use std::path::Path;
use std::time::{Duration, Instant};

use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::aes::Aes256;
use aes_gcm::aes::cipher::consts::U32;
use aes_gcm::{AesGcm, Nonce};
use provision::repo::write::{NewFile, replace};
use provision::sops::{Encrypted, Format, Identities};

use crate::measure::{Compared, median, milliseconds};

const RUNS: usize = 7;

/// Prints the parts of the floor, and how many times it our run is.
pub(crate) fn report(file: &[u8], identities: &Identities, folder: &Path, row: &Compared) {
    let sample = Unwrapped::new();
    let unwrap = timed(|| sample.unwrap());
    let ciphers = Ciphers(lengths(file));
    let values = timed(|| ciphers.run());
    let write = timed(|| replace(&folder.join("floor.yaml"), file, NewFile::Ordinary).unwrap());
    let floor = unwrap + values + write;
    println!(
        "  floor: X25519 {:.2} ms + AES-GCM of {} values {:.1} ms + durable write {:.1} ms = {:.1} ms; ours is {:.1}×",
        milliseconds(unwrap),
        ciphers.0.len(),
        milliseconds(values),
        milliseconds(write),
        milliseconds(floor),
        row.ours.as_secs_f64() / floor.as_secs_f64(),
    );
    let parse = timed(|| drop(Encrypted::parse(Format::Yaml, file).unwrap()));
    let open = timed(|| drop(Encrypted::parse(Format::Yaml, file).unwrap().open(identities).unwrap()));
    println!(
        "  in this process: parse {:.1} ms, parse and open {:.1} ms",
        milliseconds(parse),
        milliseconds(open)
    );
}

fn timed(mut work: impl FnMut()) -> Duration {
    let once = |_| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    median((0..RUNS).map(once))
}

/// A data key in an age file with one stanza.
pub(crate) struct Unwrapped {
    identity: age::x25519::Identity,
    wrapped: Vec<u8>,
}

impl Unwrapped {
    pub(crate) fn new() -> Self {
        let identity = age::x25519::Identity::generate();
        let wrapped = age::encrypt(&identity.to_public(), &[7; 32]).unwrap();
        Self { identity, wrapped }
    }

    /// Takes it out.
    pub(crate) fn unwrap(&self) {
        std::hint::black_box(age::decrypt(&self.identity, &self.wrapped).unwrap());
    }

    /// Puts it into another.
    pub(crate) fn wrap(&self) {
        std::hint::black_box(age::encrypt(&self.identity.to_public(), &[7; 32]).unwrap());
    }
}

/// How many bytes each encrypted value of the file has.
fn lengths(file: &[u8]) -> Vec<usize> {
    let file = Encrypted::parse(Format::Yaml, file).unwrap();
    let data = |leaf: &str| leaf.split_once("data:").and_then(|(_, rest)| rest.find(',')).unwrap_or(0);
    file.leaf_paths().filter_map(|path| file.leaf(&path)).map(|leaf| data(leaf) / 4 * 3).collect()
}

/// Values of these lengths.
pub(crate) struct Ciphers(Vec<usize>);

impl Ciphers {
    /// So many of one length.
    pub(crate) fn new(count: usize, length: usize) -> Self {
        Self(vec![length; count])
    }

    /// Encrypts each, which costs what decrypting costs: the same blocks, the same tag.
    pub(crate) fn run(&self) {
        let cipher = AesGcm::<Aes256, U32>::new(&[7; 32].into());
        let mut bytes = vec![0_u8; self.0.iter().copied().max().unwrap_or(0)];
        for length in &self.0 {
            let data = (&mut bytes[..*length]).into();
            let nonce = Nonce::<U32>::from([3; 32]);
            std::hint::black_box(cipher.encrypt_inout_detached(&nonce, b"key_10000:", data).unwrap());
        }
    }
}

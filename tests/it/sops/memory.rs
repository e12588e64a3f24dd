//! What was in the clear is nowhere in the memory of this process once it is done with. Every writable page is read
//! back: the heap, where all that is freed is overwritten, and the stacks.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use provision::secret::Secret;
use provision::sops::{Alone, Draft, Encrypted, Format, Opened, Path};

use super::workshop::{Workshop, now};

/// Read at once.
const BLOCK: usize = 1 << 20;

/// Covers what is looked for, so that the search does not find itself.
const COVER: u8 = 0x55;

/// A value that nothing else in this process has.
struct Canary {
    covered: Vec<u8>,
}

impl Canary {
    /// The canary, and a value that ends in it.
    fn new() -> (Self, Secret) {
        let random = [getrandom::u64().unwrap(), getrandom::u64().unwrap()];
        // The first bytes of a block that is freed may be overwritten by the allocator, and the first one of the needle
        // is rare, so that the search is quick.
        let value =
            format!("{:<64}ß{:016x}{:016x}", "what the allocator may overwrite", random[0], random[1]);
        let covered = value.as_bytes()[64..].iter().map(|byte| byte ^ COVER).collect();
        (Self { covered }, Secret::new(value))
    }

    /// How often it stands in writable memory.
    fn places(&self) -> usize {
        let memory = File::open("/proc/self/mem").unwrap();
        let mut block = vec![0; BLOCK + self.covered.len()];
        let mut places = 0;
        for (start, end) in writable() {
            let mut at = start;
            while at < end {
                let length = block.len().min(end - at);
                // A page of another thread may be gone by now.
                let read = memory.read_at(&mut block[..length], at as u64).unwrap_or(0);
                let own = block.as_ptr() as usize;
                let own = own..own + block.len();
                places += self.found(&block[..read], at, &own);
                at += BLOCK;
            }
        }
        places
    }

    fn found(&self, block: &[u8], at: usize, own: &std::ops::Range<usize>) -> usize {
        let first = self.covered[0] ^ COVER;
        let mut found = 0;
        for (page, bytes) in block.chunks(4096).enumerate() {
            if !bytes.contains(&first) {
                continue;
            }
            for start in page * 4096..page * 4096 + bytes.len() {
                let here = block[start..].iter().zip(&self.covered);
                let is_here = here.clone().all(|(byte, covered)| byte ^ COVER == *covered);
                // What stands beyond the block is found with the next one.
                let is_whole = here.len() == self.covered.len() && start < BLOCK;
                found += usize::from(is_here && is_whole && !own.contains(&(at + start)));
            }
        }
        found
    }
}

/// Start and end of each part of memory that can be written.
fn writable() -> Vec<(usize, usize)> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let parts = maps.lines().filter_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        let number = |text| usize::from_str_radix(text, 16).ok();
        rest.starts_with("rw").then_some((number(start)?, number(end)?))
    });
    parts.collect()
}

/// A document of each format with the value in every place that takes it.
fn documents(value: &str) -> [(Format, String); 5] {
    [
        (
            Format::Yaml,
            format!(
                "a: {value}\nb: \"{value}\\n\"\nc: |\n  {value}\n# {value}\nd: ['{value}''', {{e: {value}}}]\n"
            ),
        ),
        (Format::Json, format!("{{\"a\": \"{value}\", \"b\": [\"{value}\\n\"]}}\n")),
        (Format::Dotenv, format!("# {value}\na={value}\nb={value}\\n{value}\n")),
        (Format::Ini, format!("[s]\n; {value}\na = {value}\nb = \"{value}\"\n")),
        (Format::Binary, value.to_owned()),
    ]
}

#[test]
fn what_is_sealed_and_opened_is_not_left_in_memory() {
    let (canary, value) = Canary::new();
    let shop = Workshop::new();
    let rule = shop.rule("");
    for (format, text) in documents(value.expose()) {
        let sealed = Draft::parse(format, &text).unwrap().seal(&rule, &Alone, now(), &[]).unwrap();
        drop(text);
        let mut file = opened(format, sealed.bytes(), &shop);
        let paths: Vec<Path> = file.file().leaf_paths().collect();
        for path in &paths {
            assert!(file.get(path).unwrap().unwrap().expose().contains(&value.expose()[64..]));
        }
        // Not every format is shown as a whole.
        drop((file.document(), file.json(&Path::default())));
        file.set(&paths[0], &Secret::new(format!("{}.", value.expose()))).unwrap();
        let set = file.seal(now(), &paths).unwrap();
        let turned = opened(format, set.bytes(), &shop).rotate_data_key(&rule, now(), &paths).unwrap();
        assert!(!turned.plan.is_empty());
    }
    assert_ne!(canary.places(), 0, "the search finds nothing, though the value is still here");
    drop(value);
    assert_eq!(canary.places(), 0);
}

fn opened(format: Format, bytes: &[u8], shop: &Workshop) -> Opened {
    Encrypted::parse(format, bytes).unwrap().open(&shop.identities()).unwrap()
}

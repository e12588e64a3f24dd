//! Work spread over all cores.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Threads for work that waits for the disk.
const WAITING: usize = 16;

/// Does `work` for each number below `count`, and gives the results in that order. Where there is one core, or next to
/// nothing to do, everything happens on this thread.
pub fn on_all<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    // Finding out how many cores there are takes longer than a little work does.
    let cores = if count < 2 { 1 } else { std::thread::available_parallelism().map_or(1, usize::from) };
    on_threads(cores, count, work)
}

/// The same for work that ends with waiting for the disk: a file system flushes many files at once in little more time
/// than one.
pub fn on_all_waiting<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    on_threads(WAITING, count, work)
}

fn on_threads<T: Send>(threads: usize, count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let threads = threads.min(count);
    if threads < 2 {
        return (0..count).map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let share = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return done;
            }
            done.push((number, work(number)));
        }
    };
    let mut all: Vec<(usize, T)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (1..threads).map(|_| scope.spawn(share)).collect();
        let mut all = share();
        for thread in threads {
            match thread.join() {
                Ok(done) => all.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    });
    all.sort_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_however_much_there_is() {
        for count in [0, 1, 2, 1000] {
            let doubled: Vec<usize> = (0..count).map(|number| number * 2).collect();
            assert_eq!(on_all(count, |number| number * 2), doubled);
            assert_eq!(on_all_waiting(count, |number| number * 2), doubled);
        }
    }
}

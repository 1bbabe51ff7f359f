//! Threads that wait for work without sleeping.
//!
//! A training step of a small network has dozens of parallel regions of ten to fifty microseconds each; a pool whose threads sleep
//! in between pays as much to wake them as the work takes. These threads spin for [`SPIN`] after their last task, then
//! park. One region runs at a time; a region that is entered while another runs (from a task, or from another thread) runs on its
//! own thread alone, which changes nothing but the time.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// How long a thread spins before it parks: longer than the gaps inside a training step.
const SPIN: Duration = Duration::from_micros(60);

/// Threads that take part in one region, at most.
const MOST: usize = 64;

/// One parallel region: the tasks that are left and the threads that are done.
///
/// Every thread begins with a block of tasks of its own, the same at every region of the same size, so that what it wrote in
/// one layer is still in its cache in the next; then it helps the others.
struct Region<'a> {
    task: &'a (dyn Fn(usize) + Sync),
    count: usize,
    threads: usize,
    /// Tasks taken from each thread's block.
    taken: [AtomicUsize; MOST],
    done: AtomicUsize,
    panicked: AtomicBool,
}

impl Region<'_> {
    /// Takes tasks until none is left, as thread `me`.
    fn work(&self, me: usize) {
        let result = catch_unwind(AssertUnwindSafe(|| {
            for other in 0..self.threads {
                let block = (me + other) % self.threads;
                let (start, end) = (self.count * block / self.threads, self.count * (block + 1) / self.threads);
                while !self.panicked.load(Ordering::Relaxed) {
                    let i = start + self.taken[block].fetch_add(1, Ordering::Relaxed);
                    if i >= end {
                        break;
                    }
                    (self.task)(i);
                }
            }
        }));
        if result.is_err() {
            self.panicked.store(true, Ordering::Relaxed);
        }
    }
}

/// What a thread of the team shares with whoever has work.
struct Post {
    /// Counts regions; the low 16 bits say how many threads beside the caller take part.
    call: AtomicU64,
    /// The address of the current [`Region`], for the threads that take part.
    region: AtomicUsize,
}

struct Worker {
    thread: Thread,
    parked: Arc<AtomicBool>,
}

static POST: Post = Post { call: AtomicU64::new(0), region: AtomicUsize::new(0) };

/// The threads hired so far. Whoever holds the lock runs a region.
static TEAM: Mutex<Vec<Worker>> = Mutex::new(Vec::new());

/// Runs `task(0..count)` on `threads` threads, the caller among them.
pub(crate) fn run(threads: usize, count: usize, task: &(dyn Fn(usize) + Sync)) {
    let Ok(mut workers) = TEAM.try_lock() else {
        (0..count).for_each(task);
        return;
    };
    let others = threads.min(count).min(MOST).saturating_sub(1);
    while workers.len() < others {
        let Some(worker) = hire(workers.len()) else { break };
        workers.push(worker);
    }
    let others = others.min(workers.len());
    let region = Region {
        task,
        count,
        threads: others + 1,
        taken: [const { AtomicUsize::new(0) }; MOST],
        done: AtomicUsize::new(0),
        panicked: AtomicBool::new(false),
    };
    if others > 0 {
        POST.region.store(std::ptr::from_ref(&region) as usize, Ordering::Relaxed);
        let call = ((POST.call.load(Ordering::Relaxed) >> 16) + 1) << 16 | others as u64;
        // The threads see the region before the call; sequentially consistent with `parked`, so that a thread either
        // sees the call or is seen parked.
        POST.call.store(call, Ordering::SeqCst);
        for worker in &workers[..others] {
            if worker.parked.swap(false, Ordering::SeqCst) {
                worker.thread.unpark();
            }
        }
    }
    region.work(0);
    // The region lives on this stack: wait for all that may look at it.
    let mut spins = 0u32;
    while region.done.load(Ordering::Acquire) < others {
        spins += 1;
        if spins.is_multiple_of(1 << 12) {
            std::thread::yield_now();
        }
        std::hint::spin_loop();
    }
    drop(workers);
    if region.panicked.load(Ordering::Relaxed) {
        resume_unwind(Box::new("a parallel task panicked"));
    }
}

/// A new thread; `None` if the system refuses one.
fn hire(index: usize) -> Option<Worker> {
    let parked = Arc::new(AtomicBool::new(false));
    let flag = parked.clone();
    // It must not miss the first call that counts on it.
    let seen = POST.call.load(Ordering::SeqCst);
    let handle =
        std::thread::Builder::new().name(format!("farfield-{index}")).spawn(move || serve(index, seen, &flag)).ok()?;
    Some(Worker { thread: handle.thread().clone(), parked })
}

/// Waits for calls and takes part in those that want this thread.
fn serve(index: usize, mut seen: u64, parked: &AtomicBool) -> ! {
    loop {
        let call = wait(seen, parked);
        seen = call;
        if index as u64 >= call & 0xffff {
            continue;
        }
        let region = POST.region.load(Ordering::Relaxed) as *const Region<'static>;
        // SAFETY: this call counts on this thread, so `run` keeps the region alive until `done` says otherwise; it was
        // stored before the call that was read with acquire ordering, and no later call can come before that.
        let region = unsafe { &*region };
        region.work(index + 1);
        region.done.fetch_add(1, Ordering::Release);
    }
}

/// The next call after `seen`: spinning first, then parked.
fn wait(seen: u64, parked: &AtomicBool) -> u64 {
    let start = Instant::now();
    let mut spins = 0u32;
    loop {
        let call = POST.call.load(Ordering::SeqCst);
        if call != seen {
            parked.store(false, Ordering::SeqCst);
            return call;
        }
        spins += 1;
        if spins.is_multiple_of(64) && start.elapsed() > SPIN {
            parked.store(true, Ordering::SeqCst);
            if POST.call.load(Ordering::SeqCst) == seen {
                std::thread::park();
            }
        }
        std::hint::spin_loop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once_for_any_number_of_threads() {
        for threads in [1, 2, 5, 3] {
            for count in [0, 1, 2, 7, 1000] {
                let hits: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
                for _ in 0..50 {
                    run(threads, count, &|i| {
                        hits[i].fetch_add(1, Ordering::Relaxed);
                    });
                }
                assert!(hits.iter().all(|h| h.load(Ordering::Relaxed) == 50));
            }
        }
    }

    #[test]
    fn regions_inside_regions_and_on_many_threads() {
        let total = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        run(3, 5, &|_| {
                            run(3, 4, &|_| {
                                total.fetch_add(1, Ordering::Relaxed);
                            })
                        });
                    }
                });
            }
        });
        assert_eq!(total.into_inner(), 4 * 100 * 20);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_team_goes_on() {
        let result = catch_unwind(|| run(3, 10, &|i| assert!(i != 4, "task 4")));
        assert!(result.is_err());
        let sum = AtomicUsize::new(0);
        run(3, 10, &|i| {
            sum.fetch_add(i, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 45);
    }
}

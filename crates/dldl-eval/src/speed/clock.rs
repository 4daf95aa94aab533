//! CPU time, wall-clock time and memory of the running process.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::Milliseconds;

/// CPU time used by the calling thread.
pub(super) fn thread_cpu() -> Duration {
    of(ClockId::ThreadCPUTime)
}

/// CPU time used by all threads of the process.
fn process_cpu() -> Duration {
    of(ClockId::ProcessCPUTime)
}

fn of(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Peak memory of the process so far, on Linux.
pub(super) fn process_peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// Minimum and median of CPU and wall-clock time.
pub(super) struct Times {
    pub cpu: Milliseconds,
    pub wall: Milliseconds,
}

/// Collects the times of several runs.
#[derive(Clone)]
pub(super) struct Stopwatch {
    cpu: Vec<f64>,
    wall: Vec<f64>,
    started: (Duration, Instant),
}

impl Stopwatch {
    pub(super) fn new(runs: usize) -> Self {
        let empty = || Vec::with_capacity(runs);
        Self { cpu: empty(), wall: empty(), started: (Duration::ZERO, Instant::now()) }
    }

    pub(super) fn start(&mut self) {
        self.started = (process_cpu(), Instant::now());
    }

    pub(super) fn stop(&mut self) {
        self.wall.push(self.started.1.elapsed().as_secs_f64() * 1e3);
        self.cpu.push((process_cpu() - self.started.0).as_secs_f64() * 1e3);
    }

    /// Adds a CPU time measured elsewhere.
    pub(super) fn add(&mut self, cpu: Duration) {
        self.cpu.push(cpu.as_secs_f64() * 1e3);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cpu.is_empty()
    }

    pub(super) fn times(mut self) -> Times {
        Times { cpu: summary(&mut self.cpu), wall: summary(&mut self.wall) }
    }
}

fn summary(times: &mut [f64]) -> Milliseconds {
    times.sort_by(f64::total_cmp);
    match times {
        [] => Milliseconds { min: 0.0, median: 0.0 },
        _ => {
            let n = times.len();
            Milliseconds { min: times[0], median: (times[(n - 1) / 2] + times[n / 2]) / 2.0 }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_match_hand_computed_ones() {
        assert_eq!(summary(&mut [3.0, 1.0, 2.0]), Milliseconds { min: 1.0, median: 2.0 });
        assert_eq!(summary(&mut [4.0, 1.0, 2.0, 3.0]), Milliseconds { min: 1.0, median: 2.5 });
    }

    #[test]
    fn work_takes_time() {
        let mut watch = Stopwatch::new(1);
        watch.start();
        std::hint::black_box((0..1_000_000u64).map(std::hint::black_box).sum::<u64>());
        watch.stop();
        let times = watch.times();
        assert!(times.cpu.min > 0.0 && times.wall.min > 0.0);
    }
}

//! Processors: who runs where, and who has used how much.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

/// Ticks of a second in `/proc/stat`.
const TICKS: u64 = 100;

/// This thread, and what it starts, runs on this processor alone, if there is more than one.
pub(crate) fn pin(processor: usize) {
    if std::thread::available_parallelism().is_ok_and(|count| count.get() == 1) && processors() == 1 {
        return;
    }
    // SAFETY: all zero is an empty set, and the pointer is to a live one.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor % processors(), &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set);
    }
}

/// The command will run on this processor alone.
pub(crate) fn pinned(command: &mut Command, processor: usize) -> &mut Command {
    // SAFETY: between fork and exec it makes one system call and takes no lock.
    unsafe {
        command.pre_exec(move || {
            pin(processor);
            Ok(())
        })
    }
}

fn processors() -> usize {
    // SAFETY: takes no pointers.
    let count = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    usize::try_from(count).unwrap_or(1).max(1)
}

/// What all threads of a process have run for, to the nanosecond (the kernel's scheduler keeps it).
pub(crate) fn used(process: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let of = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|ns| ns.parse::<u64>().ok()).unwrap_or(0)
    };
    Duration::from_nanos(tasks.map(of).sum())
}

/// What all processors have been busy for.
pub(crate) fn busy() -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<u64> =
        stat.lines().next().unwrap_or_default().split_whitespace().filter_map(|n| n.parse().ok()).collect();
    // All but idle and waiting for a disk; what guests have used is counted in the first two (proc(5)).
    let busy: u64 =
        fields.iter().enumerate().filter(|(at, _)| !matches!(at, 3 | 4 | 8 | 9)).map(|(_, ticks)| ticks).sum();
    Duration::from_millis(busy * 1_000 / TICKS)
}

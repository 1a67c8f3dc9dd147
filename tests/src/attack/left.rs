//! BPF programs that are left in the kernel though no process holds them. An attached program is held by its link,
//! so a link that is left shows as well. Ids of programs only grow.

use std::{
    collections::HashSet,
    fs, io, thread,
    time::{Duration, Instant},
};

/// The kernel frees programs a moment after their last holder has gone.
const PATIENCE: Duration = Duration::from_secs(15);

/// Commands of bpf(2).
const NEXT_ID: i32 = 11;
const FD_BY_ID: i32 = 13;
const INFO_BY_FD: i32 = 15;

/// Types of programs that tracer loads, or might: kprobes, tracepoints, perf events, raw tracepoints, tracing. All
/// others are of other programs, which may want to leave them.
const KINDS: [u32; 5] = [2, 5, 7, 17, 26];

/// The programs of a moment.
pub struct Programs {
    newest: u32,
}

impl Programs {
    /// Those of now.
    pub fn newest() -> Self {
        Self { newest: after(0).last().unwrap_or(0) }
    }

    /// Fails if programs that were loaded since then are held by no process, and stay.
    pub fn orphans_since(&self) -> Result<(), String> {
        let since = Instant::now();
        let mut orphans: HashSet<u32> = self.orphans();
        while !orphans.is_empty() {
            if since.elapsed() > PATIENCE {
                let names: Vec<_> = orphans.iter().map(u32::to_string).collect();
                return Err(format!("BPF programs are left that no process holds: ids {}", names.join(", ")));
            }
            thread::sleep(Duration::from_millis(20));
            let now = self.orphans();
            orphans.retain(|id| now.contains(id));
        }
        Ok(())
    }

    /// Those loaded since then that no process holds at this moment.
    pub fn orphans(&self) -> HashSet<u32> {
        let mut new: HashSet<u32> =
            after(self.newest).filter(|id| kind(*id).is_some_and(|it| KINDS.contains(&it))).collect();
        if !new.is_empty() {
            for id in held() {
                new.remove(&id);
            }
        }
        new
    }
}

/// The ids of programs after this one.
fn after(id: u32) -> impl Iterator<Item = u32> {
    let next = |id: &u32| {
        let mut attributes = [0_u32; 32];
        attributes[0] = *id;
        bpf(NEXT_ID, &mut attributes).ok().map(|_| attributes[1])
    };
    std::iter::successors(next(&id), next)
}

/// The type of a program, if it is still there.
fn kind(id: u32) -> Option<u32> {
    let mut attributes = [0_u32; 32];
    attributes[0] = id;
    let program = bpf(FD_BY_ID, &mut attributes).ok()?;
    let mut info = [0_u32; 64];
    let mut attributes = [0_u32; 32];
    attributes[0] = program.cast_unsigned();
    attributes[1] = u32::try_from(size_of_val(&info)).unwrap();
    let address = (&raw mut info) as u64;
    [attributes[2], attributes[3]] = [address, address >> 32].map(|half| (half & 0xffff_ffff) as u32);
    let told = bpf(INFO_BY_FD, &mut attributes);
    // SAFETY: the kernel has just made it, and nobody else knows it.
    unsafe { libc::close(program) };
    told.ok().map(|_| info[0])
}

fn bpf(command: i32, attributes: &mut [u32; 32]) -> io::Result<i32> {
    let size = size_of_val(attributes);
    // SAFETY: pointer and size are the array's, and addresses in it are of values that live longer.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_mut_ptr(), size) };
    i32::try_from(result).ok().filter(|result| *result >= 0).ok_or_else(io::Error::last_os_error)
}

/// The ids of programs that a process holds, directly or by a link. This process holds some only while it asks.
fn held() -> HashSet<u32> {
    let own = std::process::id().to_string();
    let processes = fs::read_dir("/proc").unwrap().flatten().filter(|it| it.file_name() != *own);
    let descriptors = processes.filter_map(|process| fs::read_dir(process.path().join("fd")).ok());
    let mut ids = HashSet::new();
    for descriptor in descriptors.flat_map(Iterator::flatten) {
        let path = descriptor.path();
        if fs::read_link(&path)
            .is_ok_and(|target| target.as_os_str().as_encoded_bytes().starts_with(b"anon_inode:bpf"))
        {
            let info = path.parent().unwrap().with_file_name("fdinfo").join(descriptor.file_name());
            let info = fs::read_to_string(info).unwrap_or_default();
            let id: Option<u32> =
                info.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok());
            ids.extend(id);
        }
    }
    ids
}

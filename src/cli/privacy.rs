//! What is in the memory of this process is nobody's business: it may hold the root key.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};

/// From now on no crash leaves a file of the memory, and no process of the same user attaches to this one or reads its
/// memory. There is no way to switch it off: to look into a vault, one needs to be root.
pub(super) fn keep_memory_private() -> io::Result<()> {
    let nothing = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, nothing)?;
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

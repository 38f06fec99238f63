//! The program `pushvault`.

use std::process::ExitCode;

use zeroizing_alloc::ZeroAlloc;

/// Every block of memory is wiped when it is freed: request buffers and reallocated strings too.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<std::alloc::System> = ZeroAlloc(std::alloc::System);

fn main() -> ExitCode {
    pushvault::cli::run()
}

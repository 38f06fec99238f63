//! The one runtime that outlives every test: the services under test and the harness's own connections live on it.

use std::sync::OnceLock;
use std::thread;

use tokio::runtime::{Builder, Handle, Runtime};

/// The handle of the runtime.
pub(super) fn handle() -> &'static Handle {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME
        .get_or_init(|| {
            Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name("harness")
                .enable_all()
                .build()
                .expect("a runtime")
        })
        .handle()
}

/// Makes a future, runs it on that runtime and waits for its end. It may be called from a test that is asynchronous
/// itself: the future gets a thread of its own, and nothing but that test runs on the thread that waits.
pub(crate) fn block_on<T: Send, F: Future<Output = T>>(make: impl FnOnce() -> F + Send) -> T {
    thread::scope(|scope| {
        thread::Builder::new()
            // A panic here is the test's own (see `log`).
            .name("harness::call".to_owned())
            .spawn_scoped(scope, || handle().block_on(make()))
            .expect("a thread")
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

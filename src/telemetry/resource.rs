//! What the process says of itself to collectors.

use std::sync::OnceLock;

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};

/// The name, the version, and an id that is drawn once: the same for traces and for audit events.
pub(super) fn resource() -> Resource {
    static INSTANCE: OnceLock<String> = OnceLock::new();
    let instance = INSTANCE.get_or_init(|| {
        let bytes = RandomIdGenerator::default().new_trace_id().to_bytes();
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    });
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.name", "pushvault"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance.clone()),
        ])
        .build()
}

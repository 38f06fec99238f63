//! What the fuzz targets drive: the product's `domain`, compiled from its source. That layer imports no other, so nothing
//! of the database, of HTTP or of the runtime is built here.

#[path = "../../src/domain/mod.rs"]
pub mod domain;

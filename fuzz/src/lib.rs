//! What the fuzz targets drive: the product's `domain` and `trail`, compiled from their source. These layers import no other,
//! so nothing of the database, of HTTP or of the runtime is built here.

#[path = "../../src/domain/mod.rs"]
pub mod domain;
#[path = "../../src/trail/mod.rs"]
pub mod trail;

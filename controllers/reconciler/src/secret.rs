//! Hashes of what users choose, as the ids of apps.

use std::hash::{BuildHasher, DefaultHasher, Hasher};

/// Hashes with something that users do not know: else somebody could choose thousands of ids that collide. Whoever hashes
/// so looks up and does not iterate: nothing depends on what the hashes are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Secret(pub(crate) u64);

impl BuildHasher for Secret {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

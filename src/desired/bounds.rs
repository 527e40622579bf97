//! How much of a directory is read.

/// Bounds of one scan. They keep a directory that is not what it seems (a home, a build's output, a hostile checkout)
/// from taking the memory and the time of everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most manifests. The largest Marathon installations had some 5,000 apps; twice as many files as that.
    pub files: usize,
    /// Most bytes of one manifest. A thousand apps at the 2 KiB that a thorough definition has are half of it.
    pub file_bytes: u64,
    /// Most bytes of all manifests together: [`Self::files`] of some 6 KiB.
    pub total_bytes: u64,
    /// Deepest folder; the directory's own files are at depth 0. Ids have 192 bytes at most, so apps are never deeper
    /// than 96, and people stop at 5.
    pub depth: usize,
    /// Most entries of any kind that are looked at, hidden ones and other files included.
    pub entries: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { files: 10_000, file_bytes: 4 << 20, total_bytes: 64 << 20, depth: 32, entries: 200_000 }
    }
}

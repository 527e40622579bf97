//! From what the files say to what is declared: which edits are followed, and what an absence means.
//!
//! A state machine without I/O: it is shown scans and answers with change sets. Its only memory is what it has declared
//! so far, which is also the last good version of every file.
//!
//! # Guarantees
//! - An edit of a file without errors is followed whole; of a file with errors, not at all. Its last good version stays
//!   declared, and all other files are followed.
//! - An app that is declared in another file than before is neither withdrawn nor new.
//! - An app that several files declare, or that is part of any other error between files, stays as it was. Where it was
//!   not, it does not become.
//! - A file is taken to be gone only when the folder it was in was read. Nothing at all is withdrawn by a scan that was cut
//!   short or during which the directory did not hold still, nor when the root cannot be read.
//! - When too large a share of all apps would go at once ([`PrunePolicy`]), none of them goes before
//!   [`Intent::confirm_prune`].
//! - Once a scan has been followed, the same scan gives nothing more.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ekiden_model::app_state::Source;
use ekiden_model::input::Desired;
use ekiden_model::{App, AppId};

use super::PendingPrune;
use super::scan::{Content, Scan, ScannedFile};
use crate::manifest::{self, DeclaredApp, Diagnostic};

/// When a loss is too large to be believed without asking: when it is more than [`Self::more_than`] apps, and more than
/// [`Self::percent`] of all that files declare.
///
/// Of 10 apps, 6 are asked about, 5 are not; of 6 apps, 4 are asked about, 3 are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrunePolicy {
    /// Share of all apps declared by files, in percent.
    pub percent: u8,
    /// So many may always go. Nobody wants to be asked about the last of three apps.
    pub more_than: usize,
}

impl Default for PrunePolicy {
    fn default() -> Self {
        Self { percent: 50, more_than: 3 }
    }
}

impl PrunePolicy {
    fn asks(&self, missing: usize, of: usize) -> bool {
        missing > self.more_than && missing * 100 > of * usize::from(self.percent)
    }
}

/// What is declared by files, and how that follows them.
#[derive(Debug)]
pub struct Intent {
    policy: PrunePolicy,
    /// What has been said, or is known from before, with where it stands.
    declared: BTreeMap<AppId, DeclaredApp>,
    /// Whether a first change set has been said.
    begun: bool,
    pending: Option<PendingPrune>,
    diagnostics: Arc<[Diagnostic]>,
    stale: Vec<Arc<str>>,
    files: usize,
}

impl Intent {
    /// Nothing is declared yet.
    pub fn new(policy: PrunePolicy) -> Self {
        Self::resume(policy, [])
    }

    /// Goes on from what files declared when this was last known: what a store remembers, say. Thus an app whose file
    /// was removed meanwhile is withdrawn, and one whose file was broken meanwhile is not. What the API declared is
    /// left out.
    pub fn resume(policy: PrunePolicy, known: impl IntoIterator<Item = (Arc<App>, Source)>) -> Self {
        let declared = known
            .into_iter()
            .filter_map(|(app, source)| match source {
                Source::File { path, line } => {
                    Some((app.id.clone(), DeclaredApp { app, path, line, column: 1, snippet: None }))
                }
                Source::Api => None,
            })
            .collect();
        Self {
            policy,
            declared,
            begun: false,
            pending: None,
            diagnostics: Arc::new([]),
            stale: Vec::new(),
            files: 0,
        }
    }

    /// Takes in what the directory says now. The first answer is always a change set, and a complete one, even when
    /// nothing is declared; later ones only come when there is something to say.
    pub fn observe(&mut self, scan: &Scan) -> Option<Desired> {
        let (candidates, stale) = self.candidates(scan);
        let conflicts = manifest::check_set(&candidates);
        let frozen = frozen(&candidates, &conflicts);
        let mut next: BTreeMap<AppId, DeclaredApp> = BTreeMap::new();
        for candidate in candidates {
            let id = &candidate.app.id;
            let follow = if frozen.contains(id) { self.declared.get(id).cloned() } else { Some(candidate) };
            next.extend(follow.map(|app| (app.app.id.clone(), app)));
        }
        let missing: Vec<AppId> = self.declared.keys().filter(|id| !next.contains_key(*id)).cloned().collect();
        let withdraw = self.withdrawable(missing, scan.settled && !scan.cut_short);
        for (id, known) in &self.declared {
            if !next.contains_key(id) && withdraw.binary_search(id).is_err() {
                next.insert(id.clone(), known.clone());
            }
        }
        self.files = scan.files.len();
        self.stale = stale;
        self.diagnostics = scan.diagnostics(conflicts).into();
        self.follow(next, withdraw)
    }

    /// Takes in that the directory itself cannot be read. Everything stays as it is.
    pub fn lost_sight(&mut self, problem: Diagnostic) {
        self.diagnostics = Arc::new([problem]);
    }

    /// Withdraws what is pending. `None` when nothing is.
    pub fn confirm_prune(&mut self) -> Option<Desired> {
        let pending = self.pending.take()?;
        for id in &pending.apps {
            self.declared.remove(id);
        }
        Some(Desired { declare: Vec::new(), withdraw: pending.apps, complete: true, commit: None })
    }

    /// How many manifests there were at last.
    pub fn files(&self) -> usize {
        self.files
    }

    /// How many apps are declared.
    pub fn apps(&self) -> usize {
        self.declared.len()
    }

    /// All that is wrong at present.
    pub fn diagnostics(&self) -> &Arc<[Diagnostic]> {
        &self.diagnostics
    }

    /// Files of which the last good version is followed.
    pub fn stale(&self) -> &[Arc<str>] {
        &self.stale
    }

    /// What waits for a confirmation.
    pub fn pending_prune(&self) -> Option<&PendingPrune> {
        self.pending.as_ref()
    }

    /// What each file stands for now: its apps, or those of its last good version. And the files of which it is the
    /// latter.
    fn candidates(&self, scan: &Scan) -> (Vec<DeclaredApp>, Vec<Arc<str>>) {
        let mut last_good: BTreeMap<&str, Vec<&DeclaredApp>> = BTreeMap::new();
        for known in self.declared.values() {
            last_good.entry(&known.path).or_default().push(known);
        }
        let mut candidates = Vec::new();
        let mut stale = Vec::new();
        for ScannedFile { path, content } in &scan.files {
            let kept = last_good.remove(&**path).unwrap_or_default();
            match content {
                Content::Read(reading) if reading.diagnostics.is_empty() => {
                    candidates.extend_from_slice(&reading.apps);
                }
                _ => {
                    if !kept.is_empty() {
                        stale.push(path.clone());
                    }
                    candidates.extend(kept.into_iter().cloned());
                }
            }
        }
        for (path, kept) in last_good {
            if scan.may_hold(path) {
                stale.extend(kept.first().map(|app| app.path.clone()));
                candidates.extend(kept.into_iter().cloned());
            }
        }
        (candidates, stale)
    }

    /// Which of the apps that are not declared any more may go, if it is evident that they are not.
    fn withdrawable(&mut self, missing: Vec<AppId>, evident: bool) -> Vec<AppId> {
        if !evident {
            // What is declared again is not asked about any longer, whatever else is unclear.
            self.pending = self.pending.take().and_then(|mut pending| {
                pending.apps.retain(|id| missing.binary_search(id).is_ok());
                (!pending.apps.is_empty()).then_some(pending)
            });
            return Vec::new();
        }
        // As long as a question is open, the total is the one it was asked about: new apps must not outnumber the
        // missing ones and so answer it. If files come back, the rest may become too small to ask about.
        let of = self.pending.as_ref().map_or(self.declared.len(), |pending| pending.of);
        if self.policy.asks(missing.len(), of) {
            self.pending = Some(PendingPrune { apps: missing, of });
            return Vec::new();
        }
        self.pending = None;
        missing
    }

    fn follow(&mut self, next: BTreeMap<AppId, DeclaredApp>, withdraw: Vec<AppId>) -> Option<Desired> {
        let is_new = |app: &&DeclaredApp| {
            let known = self.declared.get(&app.app.id);
            !known.is_some_and(|known| {
                (known.line == app.line && known.path == app.path)
                    && (Arc::ptr_eq(&known.app, &app.app) || known.app == app.app)
            })
        };
        let declare: Vec<_> = next
            .values()
            .filter(|app| !self.begun || is_new(app))
            .map(|app| (app.app.clone(), Source::File { path: app.path.clone(), line: app.line }))
            .collect();
        let first = !std::mem::replace(&mut self.begun, true);
        self.declared = next;
        (first || !declare.is_empty() || !withdraw.is_empty()).then_some(Desired {
            declare,
            withdraw,
            complete: true,
            commit: None,
        })
    }
}

/// The apps that stay as they are because of errors between files: those declared more than once, and those that a
/// diagnostic points at.
fn frozen(candidates: &[DeclaredApp], conflicts: &[Diagnostic]) -> BTreeSet<AppId> {
    let mut seen = BTreeSet::new();
    let twice = candidates.iter().filter(|app| !seen.insert(&app.app.id)).map(|app| app.app.id.clone());
    let mut frozen: BTreeSet<AppId> = twice.collect();
    let places: BTreeSet<(&str, u32, u32)> = conflicts
        .iter()
        .flat_map(|conflict| {
            let related = conflict.related.iter().map(|(path, line, column, _)| (&**path, *line, *column));
            related.chain([(&*conflict.path, conflict.line, conflict.column)])
        })
        .collect();
    let pointed_at = candidates.iter().filter(|app| places.contains(&(&*app.path, app.line, app.column)));
    frozen.extend(pointed_at.map(|app| app.app.id.clone()));
    frozen
}

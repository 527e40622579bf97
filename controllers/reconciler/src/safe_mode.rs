//! Safe mode: the cluster runs tasks under our name that the store knows nothing of.
//!
//! The store is new, was lost, or is a copy of an earlier one. Whatever is done then may be wrong: launching doubles what
//! runs, killing kills what serves, and what the store tells of the past may be long over. So nothing is launched, killed
//! or forgotten until an operator says whose the tasks are. What is known is still kept up to date: statuses are folded
//! and acknowledged, probes go on, edits of manifests are taken in.
//!
//! Evidence is a task that lives and whose id was made by an ekiden. One that has ended, or that no ekiden made, is none.
//! That a later survey finds nothing is none either: a master that was just replaced knows little.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use ekiden_model::input::{Command, Found};
use ekiden_model::{AppId, Condition, Reason, TaskId, Timestamp};

use crate::Reconciler;
use crate::framework::{Membership, SURVEY_AGAIN};
use crate::identity::Identity;

/// Most tasks remembered that were told of and not surveyed; the survey tells of all.
const TOLD_MAX: usize = 10_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct SafeMode {
    /// What the cluster ran when it was last asked.
    pub(crate) found: Found,
    /// Foreign tasks that it has told of since.
    told: BTreeSet<TaskId>,
    /// What the operator has said, while it cannot be done yet.
    word: Option<Word>,
    /// When to ask again what runs.
    survey_at: Option<Timestamp>,
}

/// What an operator can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Adopt,
    Disown,
}

impl SafeMode {
    /// We have no name yet, and somebody has ours.
    pub(crate) fn before_subscribing(found: Found, now: Timestamp) -> Self {
        Self { found, told: BTreeSet::new(), word: None, survey_at: Some(now + SURVEY_AGAIN) }
    }

    /// We are told of a task of ours that we know nothing of.
    pub(crate) fn told_of(task: TaskId, now: Timestamp) -> Self {
        Self { found: Found::default(), told: BTreeSet::from([task]), word: None, survey_at: Some(now) }
    }

    pub(crate) fn survey_at(&self) -> Option<Timestamp> {
        self.survey_at
    }

    /// Whether the operator has said that the tasks are to be adopted.
    pub(crate) fn is_to_adopt(&self) -> bool {
        self.word == Some(Word::Adopt)
    }

    /// All foreign tasks that were found or told of.
    fn tasks(&self) -> BTreeSet<&TaskId> {
        self.found.tasks.iter().map(|found| &found.task).chain(&self.told).collect()
    }
}

impl Reconciler {
    /// Whether nothing may be launched, killed or forgotten.
    pub(crate) fn is_safe_mode(&self) -> bool {
        self.safe_mode.is_some()
    }

    pub(crate) fn enter_safe_mode(&mut self, safe_mode: SafeMode) {
        self.outlive_all(&safe_mode.found);
        self.safe_mode = Some(safe_mode);
        self.tend = true;
        self.touch_all();
    }

    fn outlive_all(&mut self, found: &Found) {
        self.outlive_foreign(found.tasks.iter().map(|found| &found.task));
    }

    /// Another framework of our name may have been begun by a store of which ours is a copy: its ids are like ours.
    pub(crate) fn outlive_those_beside(&mut self, found: &Found) {
        self.outlive_foreign(found.beside.iter());
    }

    fn outlive_foreign<'a>(&mut self, tasks: impl Iterator<Item = &'a TaskId>) {
        let foreign = tasks.filter(|task| self.identify(task) == Identity::Foreign);
        let highest = foreign.filter_map(|task| Some(task.instance()?.1)).max();
        if let Some(highest) = highest {
            self.outlive(highest);
        }
    }

    /// Why nothing at all is done, if so. It stands in the report of every app, and what it counts may be all tasks that
    /// there are: it is worked out once, whenever it is news.
    pub fn standstill(&self) -> Option<Reason> {
        let standstill = self.standstill.get_or_init(|| self.find_standstill());
        let is_much = self.safe_mode.as_ref().is_some_and(|safe_mode| safe_mode.found.tasks.len() > 100);
        debug_assert!(is_much || *standstill == self.find_standstill(), "who changes it calls `touch_all`");
        standstill.clone()
    }

    fn find_standstill(&self) -> Option<Reason> {
        if let Membership::Estranged { taken_for } = &self.membership
            && let Some(framework) = self.installation.framework.clone()
        {
            return Some(Reason::Estranged { framework, taken_for: taken_for.clone() });
        }
        let safe_mode = self.safe_mode.as_ref()?;
        let strange = safe_mode.tasks().into_iter().filter(|task| self.is_unknown(task)).count();
        let framework = safe_mode.found.framework.clone().or_else(|| self.installation.framework.clone());
        let connected_from = safe_mode.found.connected_from.clone();
        Some(Reason::SafeMode { tasks: strange as u32, framework, connected_from })
    }

    /// Whether the store knows nothing of a task that it should know of, or of whose it is.
    pub(crate) fn is_unknown(&self, task: &TaskId) -> bool {
        match self.identify(task) {
            Identity::Foreign => true,
            Identity::Stranger => !self.installation.disowned.contains(task),
            Identity::Known(..) | Identity::Forgotten => false,
        }
    }

    /// A task lives under our name, or did, and the store does not know it. If it lives, that is safe mode. In any case
    /// the next launches come after it, so that they do not get the ids that it or its like had.
    pub(crate) fn told_of_foreign(&mut self, task: &TaskId, condition: Condition) {
        if let Some((_, incarnation)) = task.instance() {
            self.outlive(incarnation);
        }
        if condition.is_terminal() || self.installation.framework.is_none() {
            // A cluster without names for us has no memory of us, either.
            return;
        }
        match &mut self.safe_mode {
            None => self.enter_safe_mode(SafeMode::told_of(task.clone(), self.now)),
            Some(safe_mode) => {
                if safe_mode.told.len() < TOLD_MAX && safe_mode.told.insert(task.clone()) {
                    self.touch_all();
                }
            }
        }
    }

    /// A foreign task has ended.
    pub(crate) fn foreign_ended(&mut self, task: &TaskId) {
        if self.installation.disowned.remove(task) {
            self.journal.note_installation();
        }
        if let Some(safe_mode) = &mut self.safe_mode {
            let found = safe_mode.found.tasks.len();
            safe_mode.found.tasks.retain(|found| found.task != *task);
            if safe_mode.told.remove(task) || safe_mode.found.tasks.len() < found {
                self.touch_all();
            }
        }
    }

    pub(crate) fn survey_in_safe_mode_when_due(&mut self) {
        if let Some(safe_mode) = &mut self.safe_mode
            && safe_mode.survey_at.is_some_and(|at| at <= self.now)
        {
            safe_mode.survey_at = Some(self.now + SURVEY_AGAIN);
            self.push_survey();
        }
    }

    pub(crate) fn found_in_safe_mode(&mut self, found: Found) {
        let Some(safe_mode) = &mut self.safe_mode else { return };
        let is_of_another =
            self.installation.framework.is_some() && found.framework != self.installation.framework;
        if is_of_another || (found.framework.is_none() && found.tasks.is_empty()) {
            // No evidence that there is nothing; and who has a name takes over what runs under that name only.
            return;
        }
        if safe_mode.found != found {
            self.outlive_all(&found);
        }
        let Some(safe_mode) = &mut self.safe_mode else { return };
        if safe_mode.found != found {
            safe_mode.found = found;
            self.touch_all();
        }
        self.keep_word();
    }

    /// An operator has said whose the tasks are. Before it is done the cluster is asked once more, so that what is done
    /// rests on what runs now.
    pub(crate) fn fold_word(&mut self, command: &Command) {
        let Some(safe_mode) = &mut self.safe_mode else { return };
        safe_mode.word = Some(if *command == Command::Adopt { Word::Adopt } else { Word::Disown });
        safe_mode.survey_at = Some(self.now);
        self.touch_all();
    }

    /// The directory has been read, which an adoption may have waited for.
    pub(crate) fn directory_was_read(&mut self) {
        if let Some(safe_mode) = self.safe_mode.as_mut().filter(|safe_mode| safe_mode.word.is_some()) {
            safe_mode.survey_at = Some(self.now);
        }
    }

    /// Does what the operator has said, if it can be done now.
    fn keep_word(&mut self) {
        match self.safe_mode.as_ref().and_then(|safe_mode| safe_mode.word) {
            Some(Word::Adopt) if self.adoption_awaits().is_none() => self.adopt(),
            Some(Word::Disown) => self.disown(),
            Some(Word::Adopt) | None => {}
        }
    }

    /// What an adoption waits for.
    pub(crate) fn adoption_awaits(&self) -> Option<&'static str> {
        let found = &self.safe_mode.as_ref()?.found;
        if !self.directory_read {
            Some("the manifests have not been read yet")
        } else if found.framework.is_none() {
            Some("the cluster has not told what it runs yet")
        } else if found.connected_from.is_some() {
            Some("another scheduler is connected as this framework")
        } else {
            None
        }
    }

    /// Those tasks are left alone from now on. Without a name of our own we begin beside them.
    fn disown(&mut self) {
        let Some(safe_mode) = self.safe_mode.take() else { return };
        self.begin_life(None);
        if matches!(self.membership, Membership::Surveying { .. }) {
            self.installation.disowned_framework = safe_mode.found.framework;
            self.journal.note_installation();
            self.subscribe(None);
        } else {
            let foreign = safe_mode.tasks().into_iter().filter(|task| self.identify(task) == Identity::Foreign);
            let room = ekiden_model::record::KEPT_OF_ADOPTION.saturating_sub(self.installation.disowned.len());
            let foreign: Vec<TaskId> = foreign.take(room).cloned().collect();
            self.installation.disowned.extend(foreign);
            self.journal.note_installation();
        }
        self.after_safe_mode();
    }

    /// All goes on, as after a restart: first the cluster is asked about every task.
    pub(crate) fn after_safe_mode(&mut self) {
        self.has_heard_all = false;
        self.tend = true;
        self.ask_afresh();
        self.touch_all();
        let all: Vec<AppId> = self.apps.ids().cloned().collect();
        for app in all {
            self.changed(&app);
        }
    }

    /// Whether safe mode, or what is known in it, has changed since this was last asked.
    pub fn take_standstill_news(&mut self) -> bool {
        std::mem::take(&mut self.standstill_is_news)
    }

    /// What stands above all reports has changed.
    pub(crate) fn touch_all(&mut self) {
        self.standstill_is_news = true;
        self.standstill = OnceLock::new();
        self.touched.extend(self.apps.ids().cloned());
    }
}

//! The changes, one at a time, each seen to do what it should and nothing else.

use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};
use crate::http::Answer;
use crate::swap::{Version, Way};

use super::bed::Bed;
use super::clients::Clients;
use super::plan::Change;
use super::shown::{error_with, is_active};
use super::texts::{self, broken};

/// What clients see now: the marks on every answer.
#[derive(Debug, Clone)]
pub(super) struct Serving {
    pub(super) config: String,
    pub(super) stamp: String,
}

/// A stretch of changes.
pub(super) struct Session<'a> {
    pub(super) bed: &'a mut Bed,
    pub(super) clients: Option<&'a mut Clients>,
    pub(super) versions: &'a [Version],
    pub(super) serving: Serving,
    /// Before the numbers of configurations, so that two sessions have none in common.
    pub(super) name: &'static str,
    /// Changes that were seen to do what they should, and how long the slowest of its kind took.
    pub(super) done: Vec<(&'static str, Duration)>,
}

impl Session<'_> {
    /// Makes every change when it is due, counted from `begun`, or at once where that has passed.
    pub(super) fn run(&mut self, begun: Instant, plan: &[(Duration, Change)]) -> Outcome<()> {
        for (at, change) in plan {
            let left = at.saturating_sub(begun.elapsed());
            std::thread::sleep(left);
            self.make(*change)?;
        }
        Ok(())
    }

    /// Makes one change and waits until everybody sees it.
    pub(super) fn make(&mut self, change: Change) -> Outcome<()> {
        self.window(change.window())?;
        let begun = Instant::now();
        match change {
            Change::Reload(number) => self.reload(number),
            Change::Wrong(way) => self.refused(way),
            Change::Swap(number) => self.swap(number),
            Change::Broken(way) => self.refused_file(way),
        }
        .map_err(|failure| Failure::new(format!("{change:?}: {failure}")))?;
        self.done.push((change.window(), begun.elapsed()));
        self.window("quiet")
    }

    /// Puts this configuration in place; `mark` stands on its answers.
    pub(super) fn put(&mut self, text: &str, mark: &str) -> Outcome<()> {
        let before = self.bed.ask("/status")?["generation"].as_u64();
        self.bed.folder.write("swapgate.yaml", text)?;
        self.bed.until("the configuration to be taken", |bed| {
            let status = bed.ask("/status")?;
            Ok((status["generation"].as_u64() > before).then_some(()))
        })?;
        mark.clone_into(&mut self.serving.config);
        self.until_served()
    }

    fn reload(&mut self, number: usize) -> Outcome<()> {
        let mark = format!("{}-{number}", self.name);
        let text = self.bed.places.valid(&mark, number % texts::SHAPES);
        self.put(&text, &mark)
    }

    fn refused(&mut self, way: usize) -> Outcome<()> {
        let (text, words) = self.bed.places.wrong(&format!("wrong-{way}"), way);
        let before = self.bed.ask("/status")?;
        self.bed.folder.write("swapgate.yaml", text)?;
        let what = format!("a refusal with {words:?}");
        let after = self.bed.until(&what, |bed| {
            let status = bed.ask("/status")?;
            let told = status["last_change"] != before["last_change"];
            Ok((told && error_with(&status, &words).is_some()).then_some(status))
        })?;
        if after["generation"] != before["generation"] {
            return Err(Failure::new(
                "the generation changed although nothing was taken",
            ));
        }
        self.must_serve()
    }

    fn swap(&mut self, number: usize) -> Outcome<()> {
        let version = &self.versions[(number + 1) % self.versions.len()];
        Way::of_turn(number).put(&self.bed.folder, &self.bed.plugin, &version.bytes)?;
        let what = format!("{} ({:?}) to be active", version.text, Way::of_turn(number));
        self.bed.until(&what, |bed| {
            Ok(is_active(&bed.ask("/plugins")?, &version.digest).then_some(()))
        })?;
        self.serving.stamp.clone_from(&version.text);
        self.until_served()
    }

    fn refused_file(&mut self, way: usize) -> Outcome<()> {
        let (bytes, words) = broken(&self.versions[way % self.versions.len()], way);
        let generation = self.bed.ask("/status")?["generation"].clone();
        Way::Rename.put(&self.bed.folder, &self.bed.plugin, &bytes)?;
        self.bed.until("the file to be refused", |bed| {
            let status = bed.ask("/status")?;
            // Among the refused files; among the notes, where only its configuration is refused.
            let told = [&status["refused"], &status["notes"]];
            let told = told.map(ToString::to_string);
            Ok(told.iter().any(|text| text.contains(words)).then_some(()))
        })?;
        if self.bed.ask("/status")?["generation"] != generation {
            return Err(Failure::new(
                "the generation changed although the file was refused",
            ));
        }
        self.must_serve()
    }

    /// A client that connects now must get what was served before.
    fn must_serve(&self) -> Outcome<()> {
        let answer = self.bed.probe()?;
        if is_from(&answer, &self.serving) {
            return Ok(());
        }
        Err(Failure::new(format!(
            "a new client was answered by {:?} and not by {:?}",
            answer.headers, self.serving
        )))
    }

    fn until_served(&mut self) -> Outcome<()> {
        let serving = self.serving.clone();
        self.bed.until("the change to be served", |bed| {
            Ok(is_from(&bed.probe()?, &serving).then_some(()))
        })
    }

    fn window(&mut self, name: &str) -> Outcome<()> {
        match &mut self.clients {
            Some(clients) => clients.window(name),
            None => Ok(()),
        }
    }
}

fn is_from(answer: &Answer, serving: &Serving) -> bool {
    let header = |name: &str| answer.headers.get(name).map(String::as_str);
    header("x-config-response") == Some(&serving.config)
        && header("x-stamp-response") == Some(&serving.stamp)
}

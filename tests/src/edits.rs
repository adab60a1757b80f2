//! Editing the configuration of a running gateway, and seeing what becomes of it.

use std::fs;
use std::net::SocketAddr;

use rustix::process::Signal;
use serde_json::Value;

use crate::eventually::wait_for;
use crate::gateway::{Gateway, fill, whole};

impl Gateway {
    /// The last change and what became of it, as `/status` tells.
    #[must_use]
    #[track_caller]
    pub fn last_change(&self) -> Value {
        self.status()["last_change"].clone()
    }

    /// Renames a new configuration over the old one and waits for what becomes of it.
    ///
    /// # Panics
    /// When nothing does in time.
    #[track_caller]
    pub fn reload(&self, text: &str) -> Value {
        let before = self.last_change()["number"].clone();
        self.rename_config(text);
        wait_for("the outcome of a reload", || {
            Some(self.last_change()).filter(|change| change["number"] != before)
        })
    }

    /// The same, and demands that it is published.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn reload_published(&self, text: &str) {
        let change = self.reload(text);
        assert_eq!(change["outcome"], "published", "{change}");
    }

    /// The same, and demands that it is refused; gives back the errors.
    ///
    /// # Panics
    /// When it is published.
    #[track_caller]
    pub fn reload_refused(&self, text: &str) -> Vec<String> {
        let change = self.reload(text);
        assert_eq!(change["outcome"], "refused", "{change}");
        let errors = change["errors"].as_array().expect("a list of errors");
        let text = |error: &Value| error.as_str().expect("errors are texts").to_owned();
        errors.iter().map(text).collect()
    }

    /// Where the listener of this name is now, after whatever reloads there were.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    #[track_caller]
    pub fn current_address_of(&self, name: &str) -> SocketAddr {
        let status = self.status();
        let listeners = status["listeners"].as_array().expect("a list");
        let listener = listeners.iter().find(|listener| listener["name"] == name);
        let listener = listener.unwrap_or_else(|| panic!("no listener {name} in {status}"));
        let address = listener["address"].as_str().expect("addresses are texts");
        address.parse().expect("addresses are addresses")
    }

    /// Sends SIGHUP and waits for what becomes of it.
    ///
    /// # Panics
    /// When it is refused, or nothing comes of it in time.
    #[track_caller]
    pub fn reload_same_by_signal(&self) {
        let before = self.last_change()["number"].clone();
        self.signal(Signal::HUP);
        let change = wait_for("the outcome of a reload", || {
            Some(self.last_change()).filter(|change| change["number"] != before)
        });
        assert_eq!(change["outcome"], "published", "{change}");
    }

    /// A configuration as it is written: with the usual beginning, its places filled.
    #[must_use]
    pub fn render(&self, text: &str) -> String {
        fill(&whole(text), &self.places)
    }

    /// Writes a new configuration in place, with the same beginning and the same places filled.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_config(&self, text: &str) {
        self.write_whole_config(&whole(text));
    }

    /// Writes exactly this configuration in place, with the same places filled.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write_whole_config(&self, text: &str) {
        fs::write(self.config_file(), fill(text, &self.places)).expect("the folder is ours");
    }

    /// Writes a new configuration aside and renames it over the old one, as editors do.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn rename_config(&self, text: &str) {
        self.rename_whole_config(&whole(text));
    }

    /// The same with exactly this configuration.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn rename_whole_config(&self, text: &str) {
        let aside = self.folder.path().join("swapgate.yaml.new");
        fs::write(&aside, fill(text, &self.places)).expect("the folder is ours");
        fs::rename(aside, self.config_file()).expect("one file system");
    }
}

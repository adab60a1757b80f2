//! What the handler of a crash wrote down, read again. Lines of `key=value`, because a handler can write nothing else.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How every report begins.
pub const MAGIC: &str = "swapgate-crash/1\n";

/// One crash.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The signal's number.
    pub signal: i32,
    /// Whether the watchdog ended the process, because a hook did not return.
    pub hung: bool,
    /// The address that could not be reached, for a SIGSEGV or SIGBUS.
    pub address: String,
    /// Where the processor was.
    pub counter: String,
    /// The worker it happened on, from 0; none on another thread.
    pub worker: Option<usize>,
    /// Who was called on that thread, as `id@version`.
    pub plugin: Option<String>,
    /// Digest of its file.
    pub digest: Option<String>,
    /// The hook.
    pub hook: Option<String>,
    /// The route.
    pub route: Option<String>,
    /// The id of the request.
    pub request: Option<String>,
    /// Whose code ran, as `id@version`.
    pub image: Option<String>,
    /// Digest of its file.
    pub image_digest: Option<String>,
}

impl Report {
    /// Reads a report.
    #[must_use]
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let text = packet.strip_prefix(MAGIC.as_bytes())?;
        // It was written by a process in which anything may have gone wrong, and is read by people in a log.
        let text =
            String::from_utf8_lossy(text).replace(|c: char| c.is_control() && c != '\n', "?");
        let mut report = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            let filled = || Some(value.to_owned()).filter(|value| !value.is_empty());
            match key {
                "signal" => report.signal = value.parse().unwrap_or(0),
                "hung" => report.hung = value == "1",
                "address" => value.clone_into(&mut report.address),
                "counter" => value.clone_into(&mut report.counter),
                "worker" => {
                    let worker: Option<usize> = value.parse().ok();
                    report.worker = worker.and_then(|worker| worker.checked_sub(1));
                }
                "plugin" => report.plugin = filled(),
                "digest" => report.digest = filled(),
                "hook" => report.hook = filled(),
                "route" => report.route = filled(),
                "request" => report.request = filled(),
                "image" => report.image = filled(),
                "image_digest" => report.image_digest = filled(),
                _ => {}
            }
        }
        Some(report)
    }

    /// Who is to blame, as `id@version` and digest: whoever's code ran, else whoever was called on that thread.
    #[must_use]
    pub fn culprit(&self) -> Option<(&str, &str)> {
        let image = self.image.as_deref().zip(self.image_digest.as_deref());
        image.or_else(|| self.plugin.as_deref().zip(self.digest.as_deref()))
    }

    /// The signal's name.
    #[must_use]
    pub fn signal_name(&self) -> String {
        let known = [
            (libc::SIGSEGV, "SIGSEGV"),
            (libc::SIGBUS, "SIGBUS"),
            (libc::SIGILL, "SIGILL"),
            (libc::SIGFPE, "SIGFPE"),
            (libc::SIGABRT, "SIGABRT"),
            (libc::SIGTRAP, "SIGTRAP"),
            (libc::SIGSYS, "SIGSYS"),
            (libc::SIGKILL, "SIGKILL"),
        ];
        let found = known.iter().find(|(signal, _)| *signal == self.signal);
        found.map_or_else(
            || format!("signal {}", self.signal),
            |(_, name)| (*name).to_owned(),
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.plugin {
            Some(plugin) => write!(f, "plugin {plugin}")?,
            None => match &self.image {
                Some(image) => write!(f, "plugin {image}, on a thread of its own,")?,
                None => f.write_str("the gateway, outside of any plugin,")?,
            },
        }
        if self.hung {
            f.write_str(" did not return")?;
        } else {
            write!(f, " crashed")?;
        }
        if let Some(hook) = &self.hook {
            write!(f, " in {hook}")?;
        }
        if let Some(route) = &self.route {
            write!(f, " of route {route}")?;
        }
        if let Some(request) = &self.request {
            write!(f, " at request {request}")?;
        }
        if !self.hung {
            write!(f, " ({} at {})", self.signal_name(), self.counter)?;
        }
        match (&self.plugin, &self.image) {
            (Some(plugin), Some(image)) if plugin != image => {
                write!(f, ", in the code of plugin {image}")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_who_and_where() {
        let text = format!(
            "{MAGIC}signal=11\nhung=0\naddress=0x8\ncounter=0x7f00\nworker=2\nplugin=demo@1.0.0\ndigest=aa\nhook=access\nroute=r\nrequest=17\nimage=\nimage_digest=\n"
        );
        let report = Report::parse(text.as_bytes()).unwrap();
        assert_eq!(report.worker, Some(1));
        assert_eq!(report.culprit(), Some(("demo@1.0.0", "aa")));
        assert_eq!(
            report.to_string(),
            "plugin demo@1.0.0 crashed in access of route r at request 17 (SIGSEGV at 0x7f00)"
        );
        assert!(Report::parse(b"{\"serving\"}").is_none());
    }

    #[test]
    fn a_report_stays_one_line() {
        let text = format!("{MAGIC}signal=6\nplugin=a\x1b[31m\rb\u{85}\ndigest=aa\n");
        let report = Report::parse(text.as_bytes()).unwrap();
        assert_eq!(report.culprit(), Some(("a?[31m?b?", "aa")));
    }
}

//! What a gateway says of itself at one moment.

use std::time::Instant;

use serde::Deserialize;

use crate::cli::ask::{Admin, Ask, NoAnswer};

/// One moment.
pub(super) struct Sample {
    pub(super) at: Instant,
    pub(super) status: Status,
    pub(super) images: Vec<Image>,
    /// Exchanges that are over.
    pub(super) requests: f64,
    /// Processor time of the process, in seconds.
    pub(super) cpu: f64,
    /// Its resident memory, in bytes.
    pub(super) memory: f64,
    /// Open connections of clients.
    pub(super) connections: f64,
}

/// What `/status` tells.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub(super) version: String,
    pub(super) uptime_s: u64,
    pub(super) generation: u64,
    pub(super) ready: bool,
    pub(super) workers: u64,
    pub(super) draining: Vec<serde_json::Value>,
    pub(super) degraded: Vec<String>,
    pub(super) notes: Vec<String>,
    pub(super) stuck: Vec<String>,
    pub(super) refused: Vec<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct Images {
    images: Vec<Image>,
}

/// What `/plugins` tells of one image.
#[derive(Debug, Deserialize)]
pub(super) struct Image {
    pub(super) id: String,
    pub(super) version: String,
    pub(super) digest: String,
    pub(super) state: String,
    pub(super) instances: Vec<serde_json::Value>,
    pub(super) pending_operations: u64,
    pub(super) buffered_bytes: u64,
    pub(super) memory: Option<Memory>,
    pub(super) hooks: Vec<Hook>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Memory {
    pub(super) bytes: u64,
}

/// The account of one hook.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Hook {
    pub(super) calls: u64,
    pub(super) errors: u64,
    pub(super) panics: u64,
    pub(super) sampled_calls: u64,
    pub(super) sampled_ns: u64,
}

impl Sample {
    pub(super) fn take(admin: &Admin) -> Result<Self, NoAnswer> {
        let broken = |error: serde_json::Error| NoAnswer::Broken(admin.admin, error.to_string());
        let status = serde_json::from_value(admin.document("/status")?).map_err(broken)?;
        let images: Images = serde_json::from_value(admin.document("/plugins")?).map_err(broken)?;
        let page = admin.ask(Ask::Get("/metrics"))?;
        let page = String::from_utf8_lossy(&page);
        Ok(Self {
            at: Instant::now(),
            status,
            images: images.images,
            requests: sum(&page, "swapgate_requests_total"),
            cpu: sum(&page, "process_cpu_seconds_total"),
            memory: sum(&page, "process_resident_memory_bytes"),
            connections: sum(&page, "swapgate_connections"),
        })
    }
}

/// All series of a metric, added up.
fn sum(page: &str, name: &str) -> f64 {
    let values = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        if !rest.starts_with(['{', ' ']) {
            return None;
        }
        rest.rsplit(' ').next()?.parse::<f64>().ok()
    });
    values.sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_series_of_a_metric_and_no_other_are_added_up() {
        let page = "# HELP a x\na{r=\"b c\"} 1\na{r=\"d\"} 2.5\na_total 7\nab 3\n";
        assert!((super::sum(page, "a") - 3.5).abs() < f64::EPSILON);
        assert!((super::sum(page, "a_total") - 7.0).abs() < f64::EPSILON);
    }
}

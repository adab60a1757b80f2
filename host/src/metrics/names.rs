//! Every metric of the gateway's own: name, kind, unit, labels, and what it means. `docs/metrics.md` has the same list, and
//! a test compares them; nothing is shown that does not stand here.
//!
//! Base units, `_total` for what only grows. Each label has a closed or a configured set of values: see the document.

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by bounds.
    Histogram,
}

/// One metric.
#[derive(Debug)]
pub struct Name {
    /// Its whole name.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// In what it is counted.
    pub unit: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

macro_rules! names {
    ($($constant:ident $name:literal $kind:ident $unit:literal [$($label:literal)*] $help:literal)*) => {
        $(#[doc = $help] pub const $constant: Name = Name {
            name: $name,
            kind: Kind::$kind,
            unit: $unit,
            labels: &[$($label),*],
            help: $help,
        };)*

        /// All of them, in the order of the document.
        pub const ALL: &[&Name] = &[$(&$constant),*];
    };
}

names! {
    REQUESTS "swapgate_requests_total" Counter "requests" ["route" "service" "status"]
        "Exchanges that are over, by the status that was sent."
    REQUEST_DURATION "swapgate_request_duration_seconds" Histogram "seconds" ["route" "service"]
        "Time from the parsed head of a request to the end of its answer."
    REQUEST_BYTES "swapgate_request_bytes_total" Counter "bytes" ["route" "service"]
        "Body bytes received from clients and passed on."
    RESPONSE_BYTES "swapgate_response_bytes_total" Counter "bytes" ["route" "service"]
        "Body bytes handed to the connections of clients."

    TUNNELS "swapgate_tunnels" Gauge "tunnels" ["route" "service"]
        "Connections that changed over to another protocol, WebSocket for one, and are open."

    CONNECTIONS "swapgate_connections" Gauge "connections" ["listener"]
        "Open connections of clients."
    ACCEPTED "swapgate_connections_accepted_total" Counter "connections" ["listener"]
        "Connections that were accepted."
    ACCEPT_WAITS "swapgate_accept_waits_total" Counter "waits" ["listener"]
        "How often accepting stopped because a worker had as many connections as limits.connections admits."
    ACCEPT_ERRORS "swapgate_accept_errors_total" Counter "errors" ["listener"]
        "How often the system could not give a connection."
    CONNECTIONS_REFUSED "swapgate_connections_refused_total" Counter "connections" ["listener"]
        "Connections that were closed at once because their address had as many as limits.connections_per_address admits."
    HTTP2_REQUESTS "swapgate_http2_requests_total" Counter "requests" ["listener"]
        "Requests that came in HTTP/2; the others came in HTTP/1."
    HTTP2_FLOODS "swapgate_http2_floods_total" Counter "connections" ["listener"]
        "Connections that were ended because of a flood of HTTP/2 frames."
    PROXY_FAILURES "swapgate_proxy_header_failures_total" Counter "connections" ["listener" "reason"]
        "Connections that were not served for the sake of a PROXY header, by reason."

    HANDSHAKES "swapgate_tls_handshakes_total" Counter "handshakes" ["listener" "version" "resumed"]
        "TLS handshakes with clients that were finished; resumed is true where a session was taken up again."
    HANDSHAKE_FAILURES "swapgate_tls_handshake_failures_total" Counter "handshakes" ["listener" "reason"]
        "TLS handshakes with clients that failed, by reason."
    CERTIFICATE_EXPIRY "swapgate_tls_certificate_expiry_seconds" Gauge "seconds" ["listener" "name"]
        "When a certificate of a listener ends, in seconds since 1970."

    ATTEMPTS "swapgate_upstream_attempts_total" Counter "attempts" ["upstream" "target" "outcome"]
        "Attempts to get an answer from a target, by what they came to."
    RETRIES "swapgate_upstream_retries_total" Counter "requests" ["upstream" "reason"]
        "Requests that were sent again, by what had gone wrong: connect, reset, timeout or status."
    RETRIES_DENIED "swapgate_upstream_retries_denied_total" Counter "requests" ["upstream" "why"]
        "Failed requests that were not sent again although retries ask for it, by what spoke against: attempts, budget, body or method."
    UPSTREAM_CONNECTIONS "swapgate_upstream_connections" Gauge "connections" ["target"]
        "Open connections to a target, used and unused."
    UPSTREAM_CONNECTS "swapgate_upstream_connects_total" Counter "connections" ["target"]
        "Connections to a target that were opened."
    MIRRORED "swapgate_mirrored_total" Counter "copies" ["upstream" "outcome"]
        "Copies of requests for an upstream, by what they came to: sent and answered, dropped_limit, dropped_body, dropped_breaker or failed."

    UPSTREAM_REQUESTS "swapgate_upstream_requests" Gauge "requests" ["upstream"]
        "Requests that an upstream with concurrency has under way, in the whole process."
    UPSTREAM_WAITING "swapgate_upstream_queue_waiting" Gauge "requests" ["upstream"]
        "Requests that wait for such an upstream."
    UPSTREAM_REFUSED "swapgate_upstream_refused_total" Counter "requests" ["upstream" "why"]
        "Requests that were not sent to an upstream, by why: full (no room to wait), late (waited in vain) or breaker (it is open)."
    UPSTREAM_BREAKER "swapgate_breaker_state" Gauge "state" ["upstream"]
        "Whether an upstream with a breaker gets requests: 0 it does, 1 some try it, 2 it is left alone."
    BREAKER_TRANSITIONS "swapgate_breaker_transitions_total" Counter "times" ["upstream" "to"]
        "How often the breaker of an upstream changed its state, by what it changed to."
    SHED "swapgate_shed_total" Counter "requests" ["reason"]
        "Requests that were turned away because the process has more to do than it takes, by reason."
    REFUSED_REQUESTS "swapgate_refused_requests_total" Counter "requests" ["reason"]
        "Requests that the gateway refused because of what they are, by reason; /refused shows the last of them."
    ROUTE_REQUESTS "swapgate_route_requests" Gauge "requests" ["route"]
        "Requests that a route with concurrency has under way, in the whole process."
    ROUTE_WAITING "swapgate_route_queue_waiting" Gauge "requests" ["route"]
        "Requests that wait for such a route."
    ROUTE_REFUSED "swapgate_route_refused_total" Counter "requests" ["route" "why"]
        "Requests that a route did not forward, by why: full (no room to wait) or late (waited in vain)."
    TARGET_UP "swapgate_upstream_target_up" Gauge "targets" ["upstream" "target"]
        "Whether a target is in rotation: 1 it is, 0 it is not; /upstreams says why."
    EJECTIONS "swapgate_upstream_ejections_total" Counter "times" ["upstream" "target"]
        "How often a target was ejected because requests failed one after the other."
    HEALTH_CHECKS "swapgate_health_checks_total" Counter "checks" ["upstream" "target" "result"]
        "Checks of a target, by what they came to."

    PLUGIN_CALLS "swapgate_plugin_calls_total" Counter "calls" ["plugin" "version" "phase"]
        "Calls of a plugin's hook."
    PLUGIN_ERRORS "swapgate_plugin_errors_total" Counter "calls" ["plugin" "version" "phase"]
        "Calls of a hook that answered an error, panics included."
    PLUGIN_PANICS "swapgate_plugin_panics_total" Counter "calls" ["plugin" "version" "phase"]
        "Calls of a hook that panicked."
    PLUGIN_SAMPLED_SECONDS "swapgate_plugin_sampled_seconds_total" Counter "seconds" ["plugin" "version" "phase"]
        "Time in a hook, of one exchange in 64."
    PLUGIN_SAMPLED_CALLS "swapgate_plugin_sampled_calls_total" Counter "calls" ["plugin" "version" "phase"]
        "Calls of a hook whose time was taken."

    PLUGIN_OPERATIONS "swapgate_plugin_pending_operations" Gauge "operations" ["plugin" "version"]
        "Operations that a plugin began and that have not come to their end."
    PLUGIN_BUFFERED "swapgate_plugin_buffered_bytes" Gauge "bytes" ["plugin" "version"]
        "Bytes of bodies that a plugin has not passed on."
    PLUGIN_MEMORY "swapgate_plugin_memory_bytes" Gauge "bytes" ["plugin" "version"]
        "Memory of a plugin that counts its allocations."
    PLUGIN_KV "swapgate_plugin_kv_bytes" Gauge "bytes" ["plugin"]
        "What a plugin keeps in the gateway's key-value area."

    PLUGIN_FAULTS "swapgate_plugin_faults_total" Counter "faults" ["plugin" "version" "kind"]
        "What went wrong in a plugin's hooks: error, panic, unknown or over_budget."
    BREAKER "swapgate_plugin_breaker_state" Gauge "state" ["plugin" "version"]
        "Whether a plugin is called: 0 it is, 1 one exchange tries, 2 it is left alone."
    BREAKER_OPENED "swapgate_plugin_breaker_opened_total" Counter "times" ["plugin" "version"]
        "How often the breaker round a plugin opened."

    IMAGES "swapgate_images" Gauge "images" ["state"]
        "Known images of plugins, by where they stand in their life."
    RESIDENT "swapgate_resident_images" Gauge "images" ["plugin"]
        "Images of a plugin that serve nobody and stay mapped."
    STUCK "swapgate_stuck_calls" Gauge "calls" []
        "Control calls into plugins that have not returned in time."
    STUCK_HOOKS "swapgate_stuck_hooks" Gauge "calls" []
        "Hooks of exchanges that have not returned within faults.hook_budget, each on a worker that serves nobody meanwhile."
    REFUSALS "swapgate_refusals_total" Counter "files" ["reason"]
        "Plugin files that were not taken, by reason."
    SWAPS "swapgate_swaps_total" Counter "changes" ["outcome"]
        "Changes of the plugins folder that replaced an image in use, or could not."
    CHANGES "swapgate_changes_total" Counter "changes" ["trigger" "outcome"]
        "Changes of what is served, by what asked for them and whether they were published; reloads among them."
    LOOKUPS "swapgate_dns_lookups_total" Counter "lookups" ["result"]
        "Look-ups of names that targets have, by what they came to: ok, partial, negative, failed."
    DRAIN_LEFT "swapgate_drain_left" Gauge "what" ["what"]
        "What is left to end of a gateway on its way out; only then."
    GENERATION "swapgate_generation" Gauge "generation" []
        "The generation that serves."
    DRAINING "swapgate_generations_draining" Gauge "generations" []
        "Older generations that a worker still holds."
    LOG_LOST "swapgate_log_lines_lost_total" Counter "lines" ["why"]
        "Lines of the gateway's own log that were lost: its output took none, or they came faster than they can be written."

    PANICS "swapgate_panics_total" Counter "panics" ["where"]
        "Panics of the gateway's own code, by what each cost: one exchange, one connection, nothing but time; see docs/faults.md."
    BUILD "swapgate_build_info" Gauge "1" ["version" "abi"]
        "Always 1; its labels say which gateway this is and which plugin contract it has."
    PROCESS_CPU "process_cpu_seconds_total" Counter "seconds" []
        "User and system time of the process."
    PROCESS_RESIDENT "process_resident_memory_bytes" Gauge "bytes" []
        "Resident memory of the process."
    PROCESS_VIRTUAL "process_virtual_memory_bytes" Gauge "bytes" []
        "Virtual memory of the process."
    PROCESS_FDS "process_open_fds" Gauge "descriptors" []
        "Open file descriptors."
    PROCESS_MAX_FDS "process_max_fds" Gauge "descriptors" []
        "How many file descriptors the process may open."
    PROCESS_START "process_start_time_seconds" Gauge "seconds" []
        "When the process started, in seconds since 1970."
    PROCESS_THREADS "process_threads" Gauge "threads" []
        "Threads of the process."
}

/// Whether a metric of the gateway's own is shown under this name, so that no plugin may have it.
#[must_use]
pub fn is_own(name: &str) -> bool {
    ALL.iter().any(|own| own.name == name)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn the_document_has_the_same_list() {
        let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        let document = std::fs::read_to_string(document).expect("docs/metrics.md is there");
        let mut lines = String::new();
        for Name {
            name,
            kind,
            unit,
            labels,
            help,
        } in ALL
        {
            let kind = format!("{kind:?}").to_lowercase();
            let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
            let labels = labels.join(", ");
            let _ = writeln!(lines, "| `{name}` | {kind} | {unit} | {labels} | {help} |");
        }
        let missing: Vec<&str> = lines
            .lines()
            .filter(|line| !document.contains(line))
            .collect();
        assert!(
            missing.is_empty(),
            "docs/metrics.md lacks:\n{}",
            missing.join("\n")
        );
        let rows = document
            .lines()
            .filter(|line| line.starts_with("| `swapgate_") || line.starts_with("| `process_"));
        assert_eq!(
            rows.count(),
            ALL.len(),
            "docs/metrics.md has other rows as well"
        );
    }

    #[test]
    fn counters_and_only_counters_end_in_total() {
        for name in ALL {
            assert_eq!(
                name.kind == Kind::Counter,
                name.name.ends_with("_total"),
                "{}",
                name.name
            );
        }
    }
}

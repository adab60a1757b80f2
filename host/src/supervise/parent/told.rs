//! What the log says of the end of a child.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use crate::fault::report::Report;

/// Says in one line what ended a child, and what becomes of that.
pub(super) fn tell(crashed: Option<&Report>, status: ExitStatus, then: &str) {
    match (crashed, status.code(), status.signal()) {
        (Some(report), ..) => {
            tracing::error!(
                target: "supervisor",
                plugin = report.plugin,
                digest = report.digest,
                hook = report.hook,
                route = report.route,
                request_id = report.request,
                image = report.image,
                worker = report.worker,
                signal = report.signal_name(),
                "{report}; {then}"
            );
        }
        (None, None, Some(signal)) => {
            let report = Report {
                signal,
                ..Report::default()
            };
            let signal = report.signal_name();
            tracing::error!(target: "supervisor", signal, "the serving process was ended by {signal} without a report; {then}");
        }
        (None, code, _) => {
            tracing::error!(target: "supervisor", code, "the serving process ended by itself; {then}");
        }
    }
}

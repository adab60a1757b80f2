//! The page for Prometheus: whatever routes, plugins and targets are called, a scraper reads every line of it.

use swapgate::metrics::book::Shown;
use swapgate::metrics::names;
use swapgate::metrics::page::{Family, Page};
use swapgate::metrics::series::Reading;
use swapgate_plugin::metric::{Declared, Kind};

use crate::input::Input;

/// Pieces: values for labels of a metric of the gateway's own; then what a plugin declares.
pub fn metrics(data: &[u8]) {
    let mut input = Input::new(data);
    let values = [input.text(), input.text(), input.text()];
    let number = f64::from_bits(u64::from(input.short()) << 48);
    let mut page = Page::default();
    let mut requests = Family::of(&names::REQUESTS);
    let labels: Vec<&str> = values.iter().map(String::as_str).collect();
    requests.number(&labels, number);
    page.add(requests);
    let mut durations = Family::of(&names::REQUEST_DURATION);
    durations.observations(&labels[..2], 0.5, 2, &[(0.1, 1)]);
    page.add(durations);
    let declared = declared(input);
    if let Some(shown) = &declared {
        page.add_plugin(shown);
    }
    let text = page.text().expect("a page");
    let read: Vec<Vec<(String, String)>> = text.lines().filter_map(sample).collect();
    let first: Vec<&str> = read[0].iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(first, labels, "a label says something else");
    if let Some(shown) = declared {
        let last = read.last().expect("a sample");
        assert_eq!(*last, shown.series[0].0);
    }
}

/// What a plugin declares and the contract admits.
fn declared(mut input: Input<'_>) -> Option<Shown> {
    let (name, help) = (input.piece(), input.piece());
    let mut labels = Vec::new();
    while !input.is_empty() {
        labels.push((input.piece(), input.piece()));
    }
    let declared = Declared {
        kind: Kind::Gauge,
        name,
        help,
        labels: &labels,
        bounds: &[],
    };
    let declared = declared.check().ok()?;
    Some(Shown {
        name: format!("swapgate_plugin_{}", declared.name),
        help: declared.help,
        kind: Kind::Gauge,
        series: vec![(declared.labels, Reading::Number(1.0))],
    })
}

/// The labels of a line, read as the description of the format says; none for a comment.
fn sample(line: &str) -> Option<Vec<(String, String)>> {
    if let Some(comment) = line.strip_prefix("# ") {
        let known = comment.starts_with("HELP swapgate_") || comment.starts_with("TYPE swapgate_");
        assert!(known, "{line:?}");
        return None;
    }
    let name = line
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(line.len());
    assert!(line.starts_with("swapgate_") && name > 0, "{line:?}");
    let mut rest = &line[name..];
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (label, after) = label(rest);
            labels.push(label);
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').expect("a blank before the value");
    assert!(value.parse::<f64>().is_ok() || ["+Inf", "-Inf", "NaN"].contains(&value));
    Some(labels)
}

fn label(text: &str) -> ((String, String), &str) {
    let (name, rest) = text.split_once("=\"").expect("a label");
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    assert!(!name.is_empty() && name.chars().all(plain), "{name:?}");
    let mut value = String::new();
    let mut chars = rest.char_indices();
    loop {
        match chars.next().expect("the end of a value") {
            (at, '"') => return ((name.to_owned(), value), &rest[at + 1..]),
            (_, '\\') => match chars.next().map(|(_, escaped)| escaped) {
                Some('n') => value.push('\n'),
                Some(c @ ('"' | '\\')) => value.push(c),
                other => panic!("an escape of {other:?}"),
            },
            (_, c) => value.push(c),
        }
    }
}

//! Series that images declare, share and leave behind.

use swapgate_plugin::HostError;
use swapgate_plugin::metric::SERIES;

use super::*;

fn declaration(kind: Kind, name: &str, label: &str) -> Declaration {
    Declaration {
        kind,
        name: name.to_owned(),
        help: "What it means.".to_owned(),
        labels: vec![("by".to_owned(), label.to_owned())],
        bounds: match kind {
            Kind::Histogram => vec![0.1, 1.0],
            _ => Vec::new(),
        },
    }
}

fn counter(label: &str) -> Declaration {
    declaration(Kind::Counter, "hits", label)
}

/// The name and the numbers of everything in the book.
fn numbers(book: &Book) -> Vec<(String, Vec<Reading>)> {
    let shown = book.scrape().into_iter();
    shown
        .map(|shown| {
            let readings = shown.series.into_iter().map(|(_, reading)| reading);
            (shown.name, readings.collect())
        })
        .collect()
}

#[test]
fn a_count_survives_a_swap_and_ends_with_the_last_image() {
    let book = Book::new(1);
    let (old, new) = (
        ImageMetrics::new(&book, "a-b"),
        ImageMetrics::new(&book, "a-b"),
    );
    let token = old.declare(counter("key")).unwrap();
    old.find(token).unwrap().add(2.0).unwrap();
    assert_eq!(old.declare(counter("key")), Ok(token), "another instance");
    let next = new.declare(counter("key")).unwrap();
    old.end_life();
    assert_eq!(old.find(token).map(drop), Err(HostError::Stale));
    new.find(next).unwrap().add(1.0).unwrap();
    let hits = |number| {
        vec![(
            "swapgate_plugin_a_b_hits_total".to_owned(),
            vec![Reading::Number(number)],
        )]
    };
    assert_eq!(numbers(&book), hits(3.0));
    drop(new);
    assert_eq!(numbers(&book), hits(3.0), "shown for the last time");
    assert!(book.is_empty());
    let again = old.declare(counter("key")).unwrap();
    assert_ne!(again, token);
    assert_eq!(numbers(&book), hits(3.0), "the image still knew it");
}

#[test]
fn what_images_leave_over_does_not_pile_up_without_a_scrape() {
    let book = Book::new(0);
    for version in 0..100 {
        let image = ImageMetrics::new(&book, "a");
        let declared = declaration(Kind::Counter, &format!("hits_{version}"), "key");
        image.declare(declared).unwrap();
        image.end_life();
        drop(image);
        assert_eq!(book.len(), 1, "what was left last waits for a scrape");
    }
}

#[test]
fn an_image_that_comes_back_again_and_again_needs_no_more_places() {
    let book = Book::new(0);
    let image = ImageMetrics::new(&book, "a");
    for _ in 0..3 * SERIES {
        let token = image.declare(counter("key")).unwrap();
        image.find(token).unwrap().add(1.0).unwrap();
        image.end_life();
        drop(book.scrape());
    }
    assert_eq!(
        image
            .places()
            .iter()
            .filter(|place| place.series.get().is_some())
            .count(),
        1
    );
}

#[test]
fn a_name_keeps_its_meaning_while_somebody_holds_it() {
    let book = Book::new(0);
    let (one, other) = (ImageMetrics::new(&book, "a"), ImageMetrics::new(&book, "a"));
    one.declare(declaration(Kind::Gauge, "level", "x")).unwrap();
    let histogram = declaration(Kind::Histogram, "level", "x");
    assert_eq!(other.declare(histogram.clone()), Err(HostError::Invalid));
    let mut renamed = declaration(Kind::Gauge, "level", "x");
    renamed.labels[0].0 = "of".to_owned();
    assert_eq!(other.declare(renamed), Err(HostError::Invalid));
    one.end_life();
    other.declare(histogram).unwrap();
    assert_eq!(book.scrape()[0].kind, Kind::Histogram);
    let sampled = ImageMetrics::new(&book, "sampled");
    let own = declaration(Kind::Counter, "seconds", "x");
    assert_eq!(sampled.declare(own), Err(HostError::Invalid));
    // Two plugins whose names would be shown as one.
    let (long, short) = (
        ImageMetrics::new(&book, "b-c"),
        ImageMetrics::new(&book, "b"),
    );
    long.declare(declaration(Kind::Gauge, "d", "x")).unwrap();
    let clash = declaration(Kind::Gauge, "c_d", "x");
    assert_eq!(short.declare(clash), Err(HostError::Invalid));
}

#[test]
fn an_image_may_declare_so_many_series_and_no_more() {
    let book = Book::new(0);
    let image = ImageMetrics::new(&book, "a");
    for number in 0..SERIES {
        image.declare(counter(&number.to_string())).unwrap();
    }
    assert_eq!(image.declare(counter("more")), Err(HostError::TooLarge));
    assert_eq!(book.len(), SERIES);
    image.end_life();
    let more = image.declare(counter("more"));
    assert_eq!(more, Err(HostError::TooLarge), "no place is given back");
    image.declare(counter("0")).unwrap();
}

#[test]
fn a_token_of_another_image_harms_nobody() {
    let book = Book::new(0);
    let (one, other) = (ImageMetrics::new(&book, "a"), ImageMetrics::new(&book, "b"));
    let token = one.declare(counter("key")).unwrap();
    for token in [token, 0, token + 1, u64::MAX] {
        assert_eq!(other.find(token).map(drop), Err(HostError::Stale));
    }
}

#[test]
fn observations_are_counted_under_their_bounds() {
    let book = Book::new(0);
    let image = ImageMetrics::new(&book, "a");
    let token = image
        .declare(declaration(Kind::Histogram, "wait_seconds", "x"))
        .unwrap();
    let series = image.find(token).unwrap();
    for value in [0.1, 0.05, 1.0, 7.0, -1.0] {
        series.observe(value).unwrap();
    }
    assert_eq!(series.add(1.0), Err(HostError::Invalid));
    assert_eq!(series.observe(f64::NAN), Err(HostError::Invalid));
    let Reading::Histogram {
        sum,
        count,
        buckets,
    } = series.read()
    else {
        panic!("no histogram")
    };
    assert!((sum - 7.15).abs() < 1e-9);
    assert_eq!((count, buckets), (5, vec![(0.1, 3), (1.0, 4)]));
}

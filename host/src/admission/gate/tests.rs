//! Who gets a place, and when.

use std::rc::Rc;
use std::sync::atomic::AtomicUsize;

use super::*;

fn limits(requests: usize, queue: usize) -> Concurrency {
    Concurrency {
        requests,
        queue,
        wait: Duration::from_secs(3600),
    }
}

fn door(requests: usize, queue: usize) -> Rc<Door> {
    let gate = Gate::new(Arc::from("users"), limits(requests, queue));
    Door::new(&Arc::new(gate))
}

#[track_caller]
fn enter(door: &Rc<Door>) -> Permit {
    match door.ask() {
        Asked::Enter(permit) => permit,
        other => panic!("no place: {other:?}"),
    }
}

#[track_caller]
fn queue(door: &Rc<Door>) -> Waiting {
    match door.ask() {
        Asked::Wait(waiting) => waiting,
        other => panic!("no queue: {other:?}"),
    }
}

#[track_caller]
fn check(door: &Rc<Door>, in_flight: u64, waiting: u64) {
    let figures = door.gate().figures();
    assert_eq!((figures.in_flight, figures.waiting), (in_flight, waiting));
}

fn called(waiting: &mut Waiting) -> bool {
    waiting.called.try_recv().is_ok()
}

#[test]
fn no_more_than_places_and_room() {
    let door = door(2, 1);
    let (one, two) = (enter(&door), enter(&door));
    let mut third = queue(&door);
    assert!(matches!(door.ask(), Asked::Full));
    assert!(door.try_enter().is_none());
    check(&door, 2, 1);
    drop(one);
    assert!(called(&mut third));
    check(&door, 2, 0);
    drop((two, third));
    check(&door, 0, 0);
}

#[test]
fn who_came_first_is_first_and_who_left_is_passed_over() {
    let door = door(1, 3);
    let one = enter(&door);
    let (mut a, b, mut c) = (queue(&door), queue(&door), queue(&door));
    drop(b);
    check(&door, 1, 2);
    drop(one);
    assert!(called(&mut a) && !called(&mut c));
    drop(a);
    assert!(called(&mut c), "a place that nobody took goes on");
    check(&door, 1, 0);
}

#[test]
fn more_and_fewer_places_keep_the_count() {
    let door = door(1, 9);
    let first = enter(&door);
    let (mut a, mut b, mut c) = (queue(&door), queue(&door), queue(&door));
    door.gate().set(limits(3, 9));
    assert!(called(&mut a) && called(&mut b) && !called(&mut c));
    check(&door, 3, 1);
    door.gate().set(limits(1, 0));
    drop((first, a));
    check(&door, 1, 1);
    assert!(!called(&mut c));
    drop(b);
    assert!(called(&mut c));
    check(&door, 1, 0);
    assert!(matches!(door.ask(), Asked::Full));
    drop(c);
    check(&door, 0, 0);
}

#[tokio::test]
async fn patience_has_an_end() {
    let door = door(1, 1);
    let soon = Duration::from_millis(1);
    let concurrency = Concurrency {
        wait: soon,
        ..limits(1, 1)
    };
    door.gate().set(concurrency);
    let one = enter(&door);
    assert!(queue(&door).wait().await.is_none());
    check(&door, 1, 0);
    assert_eq!(door.gate().figures().late, 1);
    door.gate().set(limits(1, 1));
    let waiting = queue(&door);
    drop(one);
    assert!(waiting.wait().await.is_some());
    check(&door, 0, 0);
}

#[test]
fn threads_that_come_wait_and_leave_never_exceed_it() {
    const PLACES: usize = 3;
    let gate = Arc::new(Gate::new(Arc::from("users"), limits(PLACES, 1000)));
    let (now, served) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (gate, now, served) = (&gate, &now, &served);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = { runtime }.enable_time().build().unwrap();
                let work = async {
                    let door = Door::new(gate);
                    let one = |number: usize| {
                        let door = Rc::clone(&door);
                        let (now, served) = (Arc::clone(now), Arc::clone(served));
                        async move {
                            let permit = match door.ask() {
                                Asked::Enter(permit) => permit,
                                Asked::Wait(waiting) if number % 7 == thread => {
                                    return drop(waiting);
                                }
                                Asked::Wait(waiting) => waiting.wait().await.unwrap(),
                                Asked::Full => panic!("there is room"),
                            };
                            assert!(now.fetch_add(1, Ordering::SeqCst) < PLACES);
                            tokio::task::yield_now().await;
                            now.fetch_sub(1, Ordering::SeqCst);
                            served.fetch_add(1, Ordering::SeqCst);
                            drop(permit);
                        }
                    };
                    let tasks = tokio::task::LocalSet::new();
                    for round in 0..200 {
                        (0..10).for_each(|number| {
                            tasks.spawn_local(one(round * 10 + number));
                        });
                    }
                    tasks.await;
                };
                runtime.block_on(work);
            });
        }
    });
    assert!(served.load(Ordering::SeqCst) > 4 * 200);
    let figures = gate.figures();
    assert_eq!((figures.in_flight, figures.waiting), (0, 0));
}

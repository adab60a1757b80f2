//! Connections for callouts: each thread that waits for any keeps those of its own, so nothing is locked.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::metrics::traffic::Connections;
use crate::panics::{self, Part};
use crate::upstream::manner::{Destination, Identity};
use crate::upstream::pool::Pool;

/// How often the old ones are looked for.
const SWEEP: Duration = Duration::from_secs(5);

thread_local! {
    static POOLS: RefCell<HashMap<Identity, Rc<Pool>>> = RefCell::default();
    static SWEEPER: Cell<bool> = const { Cell::new(false) };
    /// Callouts stand in no account that anybody sees: those are about requests of clients.
    static ACCOUNT: Arc<Connections> = Arc::new(Connections::new(0));
}

/// The connections of this thread to a destination.
pub(super) fn pool(to: &Destination) -> Rc<Pool> {
    let pool = POOLS.with_borrow_mut(|pools| {
        let pool = pools
            .entry(to.identity())
            .or_insert_with(|| ACCOUNT.with(|account| Pool::new(to.clone(), account)));
        Rc::clone(pool)
    });
    if !SWEEPER.replace(true) {
        spawn_local(panics::lasting(Part::Upstream, sweep));
    }
    pool
}

/// Lets go of what is closed or grew old, until nothing is kept any more.
async fn sweep() {
    loop {
        sleep(SWEEP).await;
        let pools: Vec<_> = POOLS.with_borrow(|pools| pools.values().cloned().collect());
        // Outside of the list, for a task that is aborted may be one that looks at it.
        pools.iter().for_each(|pool| pool.sweep());
        drop(pools);
        let unused = |pool: &Rc<Pool>| Rc::strong_count(pool) == 1 && pool.is_empty();
        let gone: Vec<_> = POOLS.with_borrow_mut(|pools| {
            let gone = pools.extract_if(|_, pool| unused(pool));
            gone.collect()
        });
        drop(gone);
        if POOLS.with_borrow(HashMap::is_empty) {
            SWEEPER.set(false);
            return;
        }
    }
}

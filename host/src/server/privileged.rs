//! What is done with the rights that the process was started with: the configuration and the files it names are read, and
//! everything is bound. Then those rights are given up, and nothing of a plugin has run.

use std::net::SocketAddr;
use std::path::Path;

use tokio::net::TcpListener;

use super::{Error, Options};
use crate::config::ready::Config;
use crate::config::{self, ConfigError, Source, System};
use crate::control::apply::{Named, StartError};
use crate::life::privileges::{self, Account, PrivilegeError};
use crate::supervise::binder::Binder;
use crate::supervise::link::Link;

/// What was read and bound.
pub(super) struct Held {
    pub(super) source: Source,
    pub(super) config: Config,
    pub(super) binder: Binder,
    /// The socket of the admin listener.
    pub(super) admin: TcpListener,
    pub(super) named: Named,
}

/// Reads and binds, and becomes the user that the configuration names.
pub(super) fn hold(
    options: &Options,
    source: Result<Source, Vec<ConfigError>>,
) -> Result<Held, Error> {
    let (source, mut config) = configuration(options, source).map_err(Error::Config)?;
    supervised(options.link.as_deref(), &mut config)?;
    let account = Account::of(&config.process).map_err(not_so)?;
    options.passed.settle(&config);
    let binder = Binder::new(options.link.clone()).with_passed(options.passed.clone());
    let admin = bind_admin(&binder, config.admin.address)?;
    make_folder(&config.plugins_dir)?;
    let named = Named::start(&config).map_err(Error::Config)?;
    let ahead = binder.bind_ahead(&config, account.as_ref());
    ahead.map_err(StartError::Bind)?;
    if account.as_ref().is_some_and(Account::becomes) {
        let kept = binder.keep_last_text(&source.text);
        kept.map_err(|error| Error::Other(format!("the supervising process is gone: {error}")))?;
    }
    drop_privileges(account.as_ref(), &config, &named)?;
    Ok(Held {
        source,
        config,
        binder,
        admin,
        named,
    })
}

/// What the file says; or, where it is wrong and a process before this one crashed, what that one served: nobody asked for
/// a start, so the file has the time to be mended.
fn configuration(
    options: &Options,
    source: Result<Source, Vec<ConfigError>>,
) -> Result<(Source, Config), Vec<ConfigError>> {
    let read = source.and_then(|source| {
        let config = config::load(&source, &System)?;
        Ok((source, config))
    });
    let link = options.link.as_ref();
    // In an upgrade somebody asked for a start.
    let link = link.filter(|link| link.replaces().is_none());
    match (read, link.and_then(|link| link.served_text())) {
        (Err(errors), Some(text)) => {
            for error in &errors {
                tracing::error!(target: "control", "the configuration of before serves on: {error}");
            }
            let source = Source::of(&options.config, text);
            let config = config::load(&source, &System).map_err(|_| errors)?;
            Ok((source, config))
        }
        (read, _) => read,
    }
}

/// What a supervised process does before anything else.
fn supervised(link: Option<&Link>, config: &mut Config) -> Result<(), Error> {
    let Some(link) = link else {
        return Ok(());
    };
    #[cfg(target_os = "linux")]
    if link.is_supervised() {
        link.socket()
            .try_clone_to_owned()
            .and_then(crate::supervise::crash::install)
            .map_err(|error| {
                Error::Other(format!("cannot install the handler of crashes: {error}"))
            })?;
    }
    if let Some(workers) = link.workers().filter(|workers| *workers != config.workers) {
        tracing::warn!(target: "control", workers, "the number of workers stays {workers} until the gateway is restarted, because each has its sockets");
        config.workers = workers;
    }
    Ok(())
}

fn bind_admin(binder: &Binder, address: SocketAddr) -> Result<TcpListener, Error> {
    let bound = binder.bind_admin(address).and_then(TcpListener::from_std);
    bound.map_err(|error| {
        Error::Other(format!("the admin listener cannot bind {address}: {error}; end what listens there, or choose another address"))
    })
}

/// Makes the plugins folder where there is none, so that it can be watched; nobody else may write to it.
fn make_folder(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt as _;
    if path.exists() {
        return Ok(());
    }
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path);
    made.map_err(|error| {
        let path = path.display();
        Error::Other(format!("cannot make the plugins folder {path}: {error}; make it, or name another as plugins_dir"))
    })
}

/// Becomes the user that the configuration names: everything is bound, and nothing of a plugin has run.
fn drop_privileges(account: Option<&Account>, config: &Config, named: &Named) -> Result<(), Error> {
    let Some(account) = account else {
        return Ok(());
    };
    account.make_folder(&config.state_dir).map_err(not_so)?;
    account.become_it().map_err(not_so)?;
    account.can_write(&config.state_dir).map_err(not_so)?;
    if account.becomes() {
        let user = account.name();
        tracing::info!(target: "control", user, "dropped the privileges of root");
    }
    if let Some(warning) = privileges::unreadable(account, named.paths()) {
        tracing::warn!(target: "control", "{warning}");
    }
    Ok(())
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is what `map_err` wants to call"
)]
fn not_so(error: PrivilegeError) -> Error {
    Error::Other(error.to_string())
}

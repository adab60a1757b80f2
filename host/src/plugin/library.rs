//! Opens a private copy of a plugin file. Unsafe: code that comes from outside is mapped and its symbols are trusted
//! to have the types the contract gives them.

use std::fmt;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use abi_stable::library::{AbiHeaderRef, ROOT_MODULE_LOADER_NAME_WITH_NUL};
use libloading::os::unix::{Library as RawLibrary, RTLD_LOCAL, RTLD_NOW};
use swapgate_abi::{DOOR_REV, EntryFn, PluginRootRef, SgHost};

use crate::fault::label::ImageIdentity;
use crate::metrics::book::ImageMetrics;
use crate::plugin::config_hash::ConfigHash;
use crate::plugin::ffi::control::{RawInstance, Table};
use crate::plugin::ffi::host::{Grounds, HostTable, host_table};
use crate::plugin::image::{Digest, Door, Image, ImageKey};
use crate::plugin::instance::Instance;
use crate::plugin::refusal::Reason;

/// A mapped library. Dropping it leaves it mapped; only [`Library::close`] unmaps, because only the catalog knows
/// that nothing refers to it any more.
pub struct Library {
    raw: ManuallyDrop<RawLibrary>,
    path: PathBuf,
}

impl Library {
    /// Maps the private copy at `path`, all symbols resolved now. Runs the constructors of the library.
    ///
    /// # Errors
    /// What the system's loader says.
    pub fn open(path: &Path) -> Result<Self, Reason> {
        // SAFETY: the constructors must do no harm. The operator vouches for the file, inspection found a plugin in it
        // and the preflight ran the same bytes in a child first. The copy is ours and read-only, so that the mapped
        // bytes stay what they are for as long as the library is mapped.
        let raw = unsafe { RawLibrary::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
        Ok(Self {
            raw: ManuallyDrop::new(raw.map_err(|error| Reason::Dlopen {
                error: dlopen_text(&error, path),
            })?),
            path: path.to_owned(),
        })
    }

    /// Where the private copy lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The entry function behind a door. `checked` compares the layout of the Rust door, which is for the preflight
    /// only: the check keeps references into the library, and to unmap it afterwards would be fatal.
    ///
    /// # Errors
    /// The symbol is missing, or the Rust door does not fit.
    pub fn entry(&self, door: Door, checked: bool) -> Result<EntryFn, Reason> {
        match door {
            Door::C => self.c_entry(),
            Door::Rust => self.rust_entry(checked),
        }
    }

    /// Unmaps the library, if nothing else in the process holds it.
    ///
    /// # Safety
    /// No code and no memory of the library may be used from now on, by any thread.
    pub unsafe fn close(self) {
        let raw = ManuallyDrop::into_inner(self.raw);
        // The answer says nothing about whether the library is gone; `mapped` looks.
        let _ = raw.close();
    }

    fn c_entry(&self) -> Result<EntryFn, Reason> {
        // SAFETY: the symbol must be a function of this type. The contract says so, and inspection found the
        // descriptor with our version of the contract in the same file. The pointer is used while the library is mapped.
        let symbol = unsafe {
            self.raw
                .get::<EntryFn>(c"sg_plugin_entry".to_bytes_with_nul())
        };
        symbol.map(|entry| *entry).map_err(|_| Reason::NoEntry {
            symbol: swapgate_abi::ENTRY_SYMBOL.to_owned(),
        })
    }

    fn header(&self) -> Result<AbiHeaderRef, Reason> {
        let name = ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes();
        // SAFETY: the symbol must be a pointer to an `abi_stable` header. Its mangled name carries that promise; the
        // header begins with a magic string that `upgrade` compares. It is used while the library is mapped.
        let symbol = unsafe { self.raw.get::<AbiHeaderRef>(name) };
        symbol.map(|header| *header).map_err(|_| Reason::Layout {
            error: "it has no abi_stable header".to_owned(),
        })
    }

    fn rust_entry(&self, checked: bool) -> Result<EntryFn, Reason> {
        let layout = |error: abi_stable::library::LibraryError| Reason::Layout {
            error: one_line(&error.to_string()),
        };
        let header = self.header()?.upgrade().map_err(layout)?;
        let root = if checked {
            header.init_root_module::<PluginRootRef>()
        } else {
            // SAFETY: the root module must have the layout of `PluginRootRef`. The preflight compared it, on the same
            // bytes, with the same build of the gateway. The reference is not kept beyond this function.
            unsafe { header.init_root_module_with_unchecked_layout::<PluginRootRef>() }
        }
        .map_err(layout)?;
        if root.door_rev() != DOOR_REV {
            return Err(Reason::Layout {
                error: format!("its door has revision {}, not {DOOR_REV}", root.door_rev()),
            });
        }
        let entry = root.entry();
        // SAFETY: the pointer must be an `EntryFn`. The frozen root module documents that it is, made opaque only so that
        // the layout check sees an address. It is called while the library is mapped.
        Ok(unsafe { std::mem::transmute::<extern "C" fn(), EntryFn>(entry) })
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Library({})", self.path.display())
    }
}

/// A mapped library and the host table it is given. Dropping it leaves both where they are.
pub struct Mapped {
    digest: Digest,
    identity: Arc<ImageIdentity>,
    door: Door,
    /// Freed only after unmapping: threads of the plugin may look at it for as long as its code is there.
    host: ManuallyDrop<Box<HostTable>>,
    library: Library,
}

/// Whose call of the entry function it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The serving process.
    Serve,
    /// The throw-away child, which also compares the layout of the Rust door.
    Preflight,
}

impl Mapped {
    /// Opens the copy at `path`; `door` is the one it will be entered through, `grounds` what its host table
    /// is made of.
    ///
    /// # Errors
    /// What the system's loader says.
    pub fn open(
        path: &Path,
        digest: Digest,
        identity: &Arc<ImageIdentity>,
        door: Door,
        grounds: &Grounds,
    ) -> Result<Arc<Self>, Reason> {
        Ok(Arc::new(Self {
            library: Library::open(path)?,
            digest,
            identity: Arc::clone(identity),
            door,
            host: ManuallyDrop::new(host_table(Arc::clone(identity), grounds)),
        }))
    }

    /// Finds the door.
    ///
    /// # Errors
    /// It is missing, or does not fit.
    pub fn find_door(self: &Arc<Self>, mode: Mode) -> Result<FoundDoor, Reason> {
        let entry = self.library.entry(self.door, mode == Mode::Preflight)?;
        Ok(FoundDoor {
            mapped: Arc::clone(self),
            entry,
            mode,
        })
    }

    /// Who it is.
    #[must_use]
    pub fn identity(&self) -> &Arc<ImageIdentity> {
        &self.identity
    }

    /// What makes it the same as another one.
    #[must_use]
    pub fn key(&self) -> ImageKey {
        ImageKey {
            digest: self.digest,
            door: self.door,
        }
    }

    /// The door it is entered through.
    #[must_use]
    pub fn door(&self) -> Door {
        self.door
    }

    /// The host table it is given.
    #[must_use]
    pub fn host(&self) -> &SgHost {
        &self.host
    }

    /// Says which image calls through its host table from now on.
    pub(super) fn belongs_to(&self, image: &Arc<Image>) {
        self.host.belongs_to(image);
    }

    /// What it counts.
    #[must_use]
    pub fn metrics(&self) -> &ImageMetrics {
        self.host.metrics()
    }

    /// Where the private copy lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.library.path()
    }

    /// Unmaps the library, if this is the last holder; gives it back otherwise. Answers where it lay. Only for an image
    /// whose `unload` returned and whose file proves that nothing else can refer to it.
    ///
    /// # Errors
    /// Somebody else holds it.
    pub fn unmap(self: Arc<Self>) -> Result<PathBuf, Arc<Self>> {
        let Self { host, library, .. } = Arc::try_unwrap(self)?;
        let path = library.path().to_owned();
        // SAFETY: nothing may use the library any more. Every table, image and instance holds a count of this `Mapped`,
        // and it was the last one; what else could refer to the library, the catalog has ruled out by the file.
        unsafe { library.close() };
        // The destructors of the plugin have run now, and with them its last look at the host table.
        drop(ManuallyDrop::into_inner(host));
        Ok(path)
    }
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mapped({}@{})", self.identity.id, self.identity.version)
    }
}

/// The way into a mapped library.
pub struct FoundDoor {
    mapped: Arc<Mapped>,
    entry: EntryFn,
    mode: Mode,
}

impl FoundDoor {
    /// Calls the entry function, and checks and copies the table it hands out.
    ///
    /// # Errors
    /// The plugin refuses, or its table is wrong.
    pub fn enter(self) -> Result<Arc<Loaded>, Reason> {
        let preflight = self.mode == Mode::Preflight;
        let mapped = self.mapped;
        let table = Table::enter(self.entry, mapped.host(), mapped.identity(), preflight)?;
        Ok(Arc::new(Loaded { mapped, table }))
    }
}

/// A mapped library that was entered: the functions of the plugin, and the library that keeps them valid.
#[derive(Debug)]
pub struct Loaded {
    table: Table,
    mapped: Arc<Mapped>,
}

impl Loaded {
    /// The functions of the plugin.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The library they stand in.
    #[must_use]
    pub fn mapped(&self) -> &Arc<Mapped> {
        &self.mapped
    }
}

/// Makes the instance around what `configure` of this image yielded.
pub(super) fn instance(
    image: Arc<Image>,
    loaded: &Loaded,
    raw: RawInstance,
    config: ConfigHash,
    workers: usize,
) -> Instance {
    // SAFETY: hooks and instance must belong together: `raw` came from `configure` of this table. The image must stay
    // mapped: the instance holds it, and hands it on with itself when it is dropped.
    let bound = unsafe { loaded.table().bind(raw) };
    let priority = loaded.table().priority;
    Instance::new(image, (raw, bound), priority, config, workers)
}

/// The loader's own words, without the path of the private copy, which nobody but us knows.
fn dlopen_text(error: &libloading::Error, path: &Path) -> String {
    let text = match error {
        libloading::Error::DlOpen { source, .. } => source.to_string(),
        other => other.to_string(),
    };
    let path = path.display().to_string();
    let text = text.replace(&format!("{path}: "), "").replace(&path, "it");
    one_line(&text)
}

fn one_line(text: &str) -> String {
    const LIMIT: usize = 600;
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    if line.chars().count() <= LIMIT {
        return line;
    }
    let start: String = line.chars().take(LIMIT).collect();
    format!("{start}...")
}

//! What is mapped into this process, as the system's loader tells it. Unsafe: one call with a callback.

use std::ffi::{CStr, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Whether the library at `path` is mapped.
#[must_use]
pub fn is_mapped(path: &Path) -> bool {
    !ranges(path).is_empty()
}

/// The address ranges a library occupies: one for each copy mapped under this path.
#[must_use]
pub fn ranges(path: &Path) -> Vec<std::ops::Range<usize>> {
    let mut search = Search {
        path: path.as_os_str().as_bytes(),
        found: Vec::new(),
    };
    let data: *mut Search<'_> = &raw mut search;
    // SAFETY: the callback must get the data it expects. It is called only during this call, with the pointer made
    // above, and `search` is not touched meanwhile.
    unsafe { libc::dl_iterate_phdr(Some(visit), data.cast()) };
    search.found
}

struct Search<'a> {
    path: &'a [u8],
    found: Vec<std::ops::Range<usize>>,
}

unsafe extern "C" fn visit(
    info: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    data: *mut c_void,
) -> c_int {
    // SAFETY: `data` is the `Search` that `ranges` passed and nobody else uses during the walk.
    let search = unsafe { &mut *data.cast::<Search<'_>>() };
    // SAFETY: the loader passes a valid record that stays unchanged for this call.
    let info = unsafe { &*info };
    if info.dlpi_name.is_null() {
        return 0;
    }
    // SAFETY: the loader keeps the name of each library as a C string while it holds its own lock, as during this walk.
    let name = unsafe { CStr::from_ptr(info.dlpi_name) };
    if name.to_bytes() == search.path {
        search.found.push(extent(info));
    }
    0
}

fn extent(info: &libc::dl_phdr_info) -> std::ops::Range<usize> {
    if info.dlpi_phdr.is_null() {
        return 0..0;
    }
    // SAFETY: the loader says how many program headers there are, and they stay mapped during the walk.
    let headers =
        unsafe { std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) };
    let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    let base = number(info.dlpi_addr);
    let end = headers
        .iter()
        .filter(|header| header.p_type == libc::PT_LOAD)
        .map(|header| number(header.p_vaddr.saturating_add(header.p_memsz)))
        .max()
        .unwrap_or(0);
    base..base.saturating_add(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_there_and_nothing_else() {
        assert!(!is_mapped(Path::new("/nowhere/at/all.so")));
    }
}

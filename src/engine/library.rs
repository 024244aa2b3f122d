//! The media library as a file: where it is, that it is the pinned one, and its four C functions.
//!
//! Decides when the file is refused (missing, another version, damaged), and that an image somebody else in this process
//! uses is left to them: a copy of it is loaded. Refuses to unload it, ever: its threads run until the process ends.
#![allow(unsafe_code)]

use std::ffi::c_char;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::engine::wire::Abi;
use crate::engine::EngineError;

/// The version of the library's protocol that `proto` was generated from.
pub(super) const VERSION: &str = "0.12.80";

const SDK: &std::ffi::CStr = c"node";
const PATH_VARIABLE: &str = "ROOMHOOK_ENGINE_PATH";

#[cfg(target_os = "linux")]
const FILE_NAME: &str = "liblivekit_ffi.so";
#[cfg(target_os = "macos")]
const FILE_NAME: &str = "liblivekit_ffi.dylib";
#[cfg(not(any(target_os = "linux", target_os = "macos")))]
const FILE_NAME: &str = "livekit_ffi.dll";

/// The library in the pinned wheel (`livekit` 1.1.21) of one platform, in the words of `std::env::consts`.
struct Pin {
    os: &'static str,
    arch: &'static str,
    bytes: u64,
    sha256: &'static str,
}

const PINS: &[Pin] = &[
    Pin {
        os: "linux",
        arch: "x86_64",
        bytes: 28_196_848,
        sha256: "05a58fc83b3515cd4e984a66c69c22e0aad09eadb6e972edde626488dafbf5ad",
    },
    Pin {
        os: "linux",
        arch: "aarch64",
        bytes: 22_872_776,
        sha256: "8550643d4d19d5426965a4743c1626dde68c717ee44bc82d45d220a5a3162e9a",
    },
    Pin {
        os: "macos",
        arch: "aarch64",
        bytes: 18_286_592,
        sha256: "41ad8dfc42f2cf0e959231947556d961e49f9d402511a96ee3c230463139d735",
    },
    Pin {
        os: "macos",
        arch: "x86_64",
        bytes: 23_152_200,
        sha256: "e635bde8a0d1fb1158d0a7909d91fcf51722b9ab16d3055c9956e0d520ebc830",
    },
    Pin {
        os: "windows",
        arch: "x86_64",
        bytes: 25_057_792,
        sha256: "6795bb63c0a72566d68243d3bd0b40ee5c2a122bbaf8f6db9021a8bbd8bc4e43",
    },
];

static DIRECTORY: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Where to look for the library unless `ROOMHOOK_ENGINE_PATH` names the file: the folder of the addon.
pub fn set_library_dir(dir: PathBuf) {
    *DIRECTORY.lock() = Some(dir);
}

/// The absolute path of the library's file.
pub(super) fn locate() -> Result<PathBuf, EngineError> {
    let named = std::env::var_os(PATH_VARIABLE)
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    let beside = || {
        let dir = DIRECTORY.lock();
        dir.as_ref().map(|dir| dir.join(FILE_NAME))
    };
    let path = named.or_else(beside).ok_or_else(|| {
        EngineError::Unavailable(format!(
            "the media library's place is unknown: set {PATH_VARIABLE} to the path of {FILE_NAME}"
        ))
    })?;
    std::path::absolute(&path).map_err(|error| unreadable(&path, &error))
}

fn unreadable(path: &Path, error: &std::io::Error) -> EngineError {
    EngineError::Unavailable(format!(
        "the media library cannot be read at {}: {error}; reinstall roomhook with its optional dependencies, \
         or set {PATH_VARIABLE} to the path of {FILE_NAME}",
        path.display()
    ))
}

/// Refuses every file but the pinned one. Reads the whole file: 28 MB, once per process.
pub(super) fn verify(path: &Path) -> Result<(), EngineError> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let Some(pin) = PINS.iter().find(|pin| pin.os == os && pin.arch == arch) else {
        return Err(EngineError::Unavailable(format!(
            "LiveKit publishes no media library for {os} on {arch}: expected linux or macos on x86_64 or aarch64, \
             or windows on x86_64"
        )));
    };
    let wrong = |found: String| {
        EngineError::Unavailable(format!(
            "the file at {} is not the media library this version of roomhook was built for \
             (livekit_ffi {VERSION}): {found}; reinstall roomhook",
            path.display()
        ))
    };
    let mut file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let length = file
        .metadata()
        .map_err(|error| unreadable(path, &error))?
        .len();
    if length != pin.bytes {
        let expected = pin.bytes;
        return Err(wrong(format!("expected {expected} bytes, got {length}")));
    }
    let mut hasher = Sha256::new();
    let mut block = vec![0_u8; 1 << 18];
    loop {
        match file.read(&mut block) {
            Ok(0) => break,
            Ok(read) => hasher.update(&block[..read]),
            Err(error) => return Err(unreadable(path, &error)),
        }
    }
    let found = hex::encode(hasher.finalize());
    if found != pin.sha256 {
        let expected = pin.sha256;
        return Err(wrong(format!("expected SHA-256 {expected}, got {found}")));
    }
    Ok(())
}

/// What receives the library's encoded events. The bytes are valid during the call.
pub(super) type EventCallback = extern "C" fn(*const u8, usize);

type Initialize = unsafe extern "C" fn(EventCallback, bool, *const c_char, *const c_char);
type Request = unsafe extern "C" fn(*const u8, usize, *mut *const u8, *mut usize) -> u64;
type DropHandle = unsafe extern "C" fn(u64) -> bool;

pub(super) struct Library {
    initialize: Initialize,
    request: Request,
    drop_handle: DropHandle,
}

impl Library {
    /// Loads the file for the rest of the process.
    pub(super) fn load(path: &Path) -> Result<Library, EngineError> {
        let copy = is_loaded(path).then(|| Copy::of(path)).transpose()?;
        let path = copy.as_ref().map_or(path, |copy| &copy.0);
        // SAFETY: the file was verified to be the pinned library, whose initialisers need nothing from the caller.
        let image = unsafe { open(path) }.map_err(|error| {
            EngineError::Unavailable(format!(
                "the media library at {} cannot be loaded: {error}. The usual causes are musl libc \
                 (Alpine; not supported), a file system mounted noexec, and glibc older than 2.28",
                path.display()
            ))
        })?;
        // The image is never unloaded, so the functions below live as long as the process.
        let image: &'static libloading::Library = Box::leak(Box::new(image));
        let missing = |error: libloading::Error| {
            EngineError::Unavailable(format!(
                "the media library at {} lacks a function: {error}; reinstall roomhook",
                path.display()
            ))
        };
        // SAFETY: the types are those of the C ABI in the library's header and `cabi.rs` at the pinned version.
        unsafe {
            Ok(Library {
                initialize: *image
                    .get::<Initialize>(c"livekit_ffi_initialize")
                    .map_err(missing)?,
                request: *image
                    .get::<Request>(c"livekit_ffi_request")
                    .map_err(missing)?,
                drop_handle: *image
                    .get::<DropHandle>(c"livekit_ffi_drop_handle")
                    .map_err(missing)?,
            })
        }
    }

    /// Starts the library's runtime. Must be called once: a second call would replace the callback.
    pub(super) fn initialize(&self, callback: EventCallback, capture_logs: bool) {
        let version = concat!(env!("CARGO_PKG_VERSION"), "\0");
        // SAFETY: both strings end in NUL and are copied by the library; the callback lives as long as the process.
        unsafe {
            (self.initialize)(
                callback,
                capture_logs,
                SDK.as_ptr(),
                version.as_ptr().cast(),
            );
        }
    }
}

#[cfg(unix)]
unsafe fn open(path: &Path) -> Result<libloading::Library, libloading::Error> {
    use libloading::os::unix;
    // SAFETY: passed on to the caller, who knows the file.
    unsafe { unix::Library::open(Some(path), unix::RTLD_LOCAL | unix::RTLD_NOW) }.map(Into::into)
}

#[cfg(not(unix))]
unsafe fn open(path: &Path) -> Result<libloading::Library, libloading::Error> {
    // SAFETY: passed on to the caller, who knows the file.
    unsafe { libloading::Library::new(path) }
}

/// Whether an image of this file is in the process. It has one callback, so whoever loaded it would go deaf if we started
/// it again: another copy of this package, told to use the same file, or given it by a package manager that links files.
#[cfg(unix)]
fn is_loaded(path: &Path) -> bool {
    use libloading::os::unix;
    const RTLD_NOLOAD: std::ffi::c_int = if cfg!(target_os = "macos") { 16 } else { 4 };
    // SAFETY: with RTLD_NOLOAD nothing is loaded and no initialiser runs; the reference is given back at once.
    unsafe { unix::Library::open(Some(path), unix::RTLD_LAZY | RTLD_NOLOAD) }.is_ok()
}

#[cfg(not(unix))]
fn is_loaded(path: &Path) -> bool {
    libloading::os::windows::Library::open_already_loaded(path).is_ok()
}

/// A copy of the library's file, so that it is an image of its own: 28 MB in the folder for temporary files, gone from
/// there once it is loaded (but on Windows, which keeps the file of an image).
struct Copy(PathBuf);

impl Copy {
    fn of(path: &Path) -> Result<Copy, EngineError> {
        let failed = |error: std::io::Error| {
            EngineError::Unavailable(format!(
                "the media library at {} is in use by another copy of roomhook in this process, and cannot be copied to \
                 the folder for temporary files: {error}",
                path.display()
            ))
        };
        let mut name = [0; 8];
        getrandom::fill(&mut name)
            .map_err(|error| failed(std::io::Error::other(error.to_string())))?;
        let copy = std::env::temp_dir().join(format!("roomhook-{}-{FILE_NAME}", hex::encode(name)));
        let mut to = File::create_new(&copy).map_err(failed)?;
        let copy = Copy(copy);
        let mut from = File::open(path).map_err(failed)?;
        std::io::copy(&mut from, &mut to).map_err(failed)?;
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Abi for Library {
    fn request(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut data = std::ptr::null();
        let mut length = 0;
        // SAFETY: the request is valid for the call; the library writes where its response lies.
        let handle =
            unsafe { (self.request)(message.as_ptr(), message.len(), &mut data, &mut length) };
        if handle == 0 || data.is_null() {
            return None;
        }
        // SAFETY: the response stays where it is until its handle is dropped, which is right below.
        let response = unsafe { std::slice::from_raw_parts(data, length) }.to_vec();
        self.drop_handle(handle);
        Some(response)
    }

    fn drop_handle(&self, handle: u64) -> bool {
        // SAFETY: the function takes any number and answers `false` for one it does not know.
        unsafe { (self.drop_handle)(handle) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_does_not_load_names_the_path_the_loader_and_the_usual_causes() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(FILE_NAME);
        std::fs::write(&path, b"not an image").expect("writable");
        let refused = Library::load(&path).err().expect("no image").to_string();
        let shown = path.display().to_string();
        for part in [shown.as_str(), "musl", "noexec", "glibc", "2.28"] {
            assert!(refused.contains(part), "{part}: {refused}");
        }
    }
}

//! What the library points to: bytes and samples that are valid until their handle is given back.
//!
//! Decides that a null pointer, an odd address or an absurd size is nothing. Refuses to keep the memory: callers copy.
#![allow(unsafe_code)]

/// The most bytes a single buffer of the library can hold; anything larger is a misread message.
const MAX_BYTES: usize = 1 << 30;

/// The `length` values at `address`.
///
/// # Safety
/// `address` and `length` come from one message of the library, and the handle of that message outlives the slice.
pub(super) unsafe fn slice<'a, T: Copy>(address: u64, length: u64) -> &'a [T] {
    let (Ok(address), Ok(length)) = (usize::try_from(address), usize::try_from(length)) else {
        return &[];
    };
    let size = length.saturating_mul(std::mem::size_of::<T>());
    if address == 0 || !address.is_multiple_of(std::mem::align_of::<T>()) || size > MAX_BYTES {
        return &[];
    }
    // SAFETY: the caller vouches for the memory; null, misaligned and oversized slices were turned away.
    unsafe { std::slice::from_raw_parts(address as *const T, length) }
}

//! Who sees the frames of a stream in Rust, before JavaScript does: each tap in turn, in order. The lane of a `FrameHub`,
//! by which JavaScript gets them, is one; voice detection would be another, in front of it.

use parking_lot::Mutex;

use crate::audio::format::Format;

/// Something that sees every frame of one stream, on a thread of the media library: it copies and returns at once.
pub trait Tap: Send {
    /// One frame of interleaved samples, valid during the call.
    fn frame(&mut self, samples: &[i16], format: Format);
    /// No more frames will come. Called once, before the tap is dropped.
    fn end(&mut self);
}

/// The taps of one stream. **Every tap sees every frame, in order, then one end, then nothing.**
pub struct Taps(Mutex<Vec<Box<dyn Tap>>>);

impl Taps {
    pub fn new(taps: Vec<Box<dyn Tap>>) -> Taps {
        Taps(Mutex::new(taps))
    }

    /// Shows a frame to every tap; an empty one is nothing.
    pub fn frame(&self, samples: &[i16], format: Format) {
        if samples.is_empty() {
            return;
        }
        for tap in self.0.lock().iter_mut() {
            tap.frame(samples, format);
        }
    }

    /// Tells every tap that it has seen the last frame. Repeating is harmless.
    pub fn end(&self) {
        for mut tap in std::mem::take(&mut *self.0.lock()) {
            tap.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    struct Log(&'static str, Arc<Mutex<Vec<String>>>);

    impl Tap for Log {
        fn frame(&mut self, samples: &[i16], _: Format) {
            self.1.lock().push(format!("{} {samples:?}", self.0));
        }

        fn end(&mut self) {
            self.1.lock().push(format!("{} end", self.0));
        }
    }

    #[test]
    fn every_tap_sees_every_frame_in_order_then_one_end_then_nothing() {
        let seen = Arc::default();
        let tap = |name| -> Box<dyn Tap> { Box::new(Log(name, Arc::clone(&seen))) };
        let taps = Taps::new(vec![tap("a"), tap("b")]);
        let mono = Format {
            sample_rate: 48_000,
            channels: 1,
        };
        taps.frame(&[1, 2], mono);
        taps.frame(&[], mono);
        taps.end();
        taps.frame(&[3], mono);
        taps.end();
        assert_eq!(*seen.lock(), ["a [1, 2]", "b [1, 2]", "a end", "b end"]);
    }
}

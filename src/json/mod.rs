//! Reads JSON strictly and in one pass, without building a tree: RFC 8259 to the letter, no key twice in one object, no
//! `__proto__` key, at most 64 containers inside each other, no unpaired surrogate. The caller visits members; what it
//! does not ask for is checked and passed over. It knows no schema and builds no values.

mod keys;
mod number;
#[cfg(test)]
mod tests;
mod text;

pub use self::text::Text;

use self::keys::Keys;

/// Containers inside each other, the document's own object included.
pub const MAX_DEPTH: u32 = 64;

/// Why a document is not strict JSON, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct Flaw {
    /// What is wrong, in words that quote nothing of the document.
    pub what: &'static str,
    /// The byte offset where it was seen.
    pub at: usize,
}

/// One value, as far as a reader of known fields needs it: containers have been checked and passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A string.
    Text(Text<'a>),
    /// A number, as it was written.
    Number(&'a str),
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
    /// An object.
    Object,
    /// An array.
    Array,
}

impl Value<'_> {
    /// The value's kind with its article, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "a string",
            Value::Number(_) => "a number",
            Value::Bool(_) => "a boolean",
            Value::Null => "null",
            Value::Object => "an object",
            Value::Array => "an array",
        }
    }

    /// The whole number this is: written without fraction and exponent, and exact in JavaScript (up to 2^53 − 1).
    pub fn integer(&self) -> Option<i64> {
        match self {
            Value::Number(written) => number::integer(written),
            _ => None,
        }
    }
}

/// A place in a document that is being read.
#[derive(Debug)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
}

/// Reads a document that must be one object. `visit` is called for each member and must take exactly one value from
/// the reader, with `value` or `object`.
pub fn read_object<'a>(
    text: &'a str,
    visit: impl FnMut(Text<'a>, &mut Reader<'a>) -> Result<(), Flaw>,
) -> Result<(), Flaw> {
    let mut reader = Reader {
        text,
        at: 0,
        depth: 0,
    };
    reader.skip_space();
    if !reader.at_object() {
        return Err(reader.flaw("expected an object"));
    }
    reader.object(visit)?;
    reader.skip_space();
    match reader.peek() {
        None => Ok(()),
        Some(_) => Err(reader.flaw("expected the end")),
    }
}

impl<'a> Reader<'a> {
    /// Takes the next value.
    pub fn value(&mut self) -> Result<Value<'a>, Flaw> {
        match self.peek() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'{') => self
                .object(|_, reader| reader.value().map(drop))
                .map(|()| Value::Object),
            Some(b'[') => self.array().map(|()| Value::Array),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => Err(self.flaw("expected a value")),
        }
    }

    /// Whether the next value is an object.
    pub fn at_object(&self) -> bool {
        self.peek() == Some(b'{')
    }

    /// Takes the next value, which must be an object (`at_object`), and visits its members as `read_object` does.
    pub fn object(
        &mut self,
        mut visit: impl FnMut(Text<'a>, &mut Reader<'a>) -> Result<(), Flaw>,
    ) -> Result<(), Flaw> {
        self.enter()?;
        if self.leaves_at(b'}') {
            return Ok(());
        }
        let mut keys = Keys::new();
        loop {
            let key_at = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.flaw("expected a key"));
            }
            let key = self.string()?;
            keys.add(key).map_err(|what| Flaw { what, at: key_at })?;
            self.skip_space();
            self.take(b':', "expected a colon")?;
            self.skip_space();
            visit(key, self)?;
            self.skip_space();
            if self.leaves_at(b'}') {
                return Ok(());
            }
            self.take(b',', "expected a comma or a closing brace")?;
            self.skip_space();
        }
    }

    fn array(&mut self) -> Result<(), Flaw> {
        self.enter()?;
        if self.leaves_at(b']') {
            return Ok(());
        }
        loop {
            self.value()?;
            self.skip_space();
            if self.leaves_at(b']') {
                return Ok(());
            }
            self.take(b',', "expected a comma or a closing bracket")?;
            self.skip_space();
        }
    }

    fn enter(&mut self) -> Result<(), Flaw> {
        if self.depth == MAX_DEPTH {
            return Err(self.flaw("too many containers inside each other"));
        }
        self.depth += 1;
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    fn leaves_at(&mut self, bracket: u8) -> bool {
        let leaves = self.peek() == Some(bracket);
        if leaves {
            self.depth -= 1;
            self.at += 1;
        }
        leaves
    }

    fn string(&mut self) -> Result<Text<'a>, Flaw> {
        let text = text::take(self.text, self.at + 1)?;
        self.at += text.written().len() + 2;
        Ok(text)
    }

    fn number(&mut self) -> Result<&'a str, Flaw> {
        let end = number::end(self.text.as_bytes(), self.at)?;
        let written = &self.text[self.at..end];
        self.at = end;
        Ok(written)
    }

    fn word(&mut self, word: &'static str, value: Value<'a>) -> Result<Value<'a>, Flaw> {
        let rest = &self.text.as_bytes()[self.at..];
        if !rest.starts_with(word.as_bytes()) {
            return Err(self.flaw("expected a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn take(&mut self, byte: u8, what: &'static str) -> Result<(), Flaw> {
        if self.peek() != Some(byte) {
            return Err(self.flaw(what));
        }
        self.at += 1;
        Ok(())
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn flaw(&self, what: &'static str) -> Flaw {
        Flaw { what, at: self.at }
    }
}

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
    Text(Text<'a>),
    /// A number, as it was written.
    Number(&'a str),
    /// `true` or `false`.
    Bool(bool),
    /// `null`.
    Null,
    Object,
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

/// What `token` gives at the end of the text; no JSON token starts with it.
const END: u8 = 0;

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
    if reader.token() != b'{' {
        return Err(reader.flaw("expected an object"));
    }
    reader.object(visit)?;
    if reader.token() != END || reader.at < text.len() {
        return Err(reader.flaw("expected the end"));
    }
    Ok(())
}

impl<'a> Reader<'a> {
    /// Takes the next value.
    #[inline]
    pub fn value(&mut self) -> Result<Value<'a>, Flaw> {
        match self.token() {
            b'"' => self.string().map(Value::Text),
            first => self.other_value(first),
        }
    }

    fn other_value(&mut self, first: u8) -> Result<Value<'a>, Flaw> {
        match first {
            b'{' => self
                .object(|_, reader| reader.value().map(drop))
                .map(|()| Value::Object),
            b'[' => self.array().map(|()| Value::Array),
            b'-' | b'0'..=b'9' => self.number().map(Value::Number),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'n' => self.word("null", Value::Null),
            _ => Err(self.flaw("expected a value")),
        }
    }

    /// What `read` takes, as it was written.
    pub fn written(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<(), Flaw>,
    ) -> Result<&'a str, Flaw> {
        self.token();
        let start = self.at;
        read(self)?;
        Ok(&self.text[start..self.at])
    }

    /// Whether the next value is an object.
    pub fn at_object(&mut self) -> bool {
        self.token() == b'{'
    }

    /// Takes the next value, which must be an object (`at_object`), and visits its members as `read_object` does.
    pub fn object(
        &mut self,
        mut visit: impl FnMut(Text<'a>, &mut Reader<'a>) -> Result<(), Flaw>,
    ) -> Result<(), Flaw> {
        self.enter()?;
        if self.token() == b'}' {
            self.leave();
            return Ok(());
        }
        let mut keys = Keys::new();
        loop {
            if self.token() != b'"' {
                return Err(self.flaw("expected a key"));
            }
            let key_at = self.at;
            let key = self.string()?;
            keys.add(key).map_err(|what| Flaw { what, at: key_at })?;
            if self.token() != b':' {
                return Err(self.flaw("expected a colon"));
            }
            self.at += 1;
            visit(key, self)?;
            match self.token() {
                b',' => self.at += 1,
                b'}' => {
                    self.leave();
                    return Ok(());
                }
                _ => return Err(self.flaw("expected a comma or a closing brace")),
            }
        }
    }

    fn array(&mut self) -> Result<(), Flaw> {
        self.enter()?;
        if self.token() == b']' {
            self.leave();
            return Ok(());
        }
        loop {
            self.value()?;
            match self.token() {
                b',' => self.at += 1,
                b']' => {
                    self.leave();
                    return Ok(());
                }
                _ => return Err(self.flaw("expected a comma or a closing bracket")),
            }
        }
    }

    fn enter(&mut self) -> Result<(), Flaw> {
        if self.depth == MAX_DEPTH {
            return Err(self.flaw("too many containers inside each other"));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }

    #[inline]
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

    /// Passes over white space and gives the byte that follows.
    #[inline]
    fn token(&mut self) -> u8 {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(byte) => return *byte,
                None => return END,
            }
        }
    }

    #[cold]
    fn flaw(&self, what: &'static str) -> Flaw {
        Flaw { what, at: self.at }
    }
}

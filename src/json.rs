//! JSON read strictly, for what was signed and for the tokens in it: on top of RFC 8259 (serde_json's part) no key twice
//! in one object, no `__proto__` key, at most 64 containers inside each other. Two readers of such a document cannot
//! disagree about it. It knows no schema, and what stands in an array is checked and not kept.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Containers inside each other, the document's own object included.
pub const MAX_DEPTH: u32 = 64;

/// The largest whole number that JavaScript holds exactly, 2^53 − 1.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Pairwise comparison beats sorting up to about this many keys.
const FEW_KEYS: usize = 24;

/// Why a document is not strict JSON, and where. Quotes nothing of the document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Flaw(String);

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'a> {
    Null,
    Bool(bool),
    /// A whole number, written without fraction and exponent, that JavaScript holds exactly.
    Integer(i64),
    /// Any other number.
    Number(f64),
    Text(Cow<'a, str>),
    Array,
    Object(Object<'a>),
}

impl Json<'_> {
    /// The value's kind with its article, for messages.
    pub const fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "a boolean",
            Json::Integer(_) | Json::Number(_) => "a number",
            Json::Text(_) => "a string",
            Json::Array => "an array",
            Json::Object(_) => "an object",
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    pub const fn as_object(&self) -> Option<&Object<'_>> {
        match self {
            Json::Object(object) => Some(object),
            _ => None,
        }
    }
}

/// The members of an object in their order, each key once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Object<'a> {
    /// What stands under a key; `null` where there is no such key.
    pub fn get(&self, key: &str) -> &Json<'a> {
        let found = self.0.iter().find(|(name, _)| name == key);
        found.map_or(&Json::Null, |(_, value)| value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json<'a>)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value))
    }
}

/// Reads a document that must be one object.
pub fn read_object(text: &str) -> Result<Object<'_>, Flaw> {
    let flaw = |error: serde_json::Error| Flaw(error.to_string());
    let mut deserializer = serde_json::Deserializer::from_str(text);
    if !text
        .trim_start_matches([' ', '\t', '\n', '\r'])
        .starts_with('{')
    {
        return Err(Flaw("expected an object".to_owned()));
    }
    let value = Node { depth: 0 }
        .deserialize(&mut deserializer)
        .map_err(flaw)?;
    deserializer.end().map_err(flaw)?;
    match value {
        Json::Object(object) => Ok(object),
        _ => Err(Flaw("expected an object".to_owned())),
    }
}

/// A value inside so many containers.
#[derive(Clone, Copy)]
struct Node {
    depth: u32,
}

impl Node {
    fn inside<E: Error>(self) -> Result<Node, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom("too many containers inside each other"));
        }
        Ok(Node {
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Node {
    type Value = Json<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("strict JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json<'de>, E> {
        Ok(match value.unsigned_abs() {
            0..=MAX_SAFE_INTEGER => Json::Integer(value),
            _ => Json::Number(value as f64),
        })
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json<'de>, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => Ok(Json::Number(value as f64)),
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json<'de>, E> {
        Ok(Json::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json<'de>, A::Error> {
        let inside = self.inside()?;
        while items.next_element_seed(inside)?.is_some() {}
        Ok(Json::Array)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json<'de>, A::Error> {
        let inside = self.inside()?;
        let mut members: Vec<(Cow<'de, str>, Json<'de>)> = Vec::new();
        while let Some(key) = entries.next_key_seed(Key)? {
            if key == "__proto__" {
                return Err(A::Error::custom("a __proto__ key"));
            }
            if members.len() < FEW_KEYS && members.iter().any(|(known, _)| *known == key) {
                return Err(A::Error::custom(TWICE));
            }
            members.push((key, entries.next_value_seed(inside)?));
        }
        if members.len() > FEW_KEYS {
            let mut keys: Vec<&str> = members.iter().map(|(key, _)| key.as_ref()).collect();
            keys.sort_unstable();
            if keys.windows(2).any(|pair| pair[0] == pair[1]) {
                return Err(A::Error::custom(TWICE));
            }
        }
        Ok(Json::Object(Object(members)))
    }
}

const TWICE: &str = "a key for the second time";

/// A key, which serde's own `Cow` would copy.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(value.to_owned()))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flaw(text: &str) -> String {
        read_object(text).unwrap_err().to_string()
    }

    #[test]
    fn every_refusal_names_what_and_where() {
        for (text, what) in [
            ("", "expected an object"),
            ("[]", "expected an object"),
            ("\u{feff}{}", "expected an object"),
            ("\u{b}{}", "expected an object"),
            ("{} {}", "trailing characters at line 1 column 4"),
            ("{\"a\":1,}", "trailing comma at line 1 column 8"),
            ("{\"a\" 1}", "expected `:` at line 1 column 6"),
            (
                "{\"a\":1 \"b\":2}",
                "expected `,` or `}` at line 1 column 8",
            ),
            ("{\"a\":[1 2]}", "expected `,` or `]` at line 1 column 9"),
            ("{\"a\":nul}", "expected ident at line 1 column 9"),
            ("{\"a\":01}", "invalid number at line 1 column 7"),
            ("{\"a\":1.}", "invalid number at line 1 column 8"),
            ("{\"a\":1e999}", "number out of range"),
            ("{\"a\":\"x}", "EOF while parsing a string"),
            ("{\"a\":\"x\n\"}", "control character"),
            ("{\"a\":\"\\x\"}", "invalid escape at line 1 column 8"),
            ("{\"a\":\"\\u12g4\"}", "invalid escape"),
            ("{\"a\":\"\\ud83d\"}", "hex escape at line 1 column"),
            ("{\"a\":\"\\ud83d\\u0041\"}", "surrogate in hex escape"),
            ("{\"a\":\"\\ude00\"}", "surrogate in hex escape"),
            ("{\"a\":[\"\\ude00\"]}", "surrogate in hex escape"),
            ("{\"a\":1,\"\\u0061\":2}", "a key for the second time at"),
            (
                "{\"a\":[{\"b\":1,\"b\":1}]}",
                "a key for the second time at",
            ),
            ("{\"a\":{\"__proto__\":1}}", "a __proto__ key at"),
            ("{\"\\u005f_proto__\":1}", "a __proto__ key at"),
        ] {
            assert!(flaw(text).contains(what), "{text}: {}", flaw(text));
        }
    }

    #[test]
    fn sixty_four_containers_may_stand_inside_each_other_and_no_more() {
        let nested = |depth| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(read_object(&nested(63)).is_ok());
        assert!(flaw(&nested(64)).contains("too many containers"));
        assert!(flaw(&"{\"a\":".repeat(1_000_000)).contains("too many containers"));
    }

    #[test]
    fn a_key_is_found_again_among_many() {
        for count in [1, 23, 24, 25, 26, 2_000] {
            let keys: Vec<String> = (0..count).map(|n| format!("\"key{n}\":0")).collect();
            let open = format!("{{{}", keys.join(","));
            assert!(read_object(&format!("{open}}}")).is_ok());
            for again in [0, count / 2, count - 1] {
                let flaw = flaw(&format!("{open},\"key{again}\":0}}"));
                assert!(flaw.contains("second time"), "{count} {again}");
            }
        }
    }

    #[test]
    fn whole_numbers_are_those_javascript_holds_exactly() {
        for (written, whole) in [
            ("0", Some(0)),
            ("1234567890", Some(1_234_567_890)),
            ("9007199254740991", Some(9_007_199_254_740_991)),
            ("-9007199254740991", Some(-9_007_199_254_740_991)),
            ("9007199254740992", None),
            ("-9007199254740992", None),
            ("99999999999999999999", None),
            ("1.0", None),
            ("1e3", None),
        ] {
            let text = format!("{{\"n\":{written}}}");
            let read = match read_object(&text).unwrap().get("n") {
                Json::Integer(value) => Some(*value),
                other => {
                    assert_eq!(other.kind(), "a number");
                    None
                }
            };
            assert_eq!(read, whole, "{written}");
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            "\\PC{0,40}|[a-z\"\\\\\\x00-\\x20]{0,40}|[a-z]{0,100}".prop_map(Into::into),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                prop::collection::hash_map("[a-z_\"]{0,9}", inner, 0..30)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// Whether what was read is what serde_json holds, as far as it is kept.
    fn same(read: &Json<'_>, value: &serde_json::Value) -> bool {
        match (read, value) {
            (Json::Null, serde_json::Value::Null) | (Json::Array, serde_json::Value::Array(_)) => {
                true
            }
            (Json::Bool(read), serde_json::Value::Bool(value)) => read == value,
            (Json::Text(read), serde_json::Value::String(value)) => read == value,
            (Json::Integer(read), value) => value.as_i64() == Some(*read),
            (Json::Number(read), value) => value.as_f64() == Some(*read),
            (Json::Object(read), serde_json::Value::Object(value)) => {
                read.iter().count() == value.len()
                    && read.iter().all(|(key, read)| same(read, &value[key]))
            }
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn reads_what_serde_json_writes(value in json()) {
            let document = serde_json::json!({ "k": value, "l": [1, { "m": "n" }] });
            for text in [document.to_string(), serde_json::to_string_pretty(&document).unwrap()] {
                // Read again, because the last bit of a double is lost in writing it.
                let value = serde_json::from_str(&text).unwrap();
                prop_assert!(same(&Json::Object(read_object(&text).unwrap()), &value));
            }
        }

        #[test]
        fn takes_nothing_that_serde_json_refuses(
            text in "[{}\\[\\]:,\"\\\\ \n0-9.eE+\\-trufalsn_pob]{0,40}|\\PC*"
        ) {
            for text in [text.clone(), format!("{{\"k\":{text}}}")] {
                if let Ok(object) = read_object(&text) {
                    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
                    prop_assert!(same(&Json::Object(object), &value), "{}", text);
                }
            }
        }
    }
}

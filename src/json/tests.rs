//! The reader against serde_json with a strict visitor as the oracle, and its refusals one by one.

use std::collections::HashSet;
use std::fmt;

use proptest::prelude::*;
use serde::de::DeserializeSeed;
use serde::{de, Deserializer};

use super::*;

/// serde_json's verdict, made strict: the same rules written a second time.
#[derive(Clone, Copy)]
struct Oracle(u32);

macro_rules! accept {
    ($($name:ident: $type:ty),*) => {
        $(fn $name<E: de::Error>(self, _: $type) -> Result<(), E> { Ok(()) })*
    };
}

impl<'de> de::Visitor<'de> for Oracle {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("strict JSON")
    }

    accept!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while seq.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut keys = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == "__proto__" || !keys.insert(key) {
                return Err(de::Error::custom("refused key"));
            }
            map.next_value_seed(inner)?;
        }
        Ok(())
    }
}

impl Oracle {
    fn deeper<E: de::Error>(self) -> Result<Oracle, E> {
        if self.0 == MAX_DEPTH {
            return Err(E::custom("too deep"));
        }
        Ok(Oracle(self.0 + 1))
    }
}

impl<'de> DeserializeSeed<'de> for Oracle {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// `None` where serde_json has no opinion: numbers beyond a double are its limit, not JSON's.
fn oracle(text: &str) -> Option<bool> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let verdict = Oracle(0)
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end());
    match verdict {
        Ok(()) => Some(text.trim_start().starts_with('{')),
        Err(error) if error.to_string().contains("out of range") => None,
        Err(_) => Some(false),
    }
}

fn skim(text: &str) -> Result<(), Flaw> {
    read_object(text, |_, reader| reader.value().map(drop))
}

fn agrees(text: &str) -> Result<(), TestCaseError> {
    if let Some(expected) = oracle(text) {
        let ours = skim(text);
        prop_assert_eq!(ours.is_ok(), expected, "{:?} {:?}", text, ours);
    }
    Ok(())
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

proptest! {
    #[test]
    fn agrees_with_serde_json_on_text_of_jsons_own_characters(
        text in "[{}\\[\\]:,\"\\\\ \n0-9.eE+\\-trufalsn_pob]{0,40}"
    ) {
        agrees(&text)?;
    }

    #[test]
    fn agrees_with_serde_json_on_tokens_in_any_order(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "{", "}", "[", "]", ":", ",", " ", "\"a\"", "\"b\"", "\"\\u0061\"", "\"__proto__\"", "\"\\ud800\"",
            "\"\\ud83d\\ude00\"", "1", "-0", "01", "1.5e3", "true", "null", "\"\t\"", "\"é\"",
        ]), 0..24)
    ) {
        agrees(&tokens.concat())?;
        agrees(&format!("{{\"k\":{}}}", tokens.concat()))?;
    }

    #[test]
    fn agrees_with_serde_json_on_any_text(text in "\\PC*") {
        agrees(&text)?;
    }

    #[test]
    fn agrees_with_serde_json_on_damaged_documents(value in json(), at: prop::sample::Index, byte: u8) {
        let mut bytes = serde_json::to_vec(&serde_json::json!({ "k": value })).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(text) = std::str::from_utf8(&bytes) {
            agrees(text)?;
        }
    }

    #[test]
    fn reads_what_serde_json_writes(value in json()) {
        let document = serde_json::json!({ "k": value, "l": [1, { "m": "n" }] });
        for text in [document.to_string(), serde_json::to_string_pretty(&document).unwrap()] {
            let mut keys = Vec::new();
            read_object(&text, |key, reader| {
                keys.push(key.decode().into_owned());
                if let Value::Text(read) = reader.value()? {
                    assert_eq!(document[&*key.decode()].as_str(), Some(&*read.decode()));
                    assert!(read.is(&read.decode()));
                }
                Ok(())
            }).unwrap();
            prop_assert_eq!(keys, ["k", "l"]);
        }
    }
}

#[test]
fn every_refusal_names_what_and_where() {
    for (text, what, at) in [
        ("", "expected an object", 0),
        ("[]", "expected an object", 0),
        ("\u{feff}{}", "expected an object", 0),
        ("{} {}", "expected the end", 3),
        ("{\"a\":1,}", "expected a key", 7),
        ("{\"a\" 1}", "expected a colon", 5),
        (
            "{\"a\":1 \"b\":2}",
            "expected a comma or a closing brace",
            7,
        ),
        ("{\"a\":[1 2]}", "expected a comma or a closing bracket", 8),
        ("{\"a\":nul}", "expected a value", 5),
        ("{\"a\":01}", "a number with a leading zero", 5),
        ("{\"a\":-}", "expected a digit", 6),
        ("{\"a\":1.}", "expected a digit", 7),
        ("{\"a\":1e}", "expected a digit", 7),
        ("{\"a\":\"x}", "a string without an end", 8),
        ("{\"a\":\"x\n\"}", "a control character in a string", 7),
        ("{\"a\":\"\\x\"}", "an unknown escape in a string", 6),
        (
            "{\"a\":\"\\u12g4\"}",
            "a \\u escape without four hex digits",
            6,
        ),
        (
            "{\"a\":\"\\ud83d\"}",
            "an unpaired surrogate in a string",
            6,
        ),
        (
            "{\"a\":\"\\ude00\"}",
            "an unpaired surrogate in a string",
            6,
        ),
        ("{\"a\":1,\"\\u0061\":2}", "a key for the second time", 7),
        ("{\"a\":{\"__proto__\":1}}", "a __proto__ key", 6),
        ("{\"\\u005f_proto__\":1}", "a __proto__ key", 1),
    ] {
        assert_eq!(skim(text), Err(Flaw { what, at }), "{text}");
    }
}

#[test]
fn sixty_four_containers_may_stand_inside_each_other_and_no_more() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(skim(&nested(63)), Ok(()));
    assert!(skim(&nested(64)).is_err());
    assert!(skim(&"{\"a\":".repeat(1_000_000)).is_err());
}

#[test]
fn a_key_is_found_again_among_many() {
    let keys: Vec<String> = (0..2_000).map(|n| format!("\"key{n}\":0")).collect();
    let open = format!("{{{}", keys.join(","));
    assert_eq!(skim(&format!("{open}}}")), Ok(()));
    for again in [0, 10, 23, 24, 25, 1_999] {
        let flaw = skim(&format!("{open},\"key{again}\":0}}")).unwrap_err();
        assert_eq!(flaw.what, "a key for the second time", "{again}");
    }
}

#[test]
fn whole_numbers_are_those_javascript_holds_exactly() {
    for (written, expected) in [
        ("0", Some(0)),
        ("-0", Some(0)),
        ("1234567890", Some(1_234_567_890)),
        ("9007199254740991", Some(9_007_199_254_740_991)),
        ("9007199254740992", None),
        ("-9007199254740992", None),
        ("99999999999999999999", None),
        ("1.0", None),
        ("1e3", None),
    ] {
        assert_eq!(Value::Number(written).integer(), expected, "{written}");
    }
    assert_eq!(Value::Null.integer(), None);
}

#[test]
fn the_end_of_a_string_is_found_at_every_offset() {
    for length in 0..200 {
        let text = format!(
            "{{\"k\":\"{}\",\"l\":\"{}é\"}}",
            "x".repeat(length),
            "y".repeat(length)
        );
        assert_eq!(skim(&text), Ok(()));
        for bad in ["\u{1}", "\u{1f}", "\u{0}"] {
            let text = format!(
                "{{\"k\":\"{}{bad}{}\"}}",
                "x".repeat(length),
                "\u{7f}é".repeat(20)
            );
            assert_eq!(skim(&text).unwrap_err().at, length + 6);
        }
    }
}

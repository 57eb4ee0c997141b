//! JSON that can be read in one way only: no key twice in an object, however deep, and nothing too deep.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Forges stay below ten.
const DEEPEST: u8 = 32;

/// Checks the whole text.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check(text: &[u8]) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    Value(DEEPEST).deserialize(&mut reader)?;
    reader.end()
}

/// A value that may be nested so deep.
#[derive(Clone, Copy)]
struct Value(u8);

impl Value {
    fn inner<E: Error>(self) -> Result<Self, E> {
        self.0.checked_sub(1).map(Self).ok_or_else(|| E::custom("nested too deep"))
    }
}

impl<'de> DeserializeSeed<'de> for Value {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        while items.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        let mut keys = HashSet::new();
        while let Some(Key(key)) = entries.next_key()? {
            if !keys.insert(key) {
                return Err(A::Error::custom("a key is there twice"));
            }
            entries.next_value_seed(inner)?;
        }
        Ok(())
    }
}

#[derive(PartialEq, Eq, Hash)]
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_reading_is_possible() {
        for good in ["{}", "[]", "1", r#"{"a":{"a":[1,-2,3.5,null,true,"x"]},"b":{"a":1}}"#, " {} \n"] {
            check(good.as_bytes()).unwrap_or_else(|error| panic!("{good}: {error}"));
        }
        for (bad, why) in [
            (r#"{"a":1,"a":1}"#, "twice"),
            (r#"{"a":1,"\u0061":2}"#, "twice"),
            (r#"[{"x":{"k":1,"k":2}}]"#, "twice"),
            (r#"{"a":1}{"#, "trailing"),
            (r#"{"a":1,}"#, "trailing comma"),
            ("", "EOF"),
            ("{\"a\":\"\u{1}\"}", "control character"),
        ] {
            let said = check(bad.as_bytes()).unwrap_err().to_string();
            assert!(said.contains(why), "{bad}: {said}");
        }
        assert!(check(b"{\"a\":\"\xff\"}").is_err());
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(check(deep(32).as_bytes()).is_ok());
        assert!(check(deep(33).as_bytes()).unwrap_err().to_string().contains("too deep"));
        assert!(check(deep(500_000).as_bytes()).is_err());
    }
}

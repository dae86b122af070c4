//! JSON, as far as text-based stubs have it: objects, lists and strings; of numbers and words the text.

/// A value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Value {
    Object(Vec<(String, Value)>),
    List(Vec<Value>),
    /// A string, or the text of a number or word.
    Text(String),
}

/// How deep values may be in values.
const DEPTH_MAX: usize = 64;

/// Reads a value that is the whole text.
///
/// # Errors
/// With the offset of what cannot be read.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.skip_space();
    match reader.at == text.len() {
        true => Ok(value),
        false => Err(reader.unexpected()),
    }
}

impl Value {
    /// What an object has under a name.
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Self::Object(members) = self else {
            return None;
        };
        members.iter().find(|it| it.0 == name).map(|it| &it.1)
    }

    /// The values of a list.
    pub fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            Self::Object(_) | Self::Text(_) => &[],
        }
    }

    /// The text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Object(_) | Self::List(_) => None,
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn unexpected(&self) -> String {
        format!("what stands at byte {} is not understood", self.at)
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        match self.peek() == Some(byte) {
            true => {
                self.at += 1;
                Ok(())
            }
            false => Err(self.unexpected()),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > DEPTH_MAX {
            return Err("its values are too deep in each other".to_owned());
        }
        match self.peek() {
            Some(b'{') => {
                let member = |it: &mut Self| {
                    let name = it.string()?;
                    it.expect(b':')?;
                    Ok((name, it.value(depth + 1)?))
                };
                Ok(Value::Object(self.sequence(b'}', member)?))
            }
            Some(b'[') => {
                let items = self.sequence(b']', |it| it.value(depth + 1))?;
                Ok(Value::List(items))
            }
            Some(b'"') => Ok(Value::Text(self.string()?)),
            _ => {
                let rest = &self.text[self.at..];
                let is_part = |it: char| it.is_ascii_alphanumeric() || "+-.".contains(it);
                let end = rest.find(|it| !is_part(it)).unwrap_or(rest.len());
                if end == 0 {
                    return Err(self.unexpected());
                }
                self.at += end;
                Ok(Value::Text(rest[..end].to_owned()))
            }
        }
    }

    /// What stands between a bracket and its end, separated by commas.
    fn sequence<T>(
        &mut self,
        end: u8,
        one: impl Fn(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        self.at += 1;
        let mut all = Vec::new();
        if self.peek() == Some(end) {
            self.at += 1;
            return Ok(all);
        }
        loop {
            all.push(one(self)?);
            match self.peek() {
                Some(b',') => self.at += 1,
                _ => break,
            }
        }
        self.expect(end)?;
        Ok(all)
    }

    fn string(&mut self) -> Result<String, String> {
        self.expect(b'"')?;
        let mut text = String::new();
        let rest = &self.text[self.at..];
        let mut letters = rest.char_indices();
        while let Some((offset, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.at += offset + 1;
                    return Ok(text);
                }
                '\\' => match letters.next() {
                    // Names have no others.
                    Some((_, escaped @ ('"' | '\\' | '/'))) => text.push(escaped),
                    _ => break,
                },
                letter => text.push(letter),
            }
        }
        Err(self.unexpected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read() {
        let value = parse(r#" {"a": ["x", "y\"\\z"], "b": {"c": 5}, "d": [], "e": true} "#);
        let value = value.expect("JSON");
        let items: Vec<_> = value.get("a").expect("a").items().iter().collect();
        assert_eq!(items[1].text(), Some("y\"\\z"));
        let inner = value.get("b").and_then(|b| b.get("c"));
        assert_eq!(inner.and_then(Value::text), Some("5"));
        assert_eq!(value.get("d"), Some(&Value::List(Vec::new())));
        assert_eq!(value.get("f"), None);
    }

    #[test]
    fn what_is_damaged_is_an_error() {
        for text in [
            "",
            "{",
            "{\"a\"}",
            "[1,]",
            "\"a",
            "[1] 2",
            "\"\\u0041\"",
            "{a: 1}",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        let deep = "[".repeat(100_000);
        assert!(parse(&deep).is_err(), "it does not overflow the stack");
    }
}

//! Replies, the same from the model and from a server.

use redis::Value;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Number(i64),
    Text(String),
    List(Vec<Reply>),
    Fault(String),
}

impl Reply {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn number(number: impl TryInto<i64>) -> Self {
        Self::Number(number.try_into().ok().expect("the model's numbers are small"))
    }

    pub(crate) fn words(words: Vec<&'static str>) -> Self {
        Self::List(words.into_iter().map(Self::text).collect())
    }

    pub(crate) fn items(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }
}

impl From<Value> for Reply {
    fn from(value: Value) -> Self {
        match value {
            Value::Int(number) => Self::Number(number),
            Value::BulkString(bytes) => Self::Text(String::from_utf8(bytes).unwrap()),
            Value::SimpleString(text) => Self::Text(text),
            Value::Okay => Self::text("OK"),
            Value::Nil => Self::text("(nil)"),
            Value::Array(values) => Self::List(values.into_iter().map(Self::from).collect()),
            Value::ServerError(error) => Self::Fault(error.code().to_owned()),
            other => panic!("no script answers {other:?}"),
        }
    }
}

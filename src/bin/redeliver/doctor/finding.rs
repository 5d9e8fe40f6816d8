//! What the doctor says: one line for each thing that it looked at.

use serde::Serialize;

use crate::message::visible;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    Ok,
    /// Worth knowing, nothing to mend.
    Note,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    /// What it is about, in one word.
    pub(super) about: &'static str,
    pub(super) says: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fix: Option<String>,
}

pub(super) fn ok(about: &'static str, says: impl Into<String>) -> Finding {
    Finding { severity: Severity::Ok, about, says: says.into(), fix: None }
}

pub(super) fn note(about: &'static str, says: impl Into<String>) -> Finding {
    Finding { severity: Severity::Note, about, says: says.into(), fix: None }
}

pub(super) fn warn(
    about: &'static str,
    says: impl Into<String>,
    fix: impl Into<String>,
) -> Finding {
    Finding { severity: Severity::Warn, about, says: says.into(), fix: Some(fix.into()) }
}

pub(super) fn fail(
    about: &'static str,
    says: impl Into<String>,
    fix: impl Into<String>,
) -> Finding {
    Finding { severity: Severity::Fail, about, says: says.into(), fix: Some(fix.into()) }
}

/// A look that the user has no right to.
pub(super) fn hidden(about: &'static str, command: &str) -> Finding {
    note(about, format!("not allowed to look: {command}"))
}

impl Finding {
    /// The same about one server of several.
    pub(super) fn at(self, server: &str) -> Self {
        Self { says: format!("{server}: {}", self.says), ..self }
    }

    /// For people: one line, and one for the fix.
    pub(super) fn in_words(&self) -> String {
        let word = match self.severity {
            Severity::Ok => "ok  ",
            Severity::Note => "note",
            Severity::Warn => "WARN",
            Severity::Fail => "FAIL",
        };
        let fix = self.fix.as_ref().map(|fix| format!("\n      fix: {fix}"));
        visible(&format!("{word}  {}: {}{}", self.about, self.says, fix.unwrap_or_default()))
    }
}

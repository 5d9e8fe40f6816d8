//! The scripts as they are sent, for whoever looks at a server by hand.

use crate::op;
use crate::script::Script;

/// A Lua script that this library runs on the server.
#[derive(Debug, Clone, Copy)]
pub struct ServerScript(pub(crate) &'static Script);

/// All of them, by name.
///
/// ```
/// let claim = redeliver::scripts().find(|script| script.name() == "claim").unwrap();
/// assert_eq!(claim.sha1().len(), 40);
/// ```
pub fn scripts() -> impl Iterator<Item = ServerScript> {
    let mut all = op::ALL.map(ServerScript);
    all.sort_unstable_by_key(|script| script.name());
    all.into_iter()
}

impl ServerScript {
    /// Its name, which is that of its verb.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// Its text, with all that it shares with the others.
    pub fn text(self) -> &'static str {
        self.0.text
    }

    /// The hash of its text, as `EVALSHA` takes it.
    pub fn sha1(self) -> &'static str {
        self.0.sha()
    }

    /// What it does, in the words of its header.
    pub fn purpose(self) -> &'static str {
        let title = format!("-- {}: ", self.name());
        let line = self.text().lines().find_map(|line| line.strip_prefix(&title));
        line.unwrap_or_default().trim_end_matches('.')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_script_says_what_it_is_for() {
        assert!(scripts().all(|script| script.purpose().len() > 10));
        let ack = scripts().find(|script| script.name() == "ack").unwrap();
        assert!(ack.text().contains(&format!("-- ack: {}.", ack.purpose())));
    }
}

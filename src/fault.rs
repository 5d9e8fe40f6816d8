//! What each of the server's errors means, and how long to wait before a call is repeated.

use std::time::Duration;

use redis::{ErrorKind, RedisError};

use crate::error::Error;
use crate::slots::Node;

/// The longest pause before a repeated call or a new connection: after a restart of the server
/// there is then time for another try within 2 s. A thousand clients that wait for a server make
/// some two thousand tries a second, which no server notices.
const MAX_BACKOFF: Duration = Duration::from_secs(1);
const FIRST_BACKOFF: Duration = Duration::from_millis(10);

/// What a failed call means for whoever sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The server does not have the script: load it and call again.
    NoScript,
    /// Not executed: another node serves the slot, or this one call when it is `asked`.
    Elsewhere {
        node: Node,
        asked: bool,
    },
    /// Not executed; `resolve` says that this server is the wrong one to ask.
    Unavailable {
        reason: String,
        resolve: bool,
    },
    /// Maybe executed; `timeout` says that the link may still be good.
    Ambiguous {
        reason: String,
        timeout: bool,
    },
    /// Nothing was executed for want of memory.
    Full,
    Layout,
    /// The user has no right to the command or to a key.
    Forbidden {
        reason: String,
    },
    /// The password is wrong, or there is none; it may be replaced.
    Denied {
        reason: String,
    },
    /// Repeating cannot help.
    Refused {
        reason: String,
    },
}

impl Fault {
    pub(crate) fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::NoScript
                | Self::Elsewhere { .. }
                | Self::Unavailable { .. }
                | Self::Ambiguous { .. }
                | Self::Denied { .. }
        )
    }

    /// Whether another server may be the one to ask by now.
    pub(crate) fn casts_doubt(&self) -> bool {
        matches!(self, Self::Unavailable { resolve: true, .. } | Self::Ambiguous { .. })
    }

    pub(crate) fn is_ambiguous(&self) -> bool {
        matches!(self, Self::Ambiguous { .. })
    }

    /// The same after an earlier try of the call that may have been executed: what the server says
    /// of the later try does not undo the earlier one.
    pub(crate) fn after_ambiguity(self) -> Self {
        let reason = match self {
            Self::NoScript => "NOSCRIPT after loading".to_owned(),
            Self::Unavailable { reason, .. } | Self::Denied { reason } => reason,
            Self::Elsewhere { node, .. } => served_by(&node),
            Self::Full => "the server is out of memory for the repeated call".to_owned(),
            fault => return fault,
        };
        Self::Ambiguous { reason, timeout: false }
    }

    /// The same of a connection that was not made: nothing was sent, so nothing is ambiguous.
    pub(crate) fn before_any_call(self) -> Self {
        match self {
            Self::Ambiguous { reason, .. } => Self::Unavailable { reason, resolve: true },
            fault => fault,
        }
    }

    pub(crate) fn of(error: &RedisError) -> Self {
        let reason = error.to_string();
        if let Some((node, _)) = error.redirect_node()
            && let Some(node) = Node::parse(node)
        {
            let asked = error.code() == Some("ASK");
            return Self::Elsewhere { node, asked };
        }
        if let Some(code) = error.code() {
            return Self::of_code(code, reason);
        }
        match error.kind() {
            ErrorKind::Io if error.is_connection_refusal() => {
                Self::Unavailable { reason, resolve: true }
            }
            ErrorKind::Io => Self::Ambiguous { reason, timeout: error.is_timeout() },
            ErrorKind::AuthenticationFailed => Self::Denied { reason },
            ErrorKind::Parse => Self::Ambiguous { reason, timeout: false },
            _ => Self::Refused { reason },
        }
    }

    fn of_code(code: &str, reason: String) -> Self {
        match code {
            "NOSCRIPT" => Self::NoScript,
            "OOM" => Self::Full,
            "LAYOUT" => Self::Layout,
            "NOPERM" => Self::Forbidden { reason },
            "NOAUTH" | "WRONGPASS" => Self::Denied { reason },
            "READONLY" | "MASTERDOWN" | "CLUSTERDOWN" => {
                Self::Unavailable { reason, resolve: true }
            }
            "LOADING" | "TRYAGAIN" | "MOVED" | "ASK" | "BUSY" | "NOREPLICAS" | "MISCONF"
            | "UNBLOCKED" => Self::Unavailable { reason, resolve: false },
            "ERR" if reason.contains("max number of clients") => {
                Self::Unavailable { reason, resolve: true }
            }
            _ => Self::Refused { reason },
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NoScript => Self::Unavailable { reason: "NOSCRIPT after loading".into() },
            Fault::Elsewhere { node, .. } => Self::Unavailable { reason: served_by(&node) },
            Fault::Unavailable { reason, .. } => Self::Unavailable { reason },
            Fault::Ambiguous { reason, .. } => Self::Ambiguous { reason },
            Fault::Denied { reason } => Self::Denied { reason },
            Fault::Full => Self::Full,
            Fault::Layout => Self::Layout { known: crate::keys::LAYOUT },
            Fault::Forbidden { reason } | Fault::Refused { reason } => Self::Refused { reason },
        }
    }
}

fn served_by(node: &Node) -> String {
    format!("the queue is served by {node}")
}

/// Whether a failure is told after so many before it: trouble that goes on is told ever more seldom.
pub(crate) fn is_news(failures: u32) -> bool {
    failures == 0 || failures.is_power_of_two()
}

/// Full jitter up to 1 s: how long to wait before try number `tries` (from 0) is repeated.
pub(crate) fn pause(tries: u32) -> Duration {
    let longest = FIRST_BACKOFF.saturating_mul(1 << tries.min(16)).min(MAX_BACKOFF);
    longest.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_class() {
        let class = |code: &str| Fault::of_code(code, String::new());
        assert_eq!(class("NOSCRIPT"), Fault::NoScript);
        assert_eq!(class("OOM"), Fault::Full);
        assert!(matches!(class("READONLY"), Fault::Unavailable { resolve: true, .. }));
        assert!(matches!(class("LOADING"), Fault::Unavailable { resolve: false, .. }));
        assert!(matches!(class("WRONGTYPE"), Fault::Refused { .. }));
        assert!(matches!(class("NOPERM"), Fault::Forbidden { .. }));
        assert!(matches!(class("CROSSSLOT"), Fault::Refused { .. }));
    }

    #[test]
    fn a_crowded_server_is_tried_again_and_a_garbled_answer_may_be_of_an_executed_call() {
        let clients = Fault::of_code("ERR", "max number of clients reached".to_owned());
        assert!(matches!(clients, Fault::Unavailable { resolve: true, .. }));
        let other = Fault::of_code("ERR", "syntax error".to_owned());
        assert!(matches!(other, Fault::Refused { .. }));
        let garbled = RedisError::from((ErrorKind::Parse, "what the server may have done"));
        assert!(matches!(Fault::of(&garbled), Fault::Ambiguous { timeout: false, .. }));
    }

    #[test]
    fn trouble_that_goes_on_is_told_ever_more_seldom() {
        let told = (0..1000).filter(|failures| is_news(*failures)).collect::<Vec<_>>();
        assert_eq!(told, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
    }

    #[test]
    fn pauses_grow_up_to_their_bound() {
        for tries in [0, 5, 40, u32::MAX] {
            assert!(pause(tries) <= MAX_BACKOFF);
        }
    }
}

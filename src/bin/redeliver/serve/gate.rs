//! Who may ask for what: host, origin, token, session, read-only.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use subtle::ConstantTimeEq as _;

use crate::message::base16;

/// Shorter ones could be guessed.
pub(super) const MIN_TOKEN: usize = 16;
/// A page that is left open over night asks anew.
const SESSION_AGE: Duration = Duration::from_secs(12 * 3600);
/// Browsers logged in at a time; the oldest has to log in again.
const MAX_SESSIONS: usize = 64;
const SESSION_BYTES: usize = 32;
const COOKIE_NAME: &str = "redeliver_session";
/// No page of another origin can send it without asking first, and nobody is answered who asks.
const CSRF_HEADER: &str = "x-redeliver";

/// Why a request is refused: the status, and words for people.
pub(super) type Refusal = (StatusCode, &'static str);

/// What every request has to pass.
#[derive(Debug)]
pub(super) struct Gate {
    token: Option<Token>,
    /// Names, besides `localhost` and addresses, under which this server may be called.
    hosts: Vec<String>,
    pub(super) read_only: bool,
    sessions: Mutex<VecDeque<Session>>,
}

/// A secret that no debug output shows.
struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl Token {
    /// Takes as long for a wrong token as for the right one; its length is no secret.
    fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

#[derive(Debug)]
struct Session {
    id: Token,
    since: Instant,
}

impl Gate {
    pub(super) fn new(token: Option<String>, hosts: Vec<String>, read_only: bool) -> Self {
        Self { token: token.map(Token), hosts, read_only, sessions: Mutex::default() }
    }

    pub(super) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Refuses names that a rebinding attacker would have to use: only `localhost`, addresses and
    /// the names that were given are answered.
    pub(super) fn check_host(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let host = text(headers, HOST.as_str()).map(without_port).unwrap_or_default();
        let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        let is_known = self.hosts.iter().any(|known| known.eq_ignore_ascii_case(host));
        if is_address || is_known || host.eq_ignore_ascii_case("localhost") {
            return Ok(());
        }
        Err((StatusCode::MISDIRECTED_REQUEST, "this Host is not served; see --host"))
    }

    /// What changes anything has to come from our own page, or with the token itself.
    pub(super) fn check_mutation(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let origin = text(headers, ORIGIN.as_str());
        let authority = origin.and_then(|origin| origin.split_once("://")).map(|(_, rest)| rest);
        let host = text(headers, HOST.as_str());
        let is_ours = authority.is_some() && authority == host;
        let is_no_browser = origin.is_none() && self.bears_token(headers);
        if !is_ours && !is_no_browser {
            return Err((StatusCode::FORBIDDEN, "the Origin is not this page's own"));
        }
        if !headers.contains_key(CSRF_HEADER) {
            return Err((StatusCode::FORBIDDEN, "the header X-Redeliver is missing"));
        }
        Ok(())
    }

    pub(super) fn check_writable(&self) -> Result<(), Refusal> {
        if self.read_only {
            return Err((StatusCode::FORBIDDEN, "this server is read-only"));
        }
        Ok(())
    }

    pub(super) fn check_token(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if self.token.is_none() || self.bears_token(headers) || self.has_session(headers) {
            return Ok(());
        }
        Err((StatusCode::UNAUTHORIZED, "a token is needed"))
    }

    fn bears_token(&self, headers: &HeaderMap) -> bool {
        let given = text(headers, AUTHORIZATION.as_str()).and_then(|it| it.strip_prefix("Bearer "));
        self.token.as_ref().zip(given).is_some_and(|(token, given)| token.is(given))
    }

    fn has_session(&self, headers: &HeaderMap) -> bool {
        let Some(id) = session_id(headers) else {
            return false;
        };
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|session| session.since.elapsed() < SESSION_AGE);
        sessions.iter().any(|session| session.id.is(id))
    }

    /// The cookie of a new session, if the token is right.
    pub(super) fn log_in(&self, token: &str) -> Option<String> {
        let is_right = self.token.as_ref().is_some_and(|known| known.is(token.trim()));
        let mut bytes = [0; SESSION_BYTES];
        if !is_right || getrandom::fill(&mut bytes).is_err() {
            return None;
        }
        let id = base16(&bytes);
        let cookie = cookie(&id, SESSION_AGE.as_secs());
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.push_back(Session { id: Token(id), since: Instant::now() });
        let excess = sessions.len().saturating_sub(MAX_SESSIONS);
        sessions.drain(..excess);
        Some(cookie)
    }

    /// Ends the session, and gives the cookie that makes the browser forget it.
    pub(super) fn log_out(&self, headers: &HeaderMap) -> String {
        if let Some(id) = session_id(headers) {
            let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            sessions.retain(|session| !session.id.is(id));
        }
        cookie("", 0)
    }
}

fn cookie(id: &str, age_secs: u64) -> String {
    format!("{COOKIE_NAME}={id}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age_secs}")
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn session_id(headers: &HeaderMap) -> Option<&str> {
    let mut pairs = text(headers, COOKIE.as_str())?.split(';');
    pairs.find_map(|pair| pair.trim().strip_prefix(COOKIE_NAME)?.strip_prefix('='))
}

/// `[::1]:80`, `host:80`, `host`.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";

    fn gate() -> Gate {
        Gate::new(Some(TOKEN.into()), vec!["queues.example.org".into()], false)
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_addresses_and_known_names_are_hosts() {
        let host = |host| gate().check_host(&headers(&[("host", host)])).is_ok();
        for known in ["localhost:1", "127.0.0.1:7878", "[::1]:80", "[::1]", "queues.example.org"] {
            assert!(host(known), "{known}");
        }
        for other in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:7878", ""] {
            assert!(!host(other), "{other}");
        }
        assert!(gate().check_host(&HeaderMap::new()).is_err());
    }

    #[test]
    fn a_mutation_needs_our_origin_and_our_header() {
        let pass = |pairs: &[(&'static str, &str)]| gate().check_mutation(&headers(pairs)).is_ok();
        let (host, ours) = (("host", "localhost:1"), ("origin", "http://localhost:1"));
        assert!(pass(&[host, ours, ("x-redeliver", "1")]));
        assert!(!pass(&[host, ours]));
        assert!(!pass(&[host, ("x-redeliver", "1")]));
        for other in ["http://localhost:2", "http://evil.example", "null", "localhost:1"] {
            assert!(!pass(&[host, ("origin", other), ("x-redeliver", "1")]), "{other}");
        }
        let bearer = format!("Bearer {TOKEN}");
        let bearer = ("authorization", bearer.as_str());
        assert!(pass(&[host, bearer, ("x-redeliver", "1")]));
        assert!(!pass(&[host, bearer, ("origin", "http://evil.example"), ("x-redeliver", "1")]));
    }

    #[test]
    fn a_session_lives_until_it_is_logged_out_and_only_the_newest_are_kept() {
        let gate = gate();
        assert!(gate.log_in("0123456789abcdeX").is_none());
        let pair = |cookie: String| cookie.split(';').next().unwrap().to_owned();
        let first = headers(&[("cookie", &pair(gate.log_in(TOKEN).unwrap()))]);
        assert!(gate.check_token(&first).is_ok());
        gate.log_out(&first);
        assert!(gate.check_token(&first).is_err());
        let second = headers(&[("cookie", &pair(gate.log_in(TOKEN).unwrap()))]);
        for _ in 0..MAX_SESSIONS {
            gate.log_in(TOKEN).unwrap();
        }
        assert!(gate.check_token(&second).is_err());
        assert!(!format!("{gate:?}").contains(TOKEN));
    }
}

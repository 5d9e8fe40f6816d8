//! A URL as it may be shown: whole, but for what may be a password.

use redeliver::Server;

const MASK: &str = "***";
/// Settings that are no secret; any other may be one, if only by a slip of the pen.
const SHOWN: [&str; 4] = ["db", "user", "protocol", "sentinel_username"];

/// Only a URL that is understood is known to have its password where one belongs.
pub(crate) fn masked(url: &str) -> String {
    if url.is_empty() {
        return String::new();
    }
    let Ok(server) = Server::open(url) else { return "not understood".to_owned() };
    let Some((scheme, rest)) = url.split_once("://") else { return server.address() };
    let (rest, fragment) = cut(rest, '#');
    let (rest, query) = cut(rest, '?');
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authority = match authority.rsplit_once('@') {
        None => authority.to_owned(),
        Some((user, hosts)) => match user.split_once(':') {
            None => format!("{user}@{hosts}"),
            Some((user, _)) => format!("{user}:{MASK}@{hosts}"),
        },
    };
    let query = query.map(|query| query.split('&').map(setting).collect::<Vec<_>>().join("&"));
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    // No setting of ours stands there.
    let fragment = fragment.map(|_| format!("#{MASK}")).unwrap_or_default();
    format!("{scheme}://{authority}{path}{query}{fragment}")
}

fn setting(setting: &str) -> String {
    match setting.split_once('=') {
        Some((name, _)) if SHOWN.contains(&name) => setting.to_owned(),
        Some((name, _)) => format!("{name}={MASK}"),
        None => MASK.to_owned(),
    }
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_whole_but_for_its_password() {
        let shown = [
            ("redis://h", "redis://h"),
            ("redis://u:canary@h:7/3", "redis://u:***@h:7/3"),
            ("rediss://:can%2Fary@h/0?protocol=resp3", "rediss://:***@h/0?protocol=resp3"),
            ("redis://u:c@nary@h/0", "redis://u:***@h/0"),
            ("redis://mailer@[::1]:7", "redis://mailer@[::1]:7"),
            ("unix:///a/b?db=2&user=u&pass=canary", "unix:///a/b?db=2&user=u&pass=***"),
            (
                "redis+sentinel://u:canary@a,b:5/main/3?sentinel_username=w&sentinel_password=canary",
                "redis+sentinel://u:***@a,b:5/main/3?sentinel_username=w&sentinel_password=***",
            ),
            ("redis+cluster://:canary@a:1,b:2", "redis+cluster://:***@a:1,b:2"),
        ];
        for (url, told) in shown {
            assert_eq!(masked(url), told);
        }
    }

    #[test]
    fn a_password_that_stands_in_the_wrong_place_is_not_shown_either() {
        for url in [
            "canary",
            "redis://u:canary@h:port",
            "redis://u:can/canary@h",
            "redis://u:12/canary@h",
            "redis://u:12?canary@h",
            "redis://u:12#canary@h",
            "redis://h?password=canary",
            "redis://h?canary",
            "unix:///a?pass=x&canary",
            "redis+sentinel://u:12/canary@a/main",
        ] {
            assert!(!masked(url).contains("canary"), "{url}: {}", masked(url));
        }
    }
}

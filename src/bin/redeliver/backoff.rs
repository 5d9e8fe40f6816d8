//! Backoffs as words on the command line.

use std::time::Duration;

use redeliver::Backoff;

/// How `--backoff` is written.
pub(crate) const FORMS: &str =
    "none, fixed:200ms, linear:1s[:cap], exponential:1s[:cap][:jitter] or list:1s,5s,1m";

/// Reads a backoff.
pub(crate) fn parse(spec: &str) -> Result<Backoff, String> {
    let mut parts = spec.split(':');
    let kind = parts.next().unwrap_or_default();
    let rest: Vec<_> = parts.collect();
    match (kind, rest.as_slice()) {
        ("none", []) => Ok(Backoff::None),
        ("fixed", [delay]) => Ok(Backoff::fixed(duration(delay)?)),
        ("linear", [step]) => Ok(Backoff::linear(duration(step)?)),
        ("linear", [step, cap]) => Ok(Backoff::linear(duration(step)?).cap(duration(cap)?)),
        ("exponential", [base, options @ ..]) => exponential(duration(base)?, options),
        ("list", [delays]) => {
            let delays: Result<Vec<_>, _> = delays.split(',').map(duration).collect();
            Ok(Backoff::list(delays?))
        }
        _ => Err(format!("it takes {FORMS}")),
    }
}

fn exponential(base: Duration, options: &[&str]) -> Result<Backoff, String> {
    let backoff = Backoff::exponential(base);
    match options {
        [] => Ok(backoff),
        ["jitter"] => Ok(backoff.full_jitter()),
        [cap] => Ok(backoff.cap(duration(cap)?)),
        [cap, "jitter"] => Ok(backoff.cap(duration(cap)?).full_jitter()),
        _ => Err(format!("it takes {FORMS}")),
    }
}

/// Reads a duration such as `200ms` or `1h 30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|error| format!("{text:?} is no duration such as 200ms, 5s or 1h30m: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_gives_its_backoff() {
        let secs = Duration::from_secs;
        let forms = [
            ("none", Backoff::None),
            ("fixed:200ms", Backoff::fixed(Duration::from_millis(200))),
            ("linear:1s", Backoff::linear(secs(1))),
            ("linear:1s:5s", Backoff::linear(secs(1)).cap(secs(5))),
            ("exponential:1s", Backoff::exponential(secs(1))),
            ("exponential:1s:jitter", Backoff::exponential(secs(1)).full_jitter()),
            ("exponential:1s:1m", Backoff::exponential(secs(1)).cap(secs(60))),
            ("exponential:1s:1m:jitter", Backoff::exponential(secs(1)).cap(secs(60)).full_jitter()),
            ("list:1s,5s,1m", Backoff::list([secs(1), secs(5), secs(60)])),
        ];
        for (spec, backoff) in forms {
            assert_eq!(parse(spec).unwrap(), backoff, "{spec}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let hostile = [
            "",
            "fixed",
            "fixed:",
            "fixed:x",
            "fixed:-1s",
            "fixed:1",
            "fixed:1s:2s",
            "none:1s",
            "linear:1s:2s:3s",
            "exponential:1s:jitter:2s",
            "list:",
            "list:1s,,2s",
            "random:1s",
        ];
        for spec in hostile {
            assert!(parse(spec).is_err(), "{spec:?}");
        }
    }
}

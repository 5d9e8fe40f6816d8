//! The files of `lua/` as this binary was compiled with them: the mutation tests change them in a
//! copy of the binary, and with them what the library sends.

macro_rules! sources {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../lua/", $name, ".lua")))),*]
    };
}

/// The prelude, then every verb.
pub(crate) const SOURCES: &[(&str, &str)] = sources!(
    "prelude" "ack" "bury" "cancel" "check" "claim" "counts" "destroy" "extend" "fence" "find" "forecast"
    "limit" "pause" "peek" "purge" "push" "redeliver" "redrive" "release" "repair" "reschedule"
    "resume" "retry" "steer" "trim"
);

pub(crate) fn source(name: &str) -> &'static str {
    let found = SOURCES.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("there is no {name}.lua among the sources")).1
}

/// A script as it is sent: flags of its header, prelude, body.
pub(crate) fn joined(prelude: &str, body: &str) -> String {
    let flags = body.lines().next().unwrap().trim_start_matches("-- FLAGS").trim();
    let flags = if flags == "none" { String::new() } else { format!(" flags={flags}") };
    format!("#!lua{flags}\n{prelude}{body}")
}

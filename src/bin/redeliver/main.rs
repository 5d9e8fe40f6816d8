//! The `redeliver` program.

fn main() {}

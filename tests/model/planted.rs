//! Bugs planted in the scripts: a test that would not find them would prove nothing.

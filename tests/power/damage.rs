//! The append-only file is damaged in its middle.

use std::fs::{read, write};
use std::process::Command;

use redeliver::{Error, Queue, Raw};

use crate::aof::{Aof, recorder};
use crate::fixture::{TestServer, under_test};
use crate::syncs::incremental;
use crate::{history, seeded};

/// Places in the middle; each costs a start that fails.
const PLACES: usize = 5;

/// Starts the server by hand, and tells how it ended and what it wrote. Ten seconds later it would
/// count as one that had started.
fn start(server: &TestServer) -> (Option<i32>, String) {
    let mut command = Command::new("timeout");
    command.arg("10").args(under_test::program()).args(["--port", "0", "--save", "", "--dir"]);
    command.arg(server.dir()).args(["--appendonly", "yes", "--unixsocket"]);
    let ended = command.arg(server.dir().join("s")).output().unwrap();
    (ended.status.code(), String::from_utf8(ended.stdout).unwrap())
}

#[tokio::test]
async fn a_server_refuses_a_file_damaged_in_its_middle_and_leaves_it_alone() {
    let mut random = seeded();
    let mut server = recorder();
    let fixture = history::fixture(&server).await;
    history::live(&fixture, &mut random).await;
    let before = fixture.counts().await;
    server.kill();
    let file = incremental(server.dir());
    let whole = read(&file).unwrap();
    let aof = Aof::parse(whole.clone());
    let middle = &aof.seams[aof.seams.len() / 4..aof.seams.len() * 3 / 4];
    for at in random.choose_multiple(middle.iter().copied(), PLACES) {
        let mut damaged = whole.clone();
        // One bit of the byte that begins a command.
        damaged[at] ^= 1;
        write(&file, &damaged).unwrap();
        let (code, told) = start(&server);
        assert_eq!(code, Some(1), "damage at {at}: {told}");
        assert!(told.contains("Bad file format reading the append only file"), "{told}");
        assert!(read(&file).unwrap() == damaged, "damage at {at}: the file was repaired silently");
    }
    let refused = Queue::<Raw>::connect(&server.url(), "eventful").await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable { .. }), "{refused:?}");
    #[cfg(feature = "cli")]
    the_program_says_so(&server);

    write(&file, &whole).unwrap();
    server.restart();
    fixture.reconnect(&server);
    assert_eq!(fixture.counts().await.pushed, before.pushed);
    fixture.assert_law().await;
}

/// Unreachable, by the exit code and in words.
#[cfg(feature = "cli")]
fn the_program_says_so(server: &TestServer) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redeliver"));
    let ended = command.args(["--url", &server.url(), "counts", "eventful"]).output().unwrap();
    let told = String::from_utf8(ended.stderr).unwrap();
    eprint!("{told}");
    assert_eq!(ended.status.code(), Some(3), "{told}");
    assert!(told.contains("the server did not execute the call"), "{told}");
}

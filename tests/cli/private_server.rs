use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::fixture::{Site, finish, wait_for};
use crate::under_test;

/// What a server logs when it has read a file that was cut.
const CUT: &str = "loaded anyway because aof-load-truncated is enabled\n";

#[test]
fn two_processes_share_a_server_that_goes_with_the_last_of_them() {
    let site = Site::new();
    let first = site.holder("a");
    let second = site.holder("b");
    site.run(&["push", "q", "x"]).ok();
    first.kill();
    assert_eq!(site.counts("q")["ready"], 1, "the second one keeps it");
    assert!(site.is_up());
    second.kill();
    wait_for("the end of the server", || !site.is_up());
    assert_eq!(site.counts("q")["ready"], 1, "it finds its data again");
    wait_for("the end of the server", || !site.is_up());
}

#[test]
fn commands_that_start_together_start_one_server() {
    let site = Site::new();
    let push = |n: u32| site.command(&["push", "q", &n.to_string()]).spawn().unwrap();
    // Some come while the server of the ones before goes down.
    for round in 0..4 {
        let children: Vec<_> = (0..8).map(|n| push(8 * round + n)).collect();
        for child in children {
            finish(child).ok();
        }
    }
    assert_eq!(site.counts("q")["pushed"], 32);
    site.run(&["check", "q"]).ok();
}

#[test]
fn a_server_that_crashed_is_replaced_with_its_data() {
    let site = Site::new();
    let holder = site.holder("a");
    site.run(&["push", "q", "x"]).ok();
    site.crash_server();
    assert_eq!(site.counts("q")["ready"], 1);
    drop(holder);
}

#[test]
fn one_line_says_what_server_it_is_and_quiet_keeps_it_back() {
    let site = Site::new();
    let told = site.run(&["counts"]).ok().stderr;
    assert!(told.starts_with("redeliver: private "), "{told}");
    assert!(told.contains("append-only file synced every second"), "{told}");
    assert_eq!(told.lines().count(), 1);
    assert_eq!(site.run(&["-q", "counts"]).ok().stderr, "");
}

#[test]
fn a_server_that_cannot_start_is_told_with_its_log() {
    let site = Site::new();
    site.run(&["counts"]).ok();
    wait_for("the end of the server", || !site.is_up());
    let server = std::fs::read_dir(site.data()).unwrap().next().unwrap().unwrap().path();
    let files = server.join("appendonlydir");
    std::fs::remove_dir_all(&files).unwrap();
    std::fs::write(&files, "in the way").unwrap();
    let run = site.run(&["counts"]);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.contains("appendonly"), "{run:?}");
}

#[test]
fn a_file_that_a_power_loss_cut_within_a_transaction_is_safe_again() {
    let site = Site::new();
    site.run(&["push", "q", "kept"]).ok();
    site.run(&["push", "q", "cut"]).ok();
    wait_for("the end of the server", || !site.is_up());
    // The last five bytes are of the `EXEC` that ends the second push.
    let file = site.append_only_file();
    let cut = std::fs::metadata(&file).unwrap().len() - 5;
    File::options().write(true).open(&file).unwrap().set_len(cut).unwrap();
    site.run(&["push", "q", "new"]).ok();
    wait_for("the end of the server", || !site.is_up());
    site.run(&["check", "q"]).ok();
    assert_eq!(site.counts("q")["pushed"], 2, "the second push was undone, and stays so");
}

#[test]
fn a_server_that_is_slow_while_it_rewrites_a_cut_file_is_asked_again() {
    let site = Site::new();
    let _server = site.holder("other");
    let log = site.server_file("server.log").unwrap();
    let mut log = File::options().append(true).open(log).unwrap();
    log.write_all(CUT.as_bytes()).unwrap();
    let socket = site.server_file("s").unwrap();
    let behind = socket.with_file_name("behind");
    std::fs::rename(&socket, &behind).unwrap();
    let door = UnixListener::bind(&socket).unwrap();
    // Longer than the program waits for an answer, once.
    let held = Arc::new(Mutex::new(Some(Duration::from_secs(6))));
    let (waits, server) = (Arc::clone(&held), behind.clone());
    thread::spawn(move || {
        for client in door.incoming() {
            let server = UnixStream::connect(&server).unwrap();
            pass(client.unwrap(), server, &waits);
        }
    });
    site.run(&["push", "q", "x"]).ok();
    assert_eq!(*held.lock().unwrap(), None, "it was asked");
    std::fs::rename(&behind, &socket).unwrap();
}

/// Passes bytes on both ways, and holds back the first question after the append-only file.
fn pass(mut client: UnixStream, mut server: UnixStream, held: &Arc<Mutex<Option<Duration>>>) {
    let (mut back, mut from) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    thread::spawn(move || std::io::copy(&mut from, &mut back));
    let held = Arc::clone(held);
    thread::spawn(move || {
        let mut bytes = vec![0; 1 << 16];
        while let Ok(read @ 1..) = client.read(&mut bytes) {
            let asks = bytes[..read].windows(11).any(|word| word == b"persistence");
            let wait = held.lock().unwrap().take_if(|_| asks);
            thread::sleep(wait.unwrap_or_default());
            if server.write_all(&bytes[..read]).is_err() {
                return;
            }
        }
    });
}

#[test]
fn a_damaged_append_only_file_is_told_and_left_alone() {
    let site = Site::new();
    site.run(&["push", "q", "x"]).ok();
    wait_for("the end of the server", || !site.is_up());
    let file = site.append_only_file();
    let mut bytes = std::fs::read(&file).unwrap();
    // The first byte of the first command.
    bytes[0] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let run = site.run(&["counts"]);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.contains("Bad file format reading the append only file"), "{run:?}");
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
}

#[test]
fn the_private_server_is_the_one_under_test() {
    let site = Site::new();
    let _server = site.holder("other");
    under_test::prove(&mut site.connection());
    let told = site.run(&["counts"]).ok().stderr;
    let named = under_test::named().replace(' ', "-server ");
    assert!(told.starts_with(&format!("redeliver: private {named}, ")), "{told}");
}

use crate::fixture::{Site, finish, wait_for};
use crate::under_test;

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
    std::fs::File::options().write(true).open(&file).unwrap().set_len(cut).unwrap();
    site.run(&["push", "q", "new"]).ok();
    wait_for("the end of the server", || !site.is_up());
    site.run(&["check", "q"]).ok();
    assert_eq!(site.counts("q")["pushed"], 2, "the second push was undone, and stays so");
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

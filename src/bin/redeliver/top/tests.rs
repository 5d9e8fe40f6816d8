//! What is drawn, and what keys do, without a terminal and without a server.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use redeliver::{Counts, Forecast, MessageId, QueueName, State};

use super::app::{Act, App, MessageLine, Messages, News, Step, Wanted};
use super::view;

const NOW_MS: u64 = 1_800_000_000_000;

fn name(name: &str) -> QueueName {
    QueueName::new(name).unwrap()
}

fn id() -> MessageId {
    "01JD0Z3N9Q6V2G7T8K4M5R1XYZ".parse().unwrap()
}

fn counts(ready: u64, pushed: u64, now_ms: u64) -> Counts {
    let mut counts = Counts::default();
    counts.ready = ready;
    counts.messages = ready;
    counts.pushed = pushed;
    counts.now_ms = now_ms;
    counts
}

/// Two queues, seen twice.
fn app() -> App {
    let mut app = App { address: "/run/redis.sock".to_owned(), ..App::default() };
    let both = || vec![name("emails"), name("orders")];
    let mut orders = counts(0, 7, NOW_MS);
    orders.paused = true;
    orders.dead = 3;
    orders.next_due_ms = Some(NOW_MS + 90_000);
    let emails = |pushed, now_ms| (name("emails"), Ok(counts(4, pushed, now_ms)));
    app.take(News::Queues(
        both(),
        vec![emails(10, NOW_MS - 2_000), (name("orders"), Ok(orders.clone()))],
    ));
    app.take(News::Queues(both(), vec![emails(20, NOW_MS), (name("orders"), Ok(orders))]));
    app
}

fn opened() -> App {
    let mut app = app();
    assert_eq!(press(&mut app, KeyCode::Enter), Step::Look);
    let wanted = Wanted { queue: name("emails"), state: State::Ready, start: 0 };
    assert_eq!(app.wanted, Some(wanted.clone()));
    let line = MessageLine {
        id: id(),
        at_ms: None,
        attempt: 2,
        failures: 1,
        payload: "{\"to\":\"ada\"}".to_owned(),
        error: "timeout: db".to_owned(),
    };
    let forecast = Forecast::default();
    app.take(News::Messages(Messages { wanted, lines: vec![line], next: Some(100), forecast }));
    app
}

fn press(app: &mut App, code: KeyCode) -> Step {
    app.key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn screen(app: &App) -> String {
    let mut terminal = Terminal::new(TestBackend::new(112, 9)).unwrap();
    terminal.draw(|frame| view::draw(frame, app)).unwrap();
    terminal.backend().to_string()
}

#[test]
fn queues_are_drawn_with_counts_and_rates() {
    insta::assert_snapshot!(screen(&app()));
}

#[test]
fn messages_are_drawn_with_their_state_and_last_error() {
    insta::assert_snapshot!(screen(&opened()));
}

#[test]
fn an_outage_is_told_and_forgotten_at_the_next_look() {
    let mut app = app();
    app.take(News::Outage("the server is gone".to_owned()));
    assert!(screen(&app).contains("the server is gone"));
    app.take(News::Queues(vec![name("emails")], Vec::new()));
    assert!(!screen(&app).contains("the server is gone"));
    assert!(!screen(&app).contains("orders"), "a destroyed queue goes");
}

#[test]
fn a_queue_that_cannot_be_read_is_marked_and_hides_no_other() {
    let mut app = app();
    let both = || vec![name("emails"), name("orders")];
    let fault = "the server refused: WRONGTYPE".to_owned();
    let emails = |looked| vec![(name("emails"), looked), (name("orders"), Ok(Counts::default()))];
    app.take(News::Queues(both(), emails(Err(fault))));
    let shown = screen(&app);
    assert!(shown.contains("! emails") && shown.contains("\"orders"), "{shown}");
    assert!(shown.contains("emails: cannot be read: the server refused: WRONGTYPE"), "{shown}");
    app.take(News::Queues(both(), emails(Ok(Counts::default()))));
    assert!(!screen(&app).contains("cannot be read"), "it was mended");
}

#[test]
fn the_smallest_terminal_is_no_panic() {
    for (width, height) in [(1, 1), (3, 2), (20, 5)] {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| view::draw(frame, &opened())).unwrap();
        terminal.draw(|frame| view::draw(frame, &App::default())).unwrap();
    }
}

#[test]
fn nothing_is_done_before_it_is_confirmed() {
    let mut app = opened();
    assert_eq!(press(&mut app, KeyCode::Char('c')), Step::Draw);
    assert!(screen(&app).contains("Remove message 01JD0Z3N9Q6V2G7T8K4M5R1XYZ for good?"));
    assert_eq!(press(&mut app, KeyCode::Enter), Step::Draw, "only y is a yes");
    assert_eq!(press(&mut app, KeyCode::Char('y')), Step::Draw, "nothing is asked any more");
    press(&mut app, KeyCode::Char('c'));
    let cancel = Act::Cancel(name("emails"), id());
    assert_eq!(press(&mut app, KeyCode::Char('y')), Step::Do(cancel));
    press(&mut app, KeyCode::Char('r'));
    let retry = Act::Retry(name("emails"), id());
    assert_eq!(press(&mut app, KeyCode::Char('y')), Step::Do(retry));
}

#[test]
fn a_paused_queue_is_resumed_and_another_one_paused() {
    let mut app = app();
    press(&mut app, KeyCode::Char('p'));
    assert_eq!(press(&mut app, KeyCode::Char('y')), Step::Do(Act::Pause(name("emails"))));
    press(&mut app, KeyCode::Down);
    press(&mut app, KeyCode::Down);
    press(&mut app, KeyCode::Char('p'));
    assert_eq!(press(&mut app, KeyCode::Char('y')), Step::Do(Act::Resume(name("orders"))));
}

#[test]
fn states_and_pages_are_turned_and_late_news_of_others_are_dropped() {
    let mut app = opened();
    let wanted = |app: &App| app.wanted.clone().map(|wanted| (wanted.state, wanted.start));
    assert_eq!(press(&mut app, KeyCode::PageDown), Step::Look);
    assert_eq!(wanted(&app), Some((State::Ready, 100)));
    assert_eq!(press(&mut app, KeyCode::PageDown), Step::Look, "its page has not come yet");
    assert_eq!(wanted(&app), Some((State::Ready, 100)));
    press(&mut app, KeyCode::Left);
    assert_eq!(wanted(&app), Some((State::Dead, 0)));
    let late = Wanted { queue: name("emails"), state: State::Ready, start: 0 };
    let forecast = Forecast::default();
    app.take(News::Messages(Messages { wanted: late, lines: Vec::new(), next: None, forecast }));
    assert!(app.messages.is_none());
    assert_eq!(press(&mut app, KeyCode::Esc), Step::Look);
    assert_eq!(app.wanted, None);
    assert_eq!(press(&mut app, KeyCode::Esc), Step::Quit);
}

#[test]
fn the_chosen_queue_stays_chosen_when_another_one_comes() {
    let mut app = app();
    press(&mut app, KeyCode::End);
    app.take(News::Queues(vec![name("a"), name("emails"), name("orders")], Vec::new()));
    assert_eq!(app.queue().unwrap().name, name("orders"));
}

#[test]
fn control_c_ends_it_from_anywhere() {
    let mut app = opened();
    press(&mut app, KeyCode::Char('c'));
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(app.key(control_c), Step::Quit);
}

//! `top`: all queues live in a terminal.

mod app;
mod look;
#[cfg(test)]
mod tests;
mod view;

use std::io::{self, IsTerminal as _};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEvent};
use tokio::sync::{mpsc, watch};

use crate::args::Global;
use crate::exit_code::{Exit, fail};
use crate::server::Session;
use crate::signals::Signals;
use app::{App, Step};

/// The end of the help of `top`.
pub(crate) const HELP: &str = "\
Keys:
  ↑ ↓ Home End   choose a queue or a message
  Enter          the messages of the queue; ← → another state, PgUp PgDn another page
  p              pause or resume the queue
  c, r           cancel the message, or make it due now
  Esc, q         back, quit

Whatever changes something is asked for first. The server is looked at once a second, 64 queues at most.

Example:
  redeliver top --url redis://127.0.0.1";

/// News that wait to be drawn.
const MAX_NEWS: usize = 64;
/// How long the thread that reads keys may outlive the screen.
const KEY_PATIENCE: Duration = Duration::from_millis(100);

pub(crate) async fn run(global: &Global) -> Result<Exit> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(fail(Exit::Usage, "top needs a terminal; `redeliver stats` can be piped"));
    }
    let session = Session::open(global).await?;
    let mut app =
        App { address: session.server.address(), colored: !global.no_color(), ..App::default() };
    let mut signals = Signals::catch()?;
    let mut screen = Screen::open()?;
    show(&session, &mut app, &mut screen.terminal, &mut signals).await?;
    Ok(Exit::Ok)
}

async fn show(
    session: &Session,
    app: &mut App,
    terminal: &mut DefaultTerminal,
    signals: &mut Signals,
) -> Result<()> {
    let mut keys = keys();
    let (wanted, asked) = watch::channel(None);
    let (tell, mut news) = mpsc::channel(MAX_NEWS);
    tokio::spawn(look::run(session.server.clone(), asked, tell.clone()));
    loop {
        terminal.draw(|frame| view::draw(frame, app))?;
        let key = tokio::select! {
            () = signals.next() => return Ok(()),
            Some(news) = news.recv() => {
                app.take(news);
                continue;
            }
            key = keys.recv() => key,
        };
        match key.map(|key| key.map(|key| app.key(key))) {
            None | Some(Some(Step::Quit)) => return Ok(()),
            Some(Some(Step::Do(act))) => {
                let (server, tell, again) = (session.server.clone(), tell.clone(), wanted.clone());
                tokio::spawn(async move {
                    drop(tell.send(look::act(server, act).await).await);
                    again.send_modify(|_| ());
                });
            }
            Some(Some(Step::Look)) => drop(wanted.send(app.wanted.clone())),
            // A resized terminal, or nothing that matters.
            Some(Some(Step::Draw) | None) => {}
        }
    }
}

/// Keys as they are pressed, and `None` for whatever else makes a new drawing necessary.
fn keys() -> mpsc::Receiver<Option<KeyEvent>> {
    let (press, keys) = mpsc::channel(MAX_NEWS);
    thread::spawn(move || {
        while !press.is_closed() {
            match event::poll(KEY_PATIENCE) {
                Ok(false) => continue,
                Ok(true) => {}
                Err(_) => return,
            }
            let pressed = match event::read() {
                Ok(Event::Key(key)) if key.is_press() => Some(key),
                Ok(_) => None,
                Err(_) => return,
            };
            if press.blocking_send(pressed).is_err() {
                return;
            }
        }
    });
    keys
}

/// The terminal while it is ours; a panic gives it back as well.
struct Screen {
    terminal: DefaultTerminal,
}

impl Screen {
    fn open() -> io::Result<Self> {
        Ok(Self { terminal: ratatui::try_init()? })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        drop(ratatui::try_restore());
    }
}

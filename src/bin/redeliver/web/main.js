// The page: which view is shown, and what stands around it.

import { h, mark, say, toast } from '/dom.js';
import { retell } from '/format.js';
import { overview } from '/overview.js';
import { connect, disconnect, first, listen, live, post } from '/server.js';
import { tasks } from '/tasks.js';

const main = document.getElementById('main');
const crumbs = document.getElementById('crumbs');
const alerts = document.getElementById('alerts');
const tray = tasks(document.getElementById('tasks'));
let view = null;

/** `#/q/NAME?state=dead`, `#/q/NAME/m/ID`; what the overview can do without comes when it is asked for. */
async function route() {
  const [path, query = ''] = location.hash.slice(1).split('?');
  const [, kind, name, sub, id] = path.split('/').map(decodeURIComponent);
  if (kind === 'q' && sub === 'm') return (await import('/message.js')).message(name, id);
  if (kind === 'q') return (await import('/queue.js')).queue(name, new URLSearchParams(query));
  return overview();
}

async function show() {
  const path = location.hash.split('?')[0];
  // Another state or search within the same queue keeps its plots.
  if (view?.path === path && view.query) {
    view.query(new URLSearchParams(location.hash.split('?')[1] ?? ''));
    return;
  }
  const asked = location.hash;
  const next = await route();
  if (location.hash !== asked) {
    next.leave?.();
    return;
  }
  view?.leave?.();
  view = next;
  view.path = path;
  document.title = view.title === 'Queues' ? 'redeliver' : `${view.title} · redeliver`;
  const home = h('a', { href: '#/', class: 'home' },
    h('img', { src: '/icon.svg', alt: '', width: 20, height: 20 }), 'redeliver');
  crumbs.replaceChildren(home, ...view.crumbs.flatMap((crumb) => [
    h('span', { class: 'slash', 'aria-hidden': 'true' }, '/'), crumb,
  ]));
  main.replaceChildren(view.element);
  window.scrollTo(0, 0);
  if (live.tick) view.update?.(live.tick);
}

const dot = h('span', { class: 'dot' });
const state = h('span', {});
const server = h('span', { class: 'server' });
const readOnly = h('span', { class: 'badge', hidden: true }, 'read-only');
const leave = h('button', { type: 'button', class: 'quiet', hidden: true, onclick: logOut }, 'Log out');
document.getElementById('status').append(readOnly, server, h('span', { class: 'live' }, dot, state), leave);

const STATES = { live: ['ok', 'live'], away: ['failing', 'reconnecting'], connecting: ['starting', 'connecting'] };

function around({ tick, state: now }) {
  const [kind, word] = STATES[now];
  mark(dot, 'class', `dot ${kind}`);
  say(state, word);
  if (!tick) return;
  say(server, tick.server);
  readOnly.hidden = !tick.read_only;
  leave.hidden = !tick.has_login;
  document.body.classList.toggle('read-only', tick.read_only);
  const lines = tick.queues.filter((it) => it.stalled).map((it) => [it.name, it.stalled]);
  if (tick.outage) lines.unshift([null, `The server does not answer: ${tick.outage}`]);
  const shown = JSON.stringify(lines);
  if (alerts.dataset.shown !== shown) {
    alerts.dataset.shown = shown;
    alerts.replaceChildren(...lines.slice(0, 5).map(([name, text]) => h('p', { class: 'alert', role: 'alert' },
      name ? h('a', { href: `#/q/${encodeURIComponent(name)}` }, name) : null,
      name ? ` is stalled: ${text}` : text)));
  }
  tray.update(tick);
  view?.update?.(tick);
}

function logIn() {
  disconnect();
  view?.leave?.();
  view = null;
  const input = h('input', { type: 'password', name: 'token', autocomplete: 'current-password', required: true });
  const form = h('form', {
    class: 'login',
    onsubmit: async (event) => {
      event.preventDefault();
      try {
        await post('/login', { token: input.value });
        await start();
      } catch (error) {
        toast(error.message, 'bad');
        input.select();
      }
    },
  }, h('h1', {}, 'Log in'), h('label', {}, 'Token', input), h('button', { class: 'primary' }, 'Log in'));
  crumbs.replaceChildren();
  main.replaceChildren(form);
  input.focus();
}

async function logOut() {
  await post('/logout').catch(() => {});
  logIn();
}

async function start() {
  await first();
  await show();
  connect();
}

listen(around);
window.addEventListener('hashchange', () => show().catch((error) => toast(error.message, 'bad')));
document.addEventListener('locked', () => { if (view) logIn(); });
setInterval(retell, 1000);
start().catch((error) => {
  if (error.message === 'a token is needed') logIn();
  else main.replaceChildren(h('div', { class: 'empty' }, h('h2', {}, 'No answer'), h('p', {}, error.message)));
});

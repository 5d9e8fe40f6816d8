// The messages of one state, page by page, and a search.

import { h, say } from '/dom.js';
import { bytes, number, visible, when } from '/format.js';
import { get, queuePath } from '/server.js';

const PAGE = 50;
const ID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
const TIMES = { ready: 'pushed', scheduled: 'due', pending: 'lease ends', dead: 'died' };
const EMPTY = {
  ready: ['Nothing is ready', 'Every message is taken, waits for its time, or is done.'],
  scheduled: ['Nothing is scheduled', 'No message waits for a delay or a backoff to end.'],
  pending: ['Nothing is pending', 'No worker holds a message of this queue.'],
  dead: ['No dead letters', 'No message has spent its failures.'],
};

function payload(shown) {
  const text = shown.encoding === 'hex' ? `0x${shown.text}` : shown.text;
  return [...visible(text, { lines: false }), shown.is_cut ? '…' : ''];
}

function row(name, message) {
  const href = `#/q/${encodeURIComponent(name)}/m/${message.id}`;
  const failures = message.max_attempts ? `${message.failures} of ${message.max_attempts}` : `${message.failures}`;
  const cell = (label, kind, ...children) => h('td', { 'data-label': label, class: kind }, ...children);
  return h('tr', {},
    h('th', { scope: 'row', class: 'id' }, h('a', { href }, message.id)),
    cell(TIMES[message.state], 'when', when(message.at_ms ?? message.pushed_ms)),
    cell('attempt', 'number', number(message.attempt)),
    cell('failures', 'number', failures),
    cell('size', 'number size', bytes(message.size)),
    h('td', { class: 'what' },
      message.kind ? h('span', { class: 'kind' }, ...visible(message.kind, { lines: false })) : null,
      h('code', {}, ...payload(message.payload)),
      message.error ? h('span', { class: 'error' }, ...visible(message.error, { lines: false })) : null));
}

export function list(name, state, text) {
  const body = h('tbody', {});
  const table = h('table', { class: 'messages' },
    h('thead', {}, h('tr', {},
      ...['id', TIMES[state], 'attempt', 'failures', 'size', 'payload and last error'].map((label, i) => h('th',
        { scope: 'col', class: i > 1 && i < 5 ? 'number' : '' }, label)))),
    body);
  const input = h('input', {
    type: 'search', name: 'text', value: text, maxlength: 100,
    placeholder: `Id, or text in ${state} messages`, 'aria-label': 'Search messages',
  });
  const told = h('p', { class: 'muted told' });
  const empty = h('div', { class: 'empty' });
  const earlier = h('button', { type: 'button', onclick: () => back() }, 'Earlier');
  const further = h('button', { type: 'button', onclick: () => forth() }, 'Further');
  const refresh = h('button', { type: 'button', class: 'quiet', onclick: () => load() }, 'Refresh');
  const element = h('section', { 'aria-label': `${state} messages` },
    h('div', { class: 'bar' },
      h('h2', {}, `${state[0].toUpperCase()}${state.slice(1)} messages`),
      h('form', { class: 'search', role: 'search', onsubmit: search }, input, h('button', {}, 'Search'))),
    h('div', { class: 'scroll' }, table), empty,
    h('div', { class: 'pages' }, told, refresh, earlier, further));
  const starts = [0];
  let next = null;

  function search(event) {
    event.preventDefault();
    const wanted = input.value.trim();
    const base = `#/q/${encodeURIComponent(name)}`;
    if (ID.test(wanted.toUpperCase())) location.hash = `${base}/m/${wanted.toUpperCase()}`;
    else location.hash = `${base}?state=${state}${wanted ? `&text=${encodeURIComponent(wanted)}` : ''}`;
  }

  async function load() {
    const start = starts.at(-1);
    const query = new URLSearchParams({ state, start, limit: PAGE, contains: text });
    let page;
    try {
      page = await get(`${queuePath(name)}/messages?${query}`);
    } catch (error) {
      say(told, error.message);
      return;
    }
    next = page.next;
    body.replaceChildren(...page.messages.map((message) => row(name, message)));
    table.hidden = page.messages.length === 0;
    empty.hidden = page.messages.length > 0;
    const [title, why] = text
      ? ['Nothing found', `None of the ${number(page.looked)} messages looked at contains “${text}”.`]
      : EMPTY[state];
    empty.replaceChildren(h('h2', {}, title), h('p', {}, why));
    earlier.disabled = starts.length === 1;
    further.disabled = next === null;
    say(further, text ? 'Search on' : 'Further');
    const found = page.messages.length;
    if (text) say(told, `${number(found)} found in ${number(page.looked)} looked at, from ${number(start + 1)} on`);
    else say(told, found ? `${number(start + 1)} to ${number(start + found)}, in the order of the state` : '');
  }

  function forth() {
    if (next !== null) starts.push(next);
    load();
  }

  function back() {
    if (starts.length > 1) starts.pop();
    load();
  }

  /** A list that shows the first page and is short follows the queue by itself. */
  let known = null;
  function update(queue) {
    const count = queue[state];
    const isFirst = starts.length === 1 && !element.contains(document.activeElement);
    if (known !== null && known !== count && isFirst && !text) load();
    known = count;
  }

  load();
  return { element, load, update };
}

// All queues at a glance.

import { h, mark, say, spark } from '/dom.js';
import { compact, duration, many, number, rate } from '/format.js';
import { get } from '/server.js';

const SPARKS_EVERY = 15000;
const STATES = ['ready', 'scheduled', 'pending', 'dead'];
const RATES = ['pushed', 'acked', 'retried', 'died'];
/** Left to the queue's own page where the screen is narrow. */
const RARE = ['retried', 'died'];

export function badges(queue) {
  return [
    queue.fault ? h('span', { class: 'badge bad', title: queue.fault }, 'unreadable') : null,
    queue.stalled ? h('span', { class: 'badge bad', title: queue.stalled }, 'stalled') : null,
    queue.paused ? h('span', { class: 'badge warn' }, 'paused') : null,
  ].filter(Boolean);
}

export function pollerWords(poller) {
  if (!poller) return ['off', 'this process runs no pollers'];
  const passed = poller.passed_ms === null ? '' : `last pass ${duration(poller.passed_ms)} ago`;
  return [poller.state, poller.fault ?? passed];
}

class Row {
  constructor(name) {
    const link = h('a', { href: `#/q/${encodeURIComponent(name)}` }, name);
    this.badges = h('span', { class: 'badges' });
    this.cells = {};
    const cell = (key, label, kind = '') => {
      this.cells[key] = h('td', { class: `number ${kind}`, 'data-label': label });
      return this.cells[key];
    };
    this.spark = h('td', { class: 'sparkcell' });
    this.dot = h('span', { class: 'dot' });
    this.poller = h('span', {});
    this.element = h('tr', {},
      h('th', { scope: 'row', class: 'name' }, link, this.badges),
      ...STATES.map((state) => cell(state, state, `state ${state}`)),
      ...RATES.map((key) => cell(`${key}/s`, `${key}/s`, `rate ${RARE.includes(key) ? 'rare' : ''}`)),
      cell('waits', 'waits', 'time'),
      cell('late', 'late', 'time'),
      this.spark,
      h('td', { class: 'poller', 'data-label': 'poller' }, this.dot, this.poller));
  }

  put(key, text, isZero) {
    say(this.cells[key], text);
    this.cells[key].classList.toggle('zero', isZero);
  }

  update(queue) {
    for (const state of STATES) this.put(state, compact(queue[state]), queue[state] === 0);
    for (const key of RATES) {
      this.put(`${key}/s`, rate(queue.rates[key]), queue.rates[key] === 0);
    }
    this.put('waits', queue.ready ? duration(queue.wait_ms) : '–', !queue.ready);
    this.put('late', queue.late_ms ? duration(queue.late_ms) : '–', !queue.late_ms);
    const shown = badges(queue);
    const words = shown.map((badge) => badge.textContent + badge.title).join();
    if (this.words !== words) {
      this.words = words;
      this.badges.replaceChildren(...shown);
    }
    const [state, title] = pollerWords(queue.poller);
    mark(this.dot, 'class', `dot ${state}`);
    mark(this.poller, 'title', title);
    say(this.poller, state);
  }
}

function totals() {
  const numbers = {};
  const card = (key, label) => {
    numbers[key] = h('strong', {}, '0');
    return h('div', { class: `total ${key}` }, numbers[key], h('span', {}, label));
  };
  const element = h('section', { class: 'totals', 'aria-label': 'All queues together' },
    ...STATES.map((state) => card(state, state)),
    card('pushed', 'pushed /s'), card('acked', 'acked /s'));
  return {
    element,
    update(queues) {
      const sum = (pick) => queues.reduce((total, queue) => total + pick(queue), 0);
      for (const state of STATES) say(numbers[state], compact(sum((queue) => queue[state])));
      for (const key of ['pushed', 'acked']) say(numbers[key], rate(sum((q) => q.rates[key])));
    },
  };
}

function heading(label, title, kind = '') {
  return h('th', { scope: 'col', class: kind, title }, label);
}

export function overview() {
  const sums = totals();
  const rows = new Map();
  const body = h('tbody', {});
  const filter = h('input', {
    type: 'search', placeholder: 'Filter queues', 'aria-label': 'Filter queues',
    oninput: () => arrange(),
  });
  const count = h('p', { class: 'muted count' });
  const table = h('table', { class: 'queues' },
    h('thead', {}, h('tr', {},
      heading('queue', 'Each queue that was ever pushed to'),
      ...STATES.map((state) => heading(state, `Messages that are ${state}`, 'number')),
      heading('pushed/s', 'Over the last ten seconds', 'number'),
      heading('acked/s', 'Over the last ten seconds', 'number'),
      heading('retried/s', 'Failed and sent round again', 'number'),
      heading('died/s', 'Became dead letters', 'number'),
      heading('waits', 'Since the message at the head of ready was pushed', 'number'),
      heading('late', 'How late the latest redelivery was, or still is', 'number'),
      heading('last hour', 'Ready, scheduled and pending together', 'sparkhead'),
      heading('poller', 'The poller of this process'))),
    body);
  const empty = h('div', { class: 'empty' },
    h('h2', {}, 'No queues yet'),
    h('p', {}, 'A queue appears here with its first message:'),
    h('pre', {}, 'redeliver push emails "hello"'));
  const bar = h('div', { class: 'bar' }, h('h1', {}, 'Queues'), count, filter);
  const element = h('div', {}, sums.element, bar, h('div', { class: 'scroll' }, table), empty);
  let queues = [];

  function arrange() {
    const wanted = filter.value.trim().toLowerCase();
    for (const queue of queues) {
      rows.get(queue.name).element.hidden = !queue.name.toLowerCase().includes(wanted);
    }
  }

  function update(tick) {
    queues = tick.queues;
    sums.update(queues);
    const names = new Set(queues.map((queue) => queue.name));
    for (const [name, row] of rows) {
      if (names.has(name)) continue;
      row.element.remove();
      rows.delete(name);
    }
    queues.forEach((queue, index) => {
      let row = rows.get(queue.name);
      if (!row) {
        row = new Row(queue.name);
        rows.set(queue.name, row);
        body.insertBefore(row.element, body.children[index] ?? null);
      }
      row.update(queue);
    });
    table.hidden = queues.length === 0;
    empty.hidden = queues.length > 0;
    filter.hidden = queues.length < 6;
    const stalled = queues.filter((queue) => queue.stalled).length;
    say(count, many(queues.length, 'queue') + (stalled ? `, ${number(stalled)} stalled` : ''));
    arrange();
  }

  async function draw() {
    const sparks = await get('/api/sparks').catch(() => ({}));
    for (const [name, points] of Object.entries(sparks)) {
      rows.get(name)?.spark.replaceChildren(spark(points));
    }
  }
  setTimeout(draw, 0);
  const timer = setInterval(draw, SPARKS_EVERY);

  return { element, title: 'Queues', crumbs: [], update, leave: () => clearInterval(timer) };
}

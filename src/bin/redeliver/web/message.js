// One message: what it carries, what it has been through, what can be done with it.

import { ask, button, h, segments } from '/dom.js';
import { bytes, duration, hexdump, number, pretty, visible, when } from '/format.js';
import { get, post, queuePath } from '/server.js';

const AT = { scheduled: 'Due', pending: 'Lease ends', dead: 'Died', ready: 'Ready' };
const DELAYS = [[0, 'now'], [60000, 'in 1 minute'], [600000, 'in 10 minutes'], [3600000, 'in 1 hour'],
  [86400000, 'in 1 day']];

function payload(message) {
  const { encoding, text, is_cut: isCut } = message.body;
  const pre = h('pre', { class: 'payload', tabindex: '0', 'aria-label': 'Payload' });
  const raw = () => (encoding === 'hex'
    ? Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16))
    : new TextEncoder().encode(text));
  const shown = {
    json: () => pretty(text),
    text: () => visible(text),
    hex: () => [hexdump(raw())],
  };
  const choices = [];
  if (encoding === 'text') {
    try {
      pretty(text);
      choices.push(['json', 'JSON']);
    } catch { /* It is no JSON. */ }
    choices.push(['text', 'Text']);
  }
  choices.push(['hex', 'Hex']);
  const choose = (key) => pre.replaceChildren(...shown[key]());
  choose(choices[0][0]);
  const copy = button('Copy', () => navigator.clipboard.writeText(text).then(() => 'Copied'), { class: 'small' });
  return h('section', { 'aria-label': 'Payload' },
    h('div', { class: 'bar' }, h('h2', {}, 'Payload'), h('span', { class: 'muted' }, bytes(message.size)),
      h('span', { class: 'grow' }), segments('Show payload as', choices, choices[0][0], choose), copy),
    message.size ? pre : h('p', { class: 'muted' }, 'The payload is empty.'),
    isCut ? h('p', { class: 'muted' }, `Only the first ${bytes(raw().length)} are shown.`) : null);
}

function backoff(rule) {
  return rule ? JSON.stringify(rule) : null;
}

function facts(message) {
  const list = h('dl', { class: 'facts wide' });
  const fact = (label, ...value) => list.append(h('div', {}, h('dt', {}, label), h('dd', {}, ...value)));
  fact('state', h('span', { class: `badge state ${message.state}` }, message.state));
  if (message.at_ms !== null) fact(AT[message.state].toLowerCase(), when(message.at_ms));
  fact('pushed', when(message.pushed_ms));
  fact('attempt', number(message.attempt));
  fact('failures', message.max_attempts ? `${message.failures} of ${message.max_attempts}` : `${message.failures}, no limit`);
  const { kind, content_type: type, headers = {} } = message.header;
  if (kind) fact('kind', ...visible(kind));
  if (type) fact('content type', ...visible(type));
  if (message.header.backoff) fact('backoff', backoff(message.header.backoff));
  for (const [name, value] of Object.entries(headers)) fact(name, h('code', {}, ...visible(value)));
  return list;
}

function timeline(message) {
  const items = [h('li', { class: 'pushed' }, h('strong', {}, 'Pushed '), when(message.pushed_ms))];
  const failures = [...message.history].reverse();
  const untold = message.attempt - 1 - failures.length;
  if (untold > 0) {
    items.push(h('li', { class: 'muted' },
      `${number(untold)} more ${untold === 1 ? 'delivery' : 'deliveries'}: given back, taken back, or too long ago to be kept`));
  }
  let before = null;
  for (const failure of failures) {
    const gap = before === null ? '' : `, ${duration(Math.max(0, failure.at_ms - before))} after the one before`;
    before = failure.at_ms;
    items.push(h('li', { class: 'failed' },
      h('strong', {}, `Attempt ${number(failure.attempt)} failed `), when(failure.at_ms),
      h('span', { class: 'muted' }, gap), h('p', { class: 'error' }, ...visible(failure.error))));
  }
  const now = {
    ready: ['Ready, waits for a worker'], scheduled: ['Scheduled, due ', when(message.at_ms)],
    pending: [`Attempt ${number(message.attempt)} is under way, its lease ends `, when(message.at_ms)],
    dead: ['Dead letter since ', when(message.at_ms)],
  }[message.state];
  items.push(h('li', { class: `now ${message.state}` }, ...now));
  return h('section', { 'aria-label': 'Attempts' }, h('h2', {}, 'Attempts'), h('ol', { class: 'timeline' }, ...items));
}

function actions(name, message, reload) {
  const path = `${queuePath(name)}/messages/${message.id}`;
  const act = async (body) => {
    const { outcome } = await post(path, body);
    reload();
    return `${message.id} is ${outcome}`;
  };
  const sure = async (question, body) => ((await ask(question)) ? act(body) : null);
  const cancel = button('Cancel message', () => sure({
    title: 'Cancel this message?', verb: 'Cancel message', danger: true,
    text: message.state === 'pending' ? 'It is removed while a worker holds it; that worker’s ack will be lost.' : 'It is removed for good.',
  }, { action: 'cancel' }), { class: 'act danger' });
  const reschedule = button('Reschedule', async () => {
    const options = DELAYS.map(([ms, label]) => h('option', { value: ms }, label));
    const data = await ask({ title: 'Reschedule', verb: 'Reschedule',
      fields: [h('label', {}, 'Deliver it ', h('select', { name: 'after' }, ...options))] });
    return data ? act({ action: 'reschedule', after_ms: Number(data.get('after')) }) : null;
  }, { class: 'act' });
  const redrive = button('Redrive', () => act({ action: 'redrive' }), { class: 'act primary' });
  const purge = button('Purge', () => sure({ title: 'Purge this dead letter?', verb: 'Purge for good', danger: true,
    text: 'It is removed for good.' }, { action: 'purge' }), { class: 'act danger' });
  return { ready: [reschedule, cancel], scheduled: [reschedule, cancel], pending: [cancel], dead: [redrive, purge] }[message.state];
}

export function message(name, id) {
  const element = h('div', {});
  const home = `#/q/${encodeURIComponent(name)}`;

  async function load() {
    try {
      const message = await get(`${queuePath(name)}/messages/${encodeURIComponent(id)}`);
      element.replaceChildren(
        h('div', { class: 'bar' }, h('h1', { class: 'mono' }, id), h('span', { class: 'grow' }),
          h('span', { class: 'acts' }, ...actions(name, message, load))),
        facts(message),
        h('div', { class: 'two' }, payload(message), timeline(message)));
    } catch (error) {
      element.replaceChildren(h('div', { class: 'empty' },
        h('h2', {}, 'Not here'), h('p', {}, `${error.message}. It may be done, cancelled or purged.`),
        h('p', {}, h('a', { href: home }, `Back to ${name}`))));
    }
  }
  load();
  const crumbs = [h('a', { href: home }, name), h('span', { 'aria-current': 'page', class: 'mono' }, id)];
  return { element, title: id, crumbs };
}

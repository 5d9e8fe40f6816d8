// One queue: its states, its plots, its messages.

import { button, h, mark, say } from '/dom.js';
import { dead } from '/dead.js';
import { duration, number, when } from '/format.js';
import { list } from '/list.js';
import { badges, pollerWords } from '/overview.js';
import { plots } from '/plots.js';
import { live, post, queuePath } from '/server.js';

const STATES = {
  ready: (queue) => (queue.ready ? ['head pushed ', queue.now_ms - queue.wait_ms] : ['none waits for a worker']),
  scheduled: (queue) => (queue.next_due_ms ? ['next ', queue.next_due_ms] : ['none waits for its time']),
  pending: (queue) => (queue.next_deadline_ms ? ['next lease ends ', queue.next_deadline_ms] : ['none is held']),
  dead: (queue) => (queue.oldest_dead_ms ? ['oldest died ', queue.oldest_dead_ms] : ['none was given up']),
};

/** The four states as links to their messages. */
function pills(name) {
  const parts = {};
  const element = h('nav', { class: 'states', 'aria-label': 'States' });
  for (const state of Object.keys(STATES)) {
    const count = h('strong', {}, '0');
    const note = h('small', {});
    const link = h('a', { href: `#/q/${encodeURIComponent(name)}?state=${state}`, class: `pill ${state}` },
      h('span', { class: 'word' }, state), count, note);
    parts[state] = { link, count, note };
    element.append(link);
  }
  return {
    element,
    choose(chosen) {
      for (const [state, { link }] of Object.entries(parts)) {
        mark(link, 'aria-current', state === chosen ? 'true' : null);
      }
    },
    update(queue) {
      for (const [state, { count, note }] of Object.entries(parts)) {
        say(count, number(queue[state]));
        count.classList.toggle('zero', queue[state] === 0);
        const [words, at] = STATES[state](queue);
        const shown = `${words}${at ?? ''}`;
        if (note.dataset.shown === shown) continue;
        note.dataset.shown = shown;
        note.replaceChildren(words, ...(at ? [when(at)] : []));
      }
    },
  };
}

const COUNTERS = ['pushed', 'acked', 'retried', 'released', 'reclaimed', 'promoted', 'died', 'buried',
  'redriven', 'cancelled', 'purged', 'trimmed', 'ghosts'];

/** What ever happened, and how the poller does. */
function facts() {
  const values = {};
  const element = h('dl', { class: 'facts' });
  const fact = (key, label) => {
    values[key] = h('dd', {});
    element.append(h('div', {}, h('dt', {}, label), values[key]));
  };
  fact('poller', 'poller');
  for (const counter of COUNTERS) fact(counter, counter);
  return {
    element,
    update(queue) {
      for (const counter of COUNTERS) {
        say(values[counter], number(queue[counter]));
        values[counter].parentElement.hidden = counter === 'ghosts' && queue.ghosts === 0;
      }
      const [state, words] = pollerWords(queue.poller);
      say(values.poller, `${state}, ${words}`);
    },
  };
}

export function queue(name, query) {
  const path = queuePath(name);
  const states = pills(name);
  const counters = facts();
  const marks = h('span', { class: 'badges' });
  const toggle = button('Pause', () => {
    const verb = toggle.textContent.toLowerCase();
    return post(`${path}/${verb}`).then(({ outcome }) => `${name} is ${outcome}`);
  }, { class: 'act' });
  const figures = plots(name);
  const below = h('div', { class: 'below' });
  const missing = h('div', { class: 'empty', hidden: true },
    h('h2', {}, 'No such queue here'), h('p', {}, `${name} has not been pushed to, or is not served.`));
  const body = h('div', { class: 'queue' },
    h('div', { class: 'bar' }, h('h1', {}, name), marks, h('span', { class: 'grow' }), toggle),
    states.element, figures.element, below,
    h('details', { class: 'counters' }, h('summary', {}, 'Lifetime counters'), counters.element));
  const element = h('div', {}, body, missing);
  let part = null;
  let groups = null;

  function choose(params) {
    const state = params.get('state') ?? (live.tick?.queues.find((it) => it.name === name)?.dead ? 'dead' : 'ready');
    states.choose(state);
    part?.leave?.();
    groups?.leave?.();
    part = list(name, state, params.get('text') ?? '');
    groups = state === 'dead' ? dead(name, () => part.load()) : null;
    below.replaceChildren(...(groups ? [groups.element] : []), part.element);
  }
  choose(query);

  function update(tick) {
    const known = tick.queues.find((it) => it.name === name);
    missing.hidden = Boolean(known);
    body.hidden = !known;
    if (!known) return;
    states.update(known);
    counters.update(known);
    figures.update(known);
    groups?.update(tick);
    part?.update?.(known);
    say(toggle, known.paused ? 'Resume' : 'Pause');
    const words = badges(known).map((badge) => badge.textContent).join();
    if (marks.dataset.words !== words) {
      marks.dataset.words = words;
      marks.replaceChildren(...badges(known));
    }
    mark(marks, 'title', known.overdue_ms > 1000 ? `due for ${duration(known.overdue_ms)}` : null);
  }

  function leave() {
    figures.leave();
    part?.leave?.();
    groups?.leave?.();
  }
  return { element, title: name, crumbs: [h('span', { 'aria-current': 'page' }, name)], update, query: choose, leave };
}

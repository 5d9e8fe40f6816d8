// Dead letters by what they died of, and what can be done with many of them.

import { ask, button, h, say } from '/dom.js';
import { many, number, visible, when } from '/format.js';
import { get, post, queuePath } from '/server.js';
import { LIVE } from '/tasks.js';

/** How carefully a redrive goes: a canary first, so many a second, and when it stops itself. */
function care() {
  const field = (name, label, attributes, after = '') => h('label', {}, label,
    h('input', { type: 'number', name, ...attributes }), after);
  return [h('div', { class: 'care' },
    field('canary', 'First only ', { min: 0, max: 256, value: 0 }, ' and wait for them'),
    field('rate', 'At most ', { min: 0, max: 1000000, value: 0 }, ' a second; 0: as fast as it can'),
    field('ratio', 'Stop when more than ', { min: 1, max: 100, placeholder: '–' }, ' % die again'))];
}

function plan(form) {
  const ratio = form.get('ratio');
  return {
    canary: Number(form.get('canary')),
    rate: Number(form.get('rate')),
    ...(ratio ? { max_failure_ratio: Number(ratio) / 100 } : {}),
  };
}

export function dead(name, changed) {
  const path = queuePath(name);
  const body = h('tbody', {});
  const table = h('table', { class: 'groups' },
    h('thead', {}, h('tr', {},
      h('th', { scope: 'col' }, 'died of'), h('th', { scope: 'col', class: 'number' }, 'letters'),
      h('th', { scope: 'col' }, 'newest'), h('td', {}))),
    body);
  const told = h('p', { class: 'muted told' });
  let total = 0;

  const exported = (group) => `${path}/dead/export${group === null ? '' : `?group=${encodeURIComponent(group)}`}`;

  async function sweep(verb, group, count) {
    const danger = verb === 'purge';
    const these = group === null ? many(total, 'dead letter') : `the dead letters of this group`;
    const text = danger
      ? `Removes ${these} for good. Nothing brings them back; export them first if in doubt.`
      : `Brings ${these} back to ready with their failures forgotten. Only what is dead now; letters that die again are not taken twice.`;
    const title = `${danger ? 'Purge' : 'Redrive'} ${group === null ? 'all' : many(count, 'letter')}?`;
    const fields = group === null ? [] : [h('p', { class: 'error' }, ...visible(group || 'no error recorded'))];
    if (!danger) fields.push(...care());
    const sure = await ask({ title, text, verb: danger ? 'Purge for good' : 'Redrive', danger, fields });
    if (!sure) return null;
    const which = group === null ? { all: true } : { group };
    await post(`${path}/dead/${verb}`, danger ? which : { ...which, ...plan(sure) });
    return null;
  }

  function row(group) {
    return h('tr', {},
      h('th', { scope: 'row', class: 'what', title: group.example },
        ...(group.error ? visible(group.error, { lines: false }) : ['no error recorded'])),
      h('td', { class: 'number', 'data-label': 'letters' }, number(group.count)),
      h('td', { class: 'when', 'data-label': 'newest' },
        h('a', { href: `#/q/${encodeURIComponent(name)}/m/${group.id}` }, when(group.newest_ms))),
      h('td', { class: 'do' }, h('span', { class: 'acts' },
        button('Redrive', () => sweep('redrive', group.error, group.count), { class: 'small act' }),
        button('Purge', () => sweep('purge', group.error, group.count), { class: 'small act danger' }),
        h('a', { class: 'button small', href: exported(group.error), download: '' }, 'Export'))));
  }

  const all = h('span', { class: 'acts' },
    button('Redrive all', () => sweep('redrive', null, total), { class: 'act primary' }),
    button('Purge all', () => sweep('purge', null, total), { class: 'act danger' }),
    h('a', { class: 'button', href: exported(null), download: '' }, 'Export'));
  const element = h('section', { class: 'letters', 'aria-label': 'Dead letters by error' },
    h('div', { class: 'bar' }, h('h2', {}, 'What they died of'), h('span', { class: 'grow' }), all),
    h('div', { class: 'scroll' }, table), told);

  async function load() {
    const groups = await get(`${path}/dead/groups`).catch((error) => ({ error }));
    if (groups.error) {
      say(told, groups.error.message);
      return;
    }
    total = groups.dead;
    element.hidden = groups.dead === 0;
    body.replaceChildren(...groups.by_error.map(row));
    const newest = groups.looked < groups.dead ? `the newest ${number(groups.looked)} of ` : '';
    const others = groups.others ? `, ${number(groups.others)} more in smaller groups` : '';
    say(told, `Looked at ${newest}${many(groups.dead, 'letter')}${others}. Words with digits count as #.`);
  }

  /** Looks again when a task of this queue has ended. */
  let running = new Set();
  function update(tick) {
    const now = tick.tasks.filter((task) => task.queue === name && LIVE.includes(task.stand)).map((task) => task.id);
    const ended = [...running].some((id) => !now.includes(id));
    running = new Set(now);
    for (const act of element.querySelectorAll('button.act')) act.disabled = now.length > 0;
    const known = tick.queues.find((it) => it.name === name)?.dead ?? 0;
    const appeared = total === 0 && known > 0;
    if (!ended && !appeared) return;
    load();
    changed();
  }

  load();
  return { element, update };
}

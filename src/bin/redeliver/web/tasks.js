// Purges and redrives that go on by themselves. A redrive is the queue's own: it is shown, and can be
// paused, resumed and cancelled, whoever drives it.

import { button, h, say, toast } from '/dom.js';
import { number } from '/format.js';
import { post, queuePath } from '/server.js';

const DOING = { redrive: 'Redriving', purge: 'Purging' };
const DONE = { redrive: 'redriven', purge: 'purged' };
export const LIVE = ['running', 'canary', 'paused', 'stopped'];
const RESTS = ['paused', 'stopped'];

const isLive = (task) => LIVE.includes(task.stand);

class Line {
  constructor(task) {
    this.bar = h('progress', { max: 1, value: 0, 'aria-label': 'Progress' });
    this.words = h('span', { class: 'words' });
    const quiet = { class: 'small act' };
    const steer = (verb) => () => post(`${queuePath(task.queue)}/redrive/${verb}`).then(({ outcome }) => outcome ?? null);
    this.pause = button('Pause redrive', steer('pause'), quiet);
    this.resume = button('Resume redrive', steer('resume'), quiet);
    const cancel = task.verb === 'redrive' ? steer('cancel') : () => post(`/api/purges/${task.id}/cancel`).then(() => null);
    const which = task.which === null ? '' : `, ${task.which}`;
    this.element = h('div', { class: 'task' },
      h('strong', {}, `${DOING[task.verb]} ${task.queue}`), h('span', { class: 'which' }, which), this.bar, this.words,
      ...(task.verb === 'redrive' ? [this.pause, this.resume] : []), button('Cancel', cancel, quiet));
  }

  update(task) {
    this.bar.max = Math.max(task.total, 1);
    this.bar.value = Math.min(task.looked, task.total);
    const parts = [`${number(task.done)} ${DONE[task.verb]} of ${number(task.total)}`];
    if (task.stand !== 'running') parts.unshift(task.stand);
    if (task.watched) {
      const [good, failed, open] = task.watched.map(number);
      parts.push(`watched: ${good} done, ${failed} dead again, ${open} open`);
    }
    if (task.reason) parts.push(task.reason);
    say(this.words, parts.join('; '));
    this.pause.hidden = RESTS.includes(task.stand);
    this.resume.hidden = !this.pause.hidden;
  }
}

function ending(task) {
  const what = `${number(task.done)} ${DONE[task.verb]} in ${task.queue}`;
  if (task.stand === 'done') return [what, 'good'];
  if (task.stand === 'cancelled') return [`Cancelled: ${what}, the rest stays dead`, 'good'];
  return [`Failed after ${what}: ${task.reason}`, 'bad'];
}

export function tasks(tray) {
  const lines = new Map();
  const told = new Set();
  let isFirst = true;

  return {
    update(tick) {
      const running = tick.tasks.filter(isLive);
      for (const task of running) {
        if (!lines.has(task.id)) {
          lines.set(task.id, new Line(task));
          tray.append(lines.get(task.id).element);
        }
        lines.get(task.id).update(task);
      }
      for (const task of tick.tasks) {
        if (isLive(task) || told.has(task.id)) continue;
        told.add(task.id);
        // What ended before this page was opened is no news.
        if (!isFirst) toast(...ending(task));
      }
      const ids = new Set(running.map((task) => task.id));
      for (const [id, line] of lines) {
        if (ids.has(id)) continue;
        line.element.remove();
        lines.delete(id);
      }
      isFirst = false;
    },
  };
}

// Redrives and purges that go on by themselves.

import { button, h, say, toast } from '/dom.js';
import { number } from '/format.js';
import { post } from '/server.js';

const DOING = { redrive: 'Redriving', purge: 'Purging' };
const DONE = { redrive: 'redriven', purge: 'purged' };

class Line {
  constructor(task) {
    this.bar = h('progress', { max: 1, value: 0, 'aria-label': 'Progress' });
    this.words = h('span', { class: 'words' });
    const which = task.group === null ? '' : ' of one group';
    this.element = h('div', { class: 'task' },
      h('strong', {}, `${DOING[task.sweep]} ${task.queue}${which}`), this.bar, this.words,
      button('Cancel', () => post(`/api/tasks/${task.id}/cancel`).then(() => null), { class: 'small act' }));
  }

  update(task) {
    this.bar.max = Math.max(task.total, 1);
    this.bar.value = Math.min(task.looked, task.total);
    const looked = task.group === null ? '' : `, ${number(task.looked)} looked at`;
    say(this.words, `${number(task.done)} ${DONE[task.sweep]}${looked} of ${number(task.total)}`);
  }
}

function ending(task) {
  const what = `${number(task.done)} ${DONE[task.sweep]} in ${task.queue}`;
  if (task.stand === 'done') return [what, 'good'];
  if (task.stand === 'cancelled') return [`Cancelled: ${what}, the rest stays dead`, 'good'];
  return [`Failed after ${what}: ${task.stand.failed}`, 'bad'];
}

export function tasks(tray) {
  const lines = new Map();
  const told = new Set();
  let isFirst = true;

  return {
    update(tick) {
      const running = tick.tasks.filter((task) => task.stand === 'running');
      for (const task of running) {
        if (!lines.has(task.id)) {
          lines.set(task.id, new Line(task));
          tray.append(lines.get(task.id).element);
        }
        lines.get(task.id).update(task);
      }
      for (const task of tick.tasks) {
        if (task.stand === 'running' || told.has(task.id)) continue;
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

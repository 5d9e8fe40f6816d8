// Plots over the last hour, and a picture of what is to come.

import { h, segments, say } from '/dom.js';
import { compact, duration, number, rate } from '/format.js';
import { get, queuePath } from '/server.js';

const HEIGHT = 150;
/** As many points as the server keeps. */
const MAX_POINTS = 720;
const FORECAST_EVERY = 5000;
const dark = matchMedia('(prefers-color-scheme: dark)');

/** The plotting library comes when there is something to plot: nothing else waits for it. */
const library = import('/uplot.js').then((module) => module.default);

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** 1, 10, 100 ms, 1 s, 10 s, 1 min, 10 min, 1 h, 1 d: where a logarithmic axis has its lines. */
const DECADES = [1, 10, 100, 1000, 10000, 60000, 600000, 3600000, 86400000];
const LOGARITHMIC = { space: 0, splits: (_, __, ___, top) => DECADES.filter((at) => at <= top),
  filter: (_, splits) => splits };

function axes(format, x = {}, y = {}) {
  const both = { stroke: colour('--muted'), font: '11px system-ui, sans-serif',
    grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false } };
  return [
    { ...both, grid: { show: false }, space: 60, size: 26, ...x },
    { ...both, size: 46, space: 32, values: (_, values) => values.map((value) => (value === null ? '' : format(value))), ...y },
  ];
}

const SECONDS = new Intl.DateTimeFormat('en-GB', { timeStyle: 'medium' });
const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });

/** One figure: a title, a plot, and what it says in words for those who cannot see it. */
class Figure {
  constructor(title, note, tools = null) {
    this.words = h('span', { class: 'sr' });
    this.box = h('div', { class: 'plot' });
    this.element = h('figure', {},
      h('figcaption', {}, h('h3', {}, title), note ? h('span', { class: 'muted' }, note) : null, tools, this.words),
      this.box);
    this.resize = new ResizeObserver(() => this.fit());
    this.resize.observe(this.box);
  }

  fit() {
    const width = this.box.clientWidth;
    if (this.plot && width && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
  }

  async draw(options, data) {
    const uPlot = await library;
    this.plot?.destroy();
    const width = this.box.clientWidth || 320;
    this.plot = new uPlot({ width, height: HEIGHT, cursor: { points: { size: 5 }, y: false },
      legend: { live: true }, ...options }, data, this.box);
  }

  leave() {
    this.resize.disconnect();
    this.plot?.destroy();
  }
}

/** The series of each plot over time: column, label, colour. */
const TIMELINES = [
  { title: 'Depth', format: compact, series: [['ready', 'ready', '--ready'],
    ['scheduled', 'scheduled', '--scheduled'], ['pending', 'pending', '--pending'], ['dead', 'dead', '--dead']] },
  { title: 'Rates', note: 'per second', format: rate, series: [['pushed', 'pushed', '--ready'],
    ['acked', 'acked', '--pending'], ['retried', 'retried', '--scheduled'], ['died', 'died', '--dead']] },
  { title: 'Lateness', note: 'logarithmic', format: (ms) => (ms <= 1 ? '≤ 1 ms' : duration(ms)), isLog: true, series: [['late_ms', 'redelivery late', '--scheduled'],
    ['wait_ms', 'head of ready waits', '--ready']] },
];

class Timeline extends Figure {
  constructor(spec) {
    super(spec.title, spec.note);
    this.spec = spec;
  }

  options() {
    const { format, series } = this.spec;
    const lines = series.map(([, label, name]) => ({
      label, stroke: colour(name), width: 1.5, points: { show: false },
      // Away from the cursor the legend tells the latest.
      value: (_, value, i) => format(value ?? this.latest[i] ?? 0),
    }));
    const time = { label: 'at', value: (_, at) => (at ? SECONDS.format(at * 1000) : 'now') };
    // A young history spans seconds.
    const values = (_, times) => times.map((at) => (at % 60 ? SECONDS : CLOCK).format(at * 1000));
    return { series: [time, ...lines], axes: axes(format, { values }, this.spec.isLog ? LOGARITHMIC : {}),
      scales: { y: this.spec.isLog ? { distr: 3, range: (_, __, top) => [1, Math.max(top * 2, 100)] }
        : { range: (_, __, top) => [0, Math.max(top * 1.1, 1)] } } };
  }

  show(columns) {
    // There is no zero on a logarithmic scale.
    const least = this.spec.isLog ? (values) => values.map((value) => Math.max(value, 1)) : (values) => values;
    const data = [columns.at_ms.map((at) => at / 1000),
      ...this.spec.series.map(([column]) => least(columns[column]))];
    this.latest = data.map((column) => column.at(-1));
    const last = this.spec.series.map(([column, label]) => `${label} ${columns[column].at(-1) ?? 0}`);
    say(this.words, last.join(', '));
    if (this.plot) this.plot.setData(data);
    else this.draw(this.options(), data);
  }
}

const SPANS = { minute: 'minute', hour: 'hour', day: 'day' };

/** A picture of scheduled and pending: how much falls due in each slice of the time to come. */
class Forecast extends Figure {
  constructor(name) {
    const tools = segments('Span', Object.entries(SPANS), 'minute', (span) => {
      this.span = span;
      this.load();
    });
    super('To come', null, tools);
    this.name = name;
    this.span = 'minute';
    this.told = h('p', { class: 'told muted' });
    this.element.append(this.told);
  }

  async load() {
    const told = await get(`${queuePath(this.name)}/forecast?span=${this.span}`).catch(() => null);
    if (!told || !this.element.isConnected) return;
    const { scheduled, pending, slice_ms: slice } = told;
    const x = scheduled.slices.map((_, i) => i + 0.5);
    const both = scheduled.slices.map((count, i) => count + pending.slices[i]);
    const within = both.reduce((sum, count) => sum + count, 0);
    const overdue = scheduled.overdue + pending.overdue;
    const later = Math.max(0, (this.waiting ?? 0) - scheduled.upto - pending.upto);
    say(this.told, `${number(within)} within the ${this.span} · ${number(overdue)} due now · ${number(later)} later`);
    this.raw = { scheduled: scheduled.slices, pending: pending.slices };
    if (this.plot && this.drawn === this.span) this.plot.setData([x, both, pending.slices]);
    else await this.draw(await this.options(slice), [x, both, pending.slices]);
    this.drawn = this.span;
  }

  async options(slice) {
    const uPlot = await library;
    const bars = uPlot.paths.bars({ size: [0.8, 60, 1], align: 0 });
    const bar = (label, key, name) => ({ label, fill: colour(name), stroke: colour(name), width: 0,
      paths: bars, points: { show: false },
      value: (_, __, ___, i) => number(i === null ? this.raw[key].reduce((a, b) => a + b, 0) : this.raw[key][i] ?? 0) });
    const ahead = (at) => (at === 0 ? 'now' : `+${duration(at * slice)}`);
    const values = (_, slices) => slices.map(ahead);
    return {
      series: [{ label: 'in', value: (_, at) => (at === null ? `a ${this.span}`.replace('a h', 'an h') : duration((at - 0.5) * slice)) },
        bar('fall due', 'scheduled', '--scheduled'), bar('leases end', 'pending', '--pending')],
      axes: axes(compact, { values, incrs: [10, 12, 15, 20] }),
      scales: { x: { time: false, range: (_, __, last) => [0, last + 0.5] },
        y: { range: (_, __, top) => [0, Math.max(top * 1.1, 1)] } },
    };
  }
}

/** All plots of a queue. */
export function plots(name) {
  const timelines = TIMELINES.map((spec) => new Timeline(spec));
  const forecast = new Forecast(name);
  const figures = [timelines[0], timelines[1], timelines[2], forecast];
  const element = h('section', { class: 'plots', 'aria-label': 'The last hour, and what is to come' },
    ...figures.map((figure) => figure.element));
  let columns = null;

  async function load() {
    columns = await get(`${queuePath(name)}/history`).catch(() => null);
    if (columns) for (const timeline of timelines) timeline.show(columns);
  }

  function redraw() {
    for (const figure of figures) {
      figure.plot?.destroy();
      figure.plot = null;
    }
    forecast.drawn = null;
    load();
    forecast.load();
  }

  /** A step of history has passed: its point comes from the tick, not from another question. */
  function update(queue) {
    forecast.waiting = queue.scheduled + queue.pending;
    const last = columns?.at_ms.at(-1) ?? 0;
    if (!columns || queue.now_ms - last < columns.step_ms) return;
    const point = { ...queue, ...queue.rates, at_ms: queue.now_ms };
    for (const [key, column] of Object.entries(columns)) {
      if (!Array.isArray(column)) continue;
      column.push(point[key]);
      if (column.length > MAX_POINTS) column.shift();
    }
    for (const timeline of timelines) timeline.show(columns);
  }

  setTimeout(() => {
    load();
    forecast.load();
  }, 0);
  const timer = setInterval(() => { if (!document.hidden) forecast.load(); }, FORECAST_EVERY);
  dark.addEventListener('change', redraw);

  function leave() {
    clearInterval(timer);
    dark.removeEventListener('change', redraw);
    for (const figure of figures) figure.leave();
  }
  return { element, update, leave };
}

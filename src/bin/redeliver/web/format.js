// Numbers, times and texts for people.

import { h } from '/dom.js';
import { serverNow } from '/server.js';

const WHOLE = new Intl.NumberFormat('en');
const COMPACT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

export const number = (value) => WHOLE.format(value);
export const compact = (value) => (value < 100000 ? WHOLE.format(value) : COMPACT.format(value));
export const many = (count, noun) => `${number(count)} ${noun}${count === 1 ? '' : 's'}`;

export function rate(perSecond) {
  if (perSecond === 0) return '0';
  if (perSecond < 10) return perSecond.toFixed(1);
  return compact(Math.round(perSecond));
}

export function bytes(size) {
  if (size < 1024) return `${size} B`;
  if (size < 1024 * 1024) return `${(size / 1024).toFixed(1)} KiB`;
  return `${(size / 1024 / 1024).toFixed(1)} MiB`;
}

const UNITS = [['d', 86400], ['h', 3600], ['min', 60]];

/** 12 ms, 1.2 s, 45 s, 3 min 20 s, 2 h 5 min, 3 d 4 h */
export function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  for (const [index, [unit, size]] of UNITS.entries()) {
    if (seconds < size) continue;
    const [small, smaller] = UNITS[index + 1] ?? ['s', 1];
    const rest = Math.floor((seconds % size) / smaller);
    return `${Math.floor(seconds / size)} ${unit}${rest ? ` ${rest} ${small}` : ''}`;
  }
  return `${seconds} s`;
}

export function relative(at, now = serverNow()) {
  const ahead = at - now;
  if (Math.abs(ahead) < 1000) return 'now';
  return ahead > 0 ? `in ${duration(ahead)}` : `${duration(-ahead)} ago`;
}

const FULL = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'long' });

export function absolute(at) {
  const date = new Date(at);
  const iso = Number.isNaN(date.getTime()) ? '' : date.toISOString();
  return iso ? `${FULL.format(date)}\n${iso}` : `${at} ms`;
}

/** A relative time that tells the absolute one on hover; `retell` keeps it true. */
export function when(at) {
  if (at === null || at === undefined) return h('span', { class: 'none' }, '–');
  const iso = absolute(at).split('\n')[1] ?? '';
  return h('time', { datetime: iso, title: absolute(at), 'data-at': at }, relative(at));
}

export function retell(root = document) {
  const now = serverNow();
  for (const element of root.querySelectorAll('time[data-at]')) {
    const text = relative(Number(element.dataset.at), now);
    if (element.textContent !== text) element.textContent = text;
  }
}

// Control characters, and those that turn text round or hide in it.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;

/** A text with everything unseen made visible, as nodes. */
export function visible(text, { lines = true } = {}) {
  const nodes = [];
  let from = 0;
  const escape = (c) => h('span', { class: 'unseen' },
    `\\u{${c.codePointAt(0).toString(16)}}`);
  const unseen = lines ? UNSEEN : new RegExp(`${UNSEEN.source}|[\\t\\n]`, 'gu');
  for (const match of text.matchAll(unseen)) {
    nodes.push(text.slice(from, match.index));
    const c = match[0];
    nodes.push(c === '\n' || c === '\t' ? ' ' : escape(c));
    from = match.index + c.length;
  }
  nodes.push(text.slice(from));
  return nodes.filter((node) => node !== '');
}

/** Lays JSON out without touching its tokens: a long number stays as it was sent. */
export function pretty(json) {
  JSON.parse(json);
  const nodes = [];
  let depth = 0;
  const line = () => `\n${'  '.repeat(depth)}`;
  const tokens = json.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/gu) ?? [];
  tokens.forEach((token, i) => {
    const next = tokens[i + 1];
    if (token === '{' || token === '[') {
      const isEmpty = next === '}' || next === ']';
      depth += isEmpty ? 0 : 1;
      nodes.push(isEmpty ? token : token + line());
    } else if (token === '}' || token === ']') {
      const isEmpty = tokens[i - 1] === '{' || tokens[i - 1] === '[';
      depth -= isEmpty ? 0 : 1;
      nodes.push(isEmpty ? token : line() + token);
    } else if (token === ',') {
      nodes.push(token + line());
    } else if (token === ':') {
      nodes.push(': ');
    } else {
      const kind = token[0] !== '"' ? 'literal' : next === ':' ? 'key' : 'string';
      nodes.push(h('span', { class: kind }, ...visible(token)));
    }
  });
  return nodes;
}

/** Sixteen bytes a line, with their characters. */
export function hexdump(data) {
  const rows = [];
  for (let at = 0; at < data.length; at += 16) {
    const row = [...data.slice(at, at + 16)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const text = row.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : '·'));
    rows.push(`${at.toString(16).padStart(6, '0')}  ${hex.padEnd(47)}  ${text.join('')}`);
  }
  return rows.join('\n');
}

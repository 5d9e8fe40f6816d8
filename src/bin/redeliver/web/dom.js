// Elements are made from text, never from markup: whatever a payload holds stays text.

/** h('a', {class: 'x', href: '#/', onclick: f}, 'text', element, null) */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** Sets a text only where it differs, so that a live page does not disturb readers. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets or removes an attribute only where it differs. */
export function mark(element, name, value) {
  if (value === null || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) {
    element.setAttribute(name, value);
  }
}

const SVG = 'http://www.w3.org/2000/svg';

/** A line the size of a word. */
export function spark(points, width = 96, height = 22) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.setAttribute('class', 'spark');
  svg.setAttribute('aria-hidden', 'true');
  if (points.length < 2) return svg;
  const top = Math.max(...points, 1);
  const x = (i) => ((i / (points.length - 1)) * width).toFixed(1);
  const y = (value) => (height - 1.5 - (value / top) * (height - 3)).toFixed(1);
  const line = points.map((value, i) => `${x(i)},${y(value)}`).join(' ');
  const area = document.createElementNS(SVG, 'polygon');
  area.setAttribute('points', `0,${height} ${line} ${width},${height}`);
  const stroke = document.createElementNS(SVG, 'polyline');
  stroke.setAttribute('points', line);
  svg.append(area, stroke);
  return svg;
}

/** Asks before something is done that cannot be undone; resolves to the form's data, or null. */
export function ask({ title, text, verb, danger = false, fields = [] }) {
  return new Promise((resolve) => {
    const form = h('form', { method: 'dialog' },
      h('h2', {}, title),
      text ? h('p', {}, text) : null,
      ...fields,
      h('div', { class: 'buttons' },
        h('button', { type: 'button', onclick: () => dialog.close() }, 'Keep as it is'),
        h('button', { value: 'go', class: danger ? 'danger' : 'primary' }, verb)));
    const dialog = h('dialog', {}, form);
    dialog.addEventListener('close', () => {
      const data = dialog.returnValue === 'go' ? new FormData(form) : null;
      dialog.remove();
      resolve(data);
    });
    document.body.append(dialog);
    dialog.showModal();
    if (danger) form.querySelector('button').focus();
  });
}

/** Says for some seconds what became of an action. */
export function toast(text, kind = 'good') {
  const line = h('p', { class: `toast ${kind}` }, text);
  document.getElementById('toasts').append(line);
  setTimeout(() => line.remove(), kind === 'bad' ? 9000 : 4000);
}

/** Runs an action of a button, and says how it went. */
export function button(label, action, attributes = {}) {
  const element = h('button', {
    type: 'button',
    ...attributes,
    onclick: async () => {
      element.disabled = true;
      try {
        const told = await action();
        if (told) toast(told);
      } catch (error) {
        toast(error.message, 'bad');
      } finally {
        element.disabled = false;
      }
    },
  }, label);
  return element;
}

/** One of several; `choose` is called with the key. */
export function segments(label, choices, chosen, choose) {
  const group = h('div', { class: 'segments', role: 'group', 'aria-label': label });
  for (const [key, text] of choices) {
    group.append(h('button', {
      type: 'button',
      'aria-pressed': String(key === chosen),
      onclick: (event) => {
        for (const other of group.children) mark(other, 'aria-pressed', 'false');
        mark(event.currentTarget, 'aria-pressed', 'true');
        choose(key);
      },
    }, text));
  }
  return group;
}

// Talks to the server: questions, actions, and the ticks that all viewers share.

let ahead = 0;
let source = null;
const listeners = new Set();

export const live = { tick: null, state: 'connecting' };

/** The server's clock, as far as the latest tick tells. */
export const serverNow = () => Date.now() + ahead;

async function answered(response) {
  if (response.status === 401) document.dispatchEvent(new Event('locked'));
  if (!response.ok) {
    const told = await response.json().catch(() => ({}));
    throw new Error(told.error ?? `the server answered ${response.status}`);
  }
  return response.json();
}

const reach = (path, options) => fetch(path, options).catch(() => {
  throw new Error('the server cannot be reached');
});

export const get = async (path) => answered(await reach(path));

/** The header cannot be sent by a page of another origin. */
export const post = async (path, body = {}) => answered(await reach(path, {
  method: 'POST',
  headers: { 'Content-Type': 'application/json', 'X-Redeliver': '1' },
  body: JSON.stringify(body),
}));

export const queuePath = (name) => `/api/queues/${encodeURIComponent(name)}`;

function tell(state, tick) {
  live.state = state;
  if (tick?.queues) {
    live.tick = tick;
    if (tick.now_ms) ahead = tick.now_ms - Date.now();
  }
  for (const listener of listeners) listener(live);
}

/** Calls the listener at each tick, and when the connection changes. */
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function connect() {
  disconnect();
  source = new EventSource('/api/events');
  source.addEventListener('tick', (event) => tell('live', JSON.parse(event.data)));
  source.addEventListener('error', () => tell('away'));
}

export function disconnect() {
  source?.close();
  source = null;
}

/** The latest tick at once, before the stream is there. */
export async function first() {
  tell('connecting', await get('/api/overview'));
}

// A page that nobody sees costs nobody anything.
document.addEventListener('visibilitychange', () => {
  if (document.hidden) disconnect();
  else if (live.tick) connect();
});

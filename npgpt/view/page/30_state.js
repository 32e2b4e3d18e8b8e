// One selection for all views, kept in the address: a link shows what its sender saw.

const state = {
  view: "start",
  layer: 0,
  head: 0,
  pos: 0,
  key: 0,
  entry: "",
  cell: 0,
  step: 0,
  param: "",
};
const listeners = [];
let trace,
  before = null;

const blockOf = (name) => {
  const found = /^h\.(\d+)\./.exec(name);
  return found ? Number(found[1]) : null;
};

// A change of one part carries the others along: an entry has its layer, a layer its entries.
function select(change, push = false) {
  const next = { ...state, ...change };
  if (change.entry !== undefined && change.layer === undefined) {
    const layer = trace.entry(change.entry) ? trace.entry(change.entry).layer : null;
    if (layer !== null && layer !== undefined) next.layer = layer;
  } else if (change.layer !== undefined && change.entry === undefined) {
    const other = state.entry.replace(/^h\.\d+\./, `h.${change.layer}.`);
    if (trace.entry(other)) next.entry = other;
  }
  // a cell whose terms are in the page, of the same position if there is one
  if (change.entry !== undefined && change.cell === undefined && next.view === "tensor") {
    const entry = trace.entry(change.entry),
      at = ((entry && entry.worked) || []).find(({ index }) => index[0] === next.pos);
    if (at) next.cell = entry.columns ? entry.columns.indexOf(at.index[1]) : at.index[1];
  }
  if (change.pos !== undefined && change.key === undefined) next.key = Math.min(next.key, next.pos);
  if (next.entry !== state.entry && change.step === undefined) {
    const i = trace.byName.get(next.entry),
      n = trace.entries.length;
    next.step = state.step < n ? i : 2 * n - 1 - i;
  }
  if (change.step !== undefined && change.entry === undefined) {
    const n = trace.entries.length;
    next.step = clamp(Number.isInteger(next.step) ? next.step : 0, 0, 2 * n - 1);
    next.entry = trace.entries[next.step < n ? next.step : 2 * n - 1 - next.step].name;
    const layer = trace.entry(next.entry).layer;
    if (layer !== null && layer !== undefined) next.layer = layer;
  }
  Object.assign(state, next);
  bound();
  const hash = `#${hashOf()}`;
  // a view that was opened from another can be left again; a move within one leaves no trace
  if (push && hash !== location.hash) history.pushState({ opened: true }, "", hash);
  else history.replaceState(history.state, "", hash);
  for (const listen of listeners) listen(change);
}
function bound() {
  const last = trace.length - 1;
  const within = (x, high) => (Number.isInteger(x) ? clamp(x, 0, Math.max(0, high)) : 0);
  state.layer = within(state.layer, trace.layers - 1);
  state.head = within(state.head, trace.heads - 1);
  state.pos = within(state.pos, last);
  state.key = within(state.key, last);
  state.step = within(state.step, 2 * trace.entries.length - 1);
  state.cell = within(state.cell, 1e9);
  if (!trace.entry(state.entry)) state.entry = trace.entries[0].name;
}
const hashOf = () =>
  ["view", "layer", "head", "pos", "key", "entry", "cell", "step", "param"]
    .filter((name) => state[name] !== "")
    .map((name) => `${name}=${encodeURIComponent(state[name])}`)
    .join("&");
function fromHash() {
  const given = {};
  for (const part of location.hash.slice(1).split("&")) {
    const [name, text] = part.split("=");
    if (!(name in state) || text === undefined) continue;
    let decodedText = text;
    try {
      decodedText = decodeURIComponent(text);
    } catch (error) {
      continue;
    }
    given[name] = typeof state[name] === "number" ? Number(decodedText) : decodedText;
  }
  return given;
}

// Parts that several views use: links into other views, the layers' text, token strips.

const VIEWS = [];
let printing = false;
const view = (id, title, build) => VIEWS.push({ id, title, build });

function go(id, change = {}) {
  select({ ...change, view: id }, true);
  $("main").focus({ preventScroll: true });
  scrollTo({ top: 0 });
}
const jump = (words, id, change) =>
  el("button", { type: "button", class: "link", onclick: () => go(id, change || {}) }, words);
const entryLink = (name) =>
  trace.entry(name)
    ? el(
        "button",
        { type: "button", class: "link mono", onclick: () => go("tensor", { entry: name }) },
        name,
      )
    : el("code", {}, name);
const headLink = (layer, head) =>
  el(
    "button",
    { type: "button", class: "link strong", onclick: () => select({ layer, head }) },
    headName(layer, head),
  );
const headName = (layer, head) => `layer ${layer}, head ${head}`;
const token = (text) => el("code", { class: "tok" }, text);

// Text whose parts between backticks are code.
const withCode = (text) => text.split("`").map((part, i) => (i % 2 ? el("code", {}, part) : part));

// What an op is called in a textbook, with its text from the package behind it.
const OPS = {
  layernorm: "LayerNorm",
  linear: "Linear",
  gelu: "GELU (tanh form)",
  gelu_exact: "GELU",
  relu: "ReLU",
  leaky_relu: "leaky ReLU",
  silu: "SiLU",
  identity: "identity",
  residual: "residual connection",
  softmax: "softmax",
  token_embedding: "token embedding",
  position_embedding: "position embedding",
  unembedding: "unembedding",
  multi_head_attention: "multi-head attention",
  causal_attention: "causal attention",
  cross_entropy: "cross-entropy",
  swiglu: "SwiGLU",
  feed_forward: "feed-forward network",
  weight_norm: "weight normalisation",
  pad_zeros: "zero padding",
};
const opName = (op) => OPS[op] || op;
function textbook(op, words) {
  const text = trace.payload.layers && trace.payload.layers[op];
  if (!text) return el("span", {}, words || opName(op));
  return el(
    "button",
    { type: "button", class: "link", onclick: () => showLayer(op, text) },
    words || opName(op),
  );
}
function showLayer(op, text) {
  dialog(
    `${opName(op)}: the layer's own text`,
    el("pre", { class: "textbook" }, text.formula),
    el(
      "details",
      {},
      el("summary", {}, `The whole file, ${text.file}`),
      el("pre", { class: "textbook" }, text.text),
    ),
  );
}
function dialog(title, ...children) {
  const box = el(
    "dialog",
    { "aria-label": title },
    el("h2", {}, title),
    children,
    el("p", {}, el("button", { type: "button", onclick: () => box.close() }, "Close")),
  );
  const from = document.activeElement === document.body ? $("help") : document.activeElement;
  box.addEventListener("close", () => {
    box.remove();
    if (from && from.isConnected) from.focus();
  });
  document.body.append(box);
  box.showModal();
}

// Buttons for positions; a thick lower edge, longer and darker for a larger number.
function tokenStrip(label, numberOf, choose) {
  const box = el("div", {
    class: "tokens",
    role: "group",
    "aria-label": label,
    "data-strip": label,
  });
  const chosen = rove(box);
  return {
    root: box,
    update(selected) {
      const focused = box.contains(document.activeElement);
      const numbers = trace.payload.tokens.map((_, i) => numberOf(i)),
        scale = plainScale(numbers);
      refill(
        box,
        numbers.map((x, i) => {
          const words = trace.hasTarget(i) ? num(x, 2) : "\u2013";
          const button = el(
            "button",
            {
              type: "button",
              "aria-pressed": String(i === selected),
              "data-position": i,
              "aria-label": `${trace.token(i)}${words}, position ${i}`,
              onclick: () => choose(i),
            },
            trace.token(i),
            el("small", {}, words),
          );
          button.style.borderBottomColor = Number.isFinite(x)
            ? `rgb(${rgb(scale, x)})`
            : css(trace.hasTarget(i) ? "warn" : "line");
          return button;
        }),
      );
      chosen(selected);
      if (focused) box.querySelectorAll("button")[selected].focus();
    },
  };
}
const options = (select, items, chosen) => {
  refill(
    select,
    items.map(([value, words]) =>
      el("option", { value, selected: String(value) === String(chosen) }, words),
    ),
  );
  select.value = String(chosen);
};

// The stream's points: "+1 attn" for the stream after the attention of layer 1 was added.
const POINTS = "+0 attn: the stream after the attention of layer 0";
function pointLabel(name) {
  const layer = blockOf(name);
  return layer === null ? "emb" : /mlp|residual_2/.test(name) ? `+${layer} mlp` : `+${layer} attn`;
}
const gradientOf = (t, name) => (t.entry(name) ? t.stat(t.entry(name), "gradient", "rms") : NaN);
function smallest(names, number) {
  const finite = names.filter((name) => Number.isFinite(number(name)));
  return finite.length ? finite.reduce((a, b) => (number(b) < number(a) ? b : a)) : null;
}
function bestHead(t, measure, sign = 1) {
  // [layer, head, number] of the largest
  let best = null;
  t.payload.attention.forEach(({ heads }, layer) =>
    heads.forEach((numbers, head) => {
      const x = real(numbers[measure]);
      if (numbers[measure] !== null && Number.isFinite(x) && (!best || sign * x > sign * best[2]))
        best = [layer, head, x];
    }),
  );
  return best;
}
// Whether all numbers that are finite are one: then none of them is the largest.
function alike(numbers, within = 1e-6) {
  const finite = numbers.filter(Number.isFinite),
    { low, high } = extremes(finite);
  return finite.length > 1 && high - low <= within * Math.max(Math.abs(low), Math.abs(high));
}
const rankWords = ({ rank: place, ties }) =>
  `rank ${place}${ties ? `, tied with ${count(ties, "other")}` : ""}`;
// The parameter that is to be blamed for a NaN: the first that has one.
const brokenParameter = () =>
  (trace.payload.parameters || []).find(({ weight }) => weight.nan + weight.inf > 0);
const losses = (t) => t.payload.targets.map((target) => real(target.loss));
function mostSurprising(t) {
  const all = losses(t);
  return rank(all, (a, b) => (Number.isFinite(b) ? b : -1) - (Number.isFinite(a) ? a : -1))[0];
}
// Through which half block's branch most of the gradient of one position's loss went.
function throughMost(t, position) {
  const paths = t.payload.paths;
  const p = paths ? paths.positions.indexOf(position) : -1;
  if (p < 0 || !paths.most || paths.most[p] === null || paths.most[p] === undefined) return null;
  const k = paths.most[p],
    point = t.payload.flow.points[k],
    wide = t.payload.flow.points.length;
  // where nothing arrives, no way is the widest
  if (!point || !(t.norms(paths.branch, p, wide)[k] > 0)) return null;
  return {
    point,
    norm: t.norms(paths.branch, p, wide)[k],
    fraction: t.norms(paths.fraction, p, wide)[k],
  };
}
const partName = (part) => (part === "attn" ? "attention" : "feed-forward network");
const halfBlock = (point) => `the ${partName(point.part)} of layer ${point.layer}`;

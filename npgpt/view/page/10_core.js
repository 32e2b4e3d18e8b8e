// What every view uses: elements, numbers as text, tokens as visible symbols.

const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style")
      Object.assign(node.style, value); // CSSOM: the policy allows it
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(3)) {
    if (child !== undefined && child !== null && child !== false) node.append(child);
  }
  return node;
}
const el = (tag, attributes, ...children) =>
  fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);
function refill(node, ...children) {
  node.replaceChildren();
  return fill(node, {}, children);
}

// A number of the payload: what JSON cannot write stands there as a word.
const real = (x) =>
  x === null || x === undefined
    ? NaN
    : x === "inf"
      ? Infinity
      : x === "-inf"
        ? -Infinity
        : Number(x);

// Three significant digits by default, as NumPy prints: 0.0123, 1.23e-05. A true minus sign on
// screen, "-" in what is copied.
function plainNumber(x, digits = 3) {
  if (x === null || x === undefined) return "not stored";
  if (Number.isNaN(x)) return "nan";
  if (!Number.isFinite(x)) return x > 0 ? "inf" : "-inf";
  if (x === 0) return "0";
  const size = Math.abs(x);
  if (size >= 1e5 || size < 1e-3) {
    const [m, e] = x.toExponential(digits - 1).split("e");
    const power = Number(e);
    return `${m}e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
  }
  return size >= 10 ** digits ? String(Math.round(x)) : String(Number(x.toPrecision(digits)));
}
const num = (x, digits = 3) => plainNumber(x, digits).replaceAll("-", "\u2212");
const percent = (x) =>
  !Number.isFinite(x)
    ? "undefined"
    : x !== 0 && Math.abs(x) < 0.01
      ? `${num(100 * x, 2)} %`
      : `${num(100 * x)} %`;
const count = (n, one, many = `${one}s`) =>
  `${Number(n).toLocaleString("en")} ${n === 1 ? one : many}`;
const sentence = (words) =>
  `${words[0].toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? "" : "."}`;
const times = (x) => `${num(x, 2)} times`;

// What cannot be seen gets a symbol; bytes that are no text of their own are shown in hexadecimal.
const SYMBOLS = {
  " ": "\u2423",
  "\n": "\u21b5",
  "\t": "\u21e5",
  "\r": "\u240d",
  "\u00a0": "\u237d",
};
function visible(text) {
  let shown = "";
  for (const c of text) {
    const code = c.codePointAt(0);
    const hidden =
      code < 32 ||
      (code >= 127 && code < 160) ||
      (code >= 0x200b && code <= 0x200f) ||
      (code >= 0x2028 && code <= 0x202e) ||
      code === 0xfeff ||
      code === 0x00ad;
    shown += SYMBOLS[c] || (hidden ? `\u27e8${code.toString(16).padStart(2, "0")}\u27e9` : c);
  }
  return shown === "" ? "\u2205" : shown;
}

function rms(array) {
  let sum = 0;
  for (const x of array) sum += x * x;
  return Math.sqrt(sum / array.length);
}
const clamp = (x, low, high) => Math.max(low, Math.min(high, x));
function extremes(array) {
  // of the finite ones, and how many are not
  let low = Infinity,
    high = -Infinity,
    broken = 0;
  for (const x of array) {
    if (Number.isFinite(x)) {
      if (x < low) low = x;
      if (x > high) high = x;
    } else broken++;
  }
  return low > high ? { low: 0, high: 0, broken } : { low, high, broken };
}
function rank(values, better = (a, b) => b - a) {
  return values.map((v, i) => i).sort((i, j) => better(values[i], values[j]));
}

let toastTimer = 0;
function toast(text, seconds = 2.5) {
  let box = document.querySelector(".toast");
  if (!box) document.body.append((box = el("div", { class: "toast", role: "status" })));
  box.textContent = text;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => box.remove(), 1000 * seconds);
}
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch (error) {
    const area = el("textarea", { "aria-hidden": "true" }, text);
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  toast(`copied: ${text}`);
}

// Colour scales: viridis for what is not negative, blue to orange through the paper's own lightness
// for what has a sign. Neither needs red or green to be read.

const VIRIDIS = [
  "#440154",
  "#482878",
  "#3e4989",
  "#31688e",
  "#26828e",
  "#1f9e89",
  "#35b779",
  "#6ece58",
  "#b5de2b",
  "#fde725",
];
const SIGNED = {
  light: ["#08306b", "#1f6fb4", "#7ab6de", "#f4f4f2", "#f5b26b", "#cf6510", "#6b2d04"],
  dark: ["#b5dcff", "#4f9fe0", "#1f4f80", "#1d2024", "#7d4512", "#e08a2e", "#ffddb0"],
};
// the signed logarithm is linear below the largest / KNEE, if nothing else is asked for
const KNEE = 20;

const isDark = () => {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
};
const css = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const channels = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
const tables = new Map();
function table256(stops) {
  if (!tables.has(stops)) {
    const colours = stops.map(channels),
      last = colours.length - 1;
    tables.set(
      stops,
      Array.from({ length: 256 }, (_, n) => {
        const place = (n / 255) * last,
          i = Math.min(Math.floor(place), last - 1),
          part = place - i;
        return colours[i].map((c, k) => Math.round(c + part * (colours[i + 1][k] - c)));
      }),
    );
  }
  return tables.get(stops);
}

// A scale: t(x) from 0 to 1, rgb(x), and what its legend says.
function signedScale(array, below = KNEE) {
  const { low, high, broken } = extremes(array);
  const largest = Math.max(-low, high) || 1;
  const knee = largest / below;
  const t = (x) =>
    0.5 + (0.5 * Math.sign(x) * Math.log1p(Math.abs(x) / knee)) / Math.log1p(largest / knee);
  return { t, broken, signed: true, low: -largest, high: largest, log: true, knee: below };
}
function plainScale(array, high) {
  const found = extremes(array);
  const largest = high === undefined ? found.high || 1 : high;
  return { t: (x) => x / largest, broken: found.broken, signed: false, low: 0, high: largest };
}
// Logarithmic over many powers of ten, for what is not negative.
function logScale(array, decades = 3) {
  const { high, broken } = extremes(array),
    largest = high || 1,
    knee = 10 ** decades;
  return {
    t: (x) => Math.log1p((x / largest) * knee) / Math.log1p(knee),
    broken,
    signed: false,
    low: 0,
    high: largest,
    log: true,
    knee,
  };
}
// Attention weights: the square root, since most of them are small.
const weightScale = (array) => ({
  ...plainScale(array, 1),
  t: (x) => Math.sqrt(Math.max(0, x)),
  root: true,
});
function rgb(scale, x) {
  const stops = scale.signed ? SIGNED[isDark() ? "dark" : "light"] : VIRIDIS;
  return table256(stops)[clamp(Math.round(255 * scale.t(x)), 0, 255)];
}
const inkOn = ([r, g, b]) => {
  const linear = (c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4);
  const light = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  return light > 0.18 ? "#000000" : "#ffffff";
};

function legend(scale, words) {
  const canvas = el("canvas", {
    width: 180,
    height: 1,
    role: "img",
    "aria-label": `colours from ${plainNumber(scale.low)} to ${plainNumber(scale.high)}`,
    style: { width: "11rem", height: ".8rem" },
  });
  const context = canvas.getContext("2d"),
    pixels = context.createImageData(180, 1);
  const stops = table256(scale.signed ? SIGNED[isDark() ? "dark" : "light"] : VIRIDIS);
  for (let i = 0; i < 180; i++)
    pixels.data.set([...stops[Math.round((i / 179) * 255)], 255], 4 * i);
  context.putImageData(pixels, 0, 0);
  return el(
    "div",
    { class: "legend" },
    el("span", {}, num(scale.low)),
    canvas,
    el("span", {}, num(scale.high)),
    el(
      "span",
      {},
      scale.signed
        ? `signed log, linear below ${num(scale.high / scale.knee, 2)}`
        : scale.log
          ? `log, linear below ${num(scale.high / scale.knee, 2)}`
          : scale.root
            ? "square root"
            : "linear",
    ),
    words && el("span", {}, words),
    scale.broken > 0 && el("span", { class: "warn" }, `hatched: NaN or infinite, ` +
        count(scale.broken, scale.of || "number")),
  );
}

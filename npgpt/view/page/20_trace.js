// The payload, read: arrays decoded when first asked for, entries by name.

const decoded = new WeakMap();
function decode(enc) {
  if (!enc) return null;
  if (decoded.has(enc)) return decoded.get(enc);
  const bytes = enc.e === "d3" ? base85(enc.data) : base64(enc.data);
  let stored;
  if (enc.e === "f8") stored = new Float64Array(bytes.buffer);
  else if (enc.e === "f4") stored = new Float32Array(bytes.buffer);
  else
    stored = Float64Array.from(
      new Uint16Array(bytes.buffer).subarray(
        0,
        enc.shape.reduce((a, b) => a * b, 1),
      ),
      (code) => threeDigits(code, enc.base),
    );
  const array = enc.tri ? lowerTriangle(stored, enc.shape) : stored;
  decoded.set(enc, array);
  return array;
}
function base64(data) {
  const text = atob(data),
    bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
const ALPHABET =
  "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%:()*+-;,=.?@^_`{|}~";
const DIGIT = new Uint8Array(128);
[...ALPHABET].forEach((character, i) => {
  DIGIT[character.charCodeAt(0)] = i;
});
function base85(data) {
  // five characters, the highest first, are four bytes
  const bytes = new Uint8Array((data.length / 5) * 4),
    view = new DataView(bytes.buffer);
  for (let i = 0; i < data.length; i += 5) {
    let n = 0;
    for (let k = 0; k < 5; k++) n = n * 85 + DIGIT[data.charCodeAt(i + k)];
    view.setUint32((i / 5) * 4, n);
  }
  return bytes;
}
function threeDigits(code, base) {
  if (code === 0) return 0;
  if (code === 65533) return NaN;
  if (code >= 65534) return code === 65534 ? Infinity : -Infinity;
  const k = code - 1,
    mantissa = 100 + (k % 900),
    e = Math.floor(k / 900);
  // parsed, not multiplied: 0.123 and not 0.12300000000000001
  return Number(`${e >= 36 ? "-" : ""}${mantissa}e${base + (e % 36)}`);
}
function lowerTriangle(stored, shape) {
  const T = shape[shape.length - 1],
    heads = shape.length === 3 ? shape[0] : 1;
  const full = new Float64Array(heads * T * T);
  let at = 0;
  for (let h = 0; h < heads; h++)
    for (let i = 0; i < T; i++)
      for (let j = 0; j <= i; j++) full[(h * T + i) * T + j] = stored[at++];
  return full;
}

// A number of an array: three digits, or of an exact page as many as tell it from its neighbours.
function digitsOf(x) {
  if (!trace.meta.exact || !Number.isFinite(x)) return 3;
  const same = trace.meta.dtype === "float64" ? (y) => y === x : (y) => Math.fround(y) === x;
  let digits = 3;
  while (digits < 17 && !same(Number(x.toPrecision(digits)))) digits++;
  return digits;
}
const stored = (x) => num(x, digitsOf(x));

class Trace {
  constructor(payload) {
    this.payload = payload;
    this.meta = payload.meta;
    this.config = payload.meta.config;
    this.entries = payload.entries;
    this.byName = new Map(payload.entries.map((entry, i) => [entry.name, i]));
    // a sum hands on one gradient: it is stored once
    for (const entry of payload.entries)
      for (let seen = 0; entry.gradient && entry.gradient.same && seen < 9; seen++)
        entry.gradient = this.entry(entry.gradient.same).gradient;
    this.length = payload.tokens.length;
    this.layers = payload.attention.length;
    this.heads = payload.attention.length ? payload.attention[0].heads.length : 0;
    this.stream = payload.stream;
    this.consumers = new Map();
    for (const entry of payload.entries)
      for (const input of (entry.kind === "tape" && entry.inputs) || [])
        if (input.kind === "entry")
          this.consumers.set(input.name, [...(this.consumers.get(input.name) || []), entry]);
  }
  entry(name) {
    return this.entries[this.byName.get(name)];
  }
  stat(entry, which, name) {
    if (entry.kind === "attention" && which === "gradient") return this.dweights(entry)[name];
    const stats = entry.stats && entry.stats[which];
    return stats && stats[name] !== null && stats[name] !== undefined ? real(stats[name]) : NaN;
  }
  dweights(entry) {
    // over all heads, zeros above the diagonal included, as for the value
    if (!entry.counted) {
      const all = decode(this.payload.attention[entry.layer].dweights),
        { low, high, broken } = extremes(all);
      let nan = 0,
        zeros = 0,
        sum = 0;
      for (const x of all) {
        if (Number.isNaN(x)) nan++;
        if (x === 0) zeros++;
        sum += x;
      }
      entry.counted = {
        rms: rms(all),
        min: low,
        max: high,
        mean: sum / all.length,
        zeros,
        nan,
        inf: broken - nan,
      };
    }
    return entry.counted;
  }
  has(entry, which) {
    return entry.kind === "attention" || Boolean(entry.stats && entry.stats[which]);
  }
  weights(layer, head, gradient = false) {
    // (T, T) of one head
    const enc = this.payload.attention[layer][gradient ? "dweights" : "weights"];
    const all = decode(enc),
      size = this.length ** 2;
    return all && all.subarray(head * size, (head + 1) * size);
  }
  lse(layer, head, position) {
    const all = decode(this.payload.attention[layer].lse);
    return all ? all[head * this.length + position] : NaN;
  }
  token(position) {
    return this.payload.tokens[position].show || visible(this.payload.tokens[position].text);
  }
  hasTarget(position) {
    return this.payload.targets[position].id !== null;
  }
  target(position) {
    return this.hasTarget(position)
      ? this.payload.targets[position].show || visible(this.payload.targets[position].text)
      : "(the end)";
  }

  // What the tensor view draws of an entry: rows are positions, columns channels (or positions).
  tensor(name, head) {
    const entry = this.entry(name),
      T = this.length;
    if (!entry) return null;
    if (entry.kind === "attention") {
      const value = this.weights(entry.layer, head),
        gradient = this.weights(entry.layer, head, true);
      return {
        entry,
        rows: T,
        cols: T,
        value,
        gradient,
        masked: (r, c) => c > r,
        columns: null,
        square: true,
        index: (r, c) => `${name}[0, ${head}, ${r}, ${c}]`,
      };
    }
    if (entry.kind === "view") {
      const whole = this.entry(entry.of),
        all = whole.columns,
        width = (entry.stop - entry.start) / entry.heads;
      const from = entry.start + head * width,
        kept = [];
      const count = all ? all.length : whole.shape[whole.shape.length - 1];
      for (let k = 0; k < count; k++) {
        const channel = all ? all[k] : k;
        if (channel >= from && channel < from + width) kept.push(k);
      }
      const part = (which) => {
        const array = decode(whole[which]);
        if (!array || !kept.length) return null;
        const out = new Float64Array(T * kept.length);
        for (let t = 0; t < T; t++)
          kept.forEach((k, i) => {
            out[t * kept.length + i] = array[t * count + k];
          });
        return out;
      };
      const columns = kept.map((k) => (all ? all[k] : k) - from);
      return {
        entry,
        rows: T,
        cols: kept.length,
        value: part("value"),
        gradient: part("gradient"),
        columns,
        index: (r, c) => `${name}[0, ${head}, ${r}, ${columns[c]}]`,
      };
    }
    const value = decode(entry.value),
      gradient = decode(entry.gradient);
    const cols = entry.columns ? entry.columns.length : entry.shape[entry.shape.length - 1] || 1;
    const at = (c) => (entry.columns ? entry.columns[c] : c);
    return {
      entry,
      rows: T,
      cols,
      value,
      gradient,
      columns: entry.columns || null,
      index: (r, c) => (entry.shape.length ? `${name}[0, ${r}, ${at(c)}]` : name),
    };
  }
  // One number of an entry by its true channel; undefined where it is not in the page.
  at(name, which, position, channel) {
    const entry = this.entry(name),
      array = entry && decode(entry[which]);
    if (!array) return undefined;
    const cols = entry.columns ? entry.columns.length : entry.shape[entry.shape.length - 1];
    const c = entry.columns ? entry.columns.indexOf(channel) : channel;
    return c < 0 || c >= cols ? undefined : array[position * cols + c];
  }
  vector(entry, part, channel) {
    // bias or weight of this entry, at a true channel
    const array = decode(entry.vectors && entry.vectors[part]);
    const c = entry.columns ? entry.columns.indexOf(channel) : channel;
    return array && c >= 0 ? array[c] : undefined;
  }
  norms(array, row, width) {
    const all = decode(array);
    return all ? Array.from(all.subarray(row * width, (row + 1) * width)) : null;
  }
}

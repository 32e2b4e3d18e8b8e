// The layer's formula with one cell's numbers put in: forward, and what the way back adds up.
// Everything is computed from the stored neighbours; a sum over weights shows its largest terms.

const known = (...numbers) => numbers.every((x) => x !== undefined && x !== null);
const PHI = (x) => 0.5 * (1 + erf(x / Math.SQRT2));
function erf(x) {
  // Abramowitz, Stegun 7.1.26: within 1.5e-7, far below three digits
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const y =
    1 -
    ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) *
      t *
      Math.exp(-x * x);
  return x < 0 ? -y : y;
}
const ROOT = Math.sqrt(2 / Math.PI);
// name: [forward as text, f(x), derivative as text, f'(x)]
const ELEMENTWISE = {
  gelu: [
    "x \u00b7 (1 + tanh(\u221a(2/\u03c0) \u00b7 (x + 0.044715 \u00b7 x\u00b3))) / 2",
    (x) => (x * (1 + Math.tanh(ROOT * (x + 0.044715 * x ** 3)))) / 2,
    (x) => {
      const t = Math.tanh(ROOT * (x + 0.044715 * x ** 3));
      return (1 + t) / 2 + ((x * (1 - t * t)) / 2) * ROOT * (1 + 3 * 0.044715 * x * x);
    },
  ],
  gelu_exact: [
    "x \u00b7 \u03a6(x)",
    (x) => x * PHI(x),
    (x) => PHI(x) + (x * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI),
  ],
  relu: ["x where x > 0, else 0", (x) => Math.max(x, 0), (x) => (x > 0 ? 1 : 0)],
  silu: [
    "x / (1 + exp(\u2212x))",
    (x) => x / (1 + Math.exp(-x)),
    (x) => {
      const s = 1 / (1 + Math.exp(-x));
      return s + x * s * (1 - s);
    },
  ],
  identity: ["x", (x) => x, () => 1],
};
const inputOf = (entry, k) =>
  entry.inputs && entry.inputs[k] && entry.inputs[k].kind === "entry" ? entry.inputs[k].name : null;

const signed = (x) => (x < 0 ? `(${num(x)})` : num(x));

// Lines of [what, with numbers]; `t` position, `c` true channel, `head` the selected one.
function forwardFormula(entry, t, c, head) {
  const { op, name } = entry,
    value = (n, p = t, k = c) => trace.at(n, "value", p, k);
  const x = inputOf(entry, 0) && value(inputOf(entry, 0));
  if (entry.kind === "attention") return weightFormula(entry, t, c, head);
  if (entry.kind === "view")
    return [
      [
        `${name.split(".").pop()}[${head}, ${t}, ${c}] = column ` +
          `${entry.start + head * headSize() + c} of ${entry.of}`,
        "the same number: queries, keys and values are thirds of one matrix product, cut " +
          "into heads",
      ],
    ];
  if (op === "token_embedding")
    return [
      [
        "out = weight[id]",
        `= wte.weight[${trace.payload.tokens[t].id}, ${c}] = ${num(value(name))}   ` +
          `(row of the token ${trace.token(t)})`,
      ],
    ];
  if (op === "position_embedding")
    return [
      [
        "out = x + weight[position]",
        known(x, value(name))
          ? `= ${num(x)} + wpe.weight[${t}, ${c}] = ${num(x)} + ${signed(value(name) - x)} ` +
            `= ${num(value(name))}`
          : null,
      ],
    ];
  if (op === "layernorm" && entry.moments) {
    const mean = decode(entry.moments.mean)[t],
      rstd = decode(entry.moments.rstd)[t],
      w = trace.vector(entry, "weight", c),
      b = trace.vector(entry, "bias", c);
    return [
      [
        "out = (x \u2212 mean) \u00b7 rstd \u00b7 weight + bias",
        known(x, w, b)
          ? `= (${num(x)} \u2212 ${signed(mean)}) \u00b7 ${num(rstd)} \u00b7 ${num(w)} + ` +
            `${signed(b)} = ${num((x - mean) * rstd * w + b)}`
          : null,
      ],
      [
        "mean and rstd over the channels",
        `mean = ${num(mean)}, rstd = 1 / \u221a(var + ${num(entry.settings.eps)}) = ${num(rstd)}`,
      ],
    ];
  }
  if (op === "residual") {
    const branch = value(inputOf(entry, 1));
    return [
      [
        "out = x + branch",
        known(x, branch) ? `= ${num(x)} + ${signed(branch)} = ${num(x + branch)}` : null,
      ],
    ];
  }
  if (ELEMENTWISE[op])
    return [
      [
        `out = ${ELEMENTWISE[op][0]}`,
        known(x) ? `with x = ${num(x)}: ${num(ELEMENTWISE[op][1](x))}` : null,
      ],
    ];
  if (op === "leaky_relu")
    return [["out = x where x > 0, else slope \u00b7 x", known(x) ? `with x = ${num(x)}` : null]];
  if (op === "linear" || op === "unembedding") return sumFormula(entry, t, c);
  if (op === "multi_head_attention") return mixFormula(entry, t, c);
  if (op === "cross_entropy")
    return [
      [
        "loss = mean over positions of \u2212ln p[target]",
        `= mean of ${trace.payload.targets.filter((t) => t.id !== null).length} losses ` +
          `= ${num(real(trace.payload.loss))}`,
      ],
    ];
  return [[`out = ${opName(op)}(x)`, null]];
}
const headSize = () => trace.config.n_embd / trace.config.n_head;

function sumFormula(entry, t, c, live) {
  const out =
    entry.op === "unembedding"
      ? "out = x \u00b7 weight[token]"
      : "out = \u03a3 x[i] \u00b7 weight[i, channel] + bias";
  const worked = live || (entry.worked || []).find(({ index }) => index[0] === t && index[1] === c);
  if (worked) {
    const bias = worked.bias === null || worked.bias === undefined ? null : real(worked.bias);
    const terms = worked.terms.map(
      ([i, x, w]) => `${signed(real(x))} \u00b7 ${signed(real(w))} [${i}]`,
    );
    const total =
      worked.terms.reduce((sum, [, x, w]) => sum + real(x) * real(w), real(worked.rest)) +
      (bias || 0);
    return [
      [
        out,
        `= ${terms.join(" + ")} + ${signed(real(worked.rest))} from the other ` +
          `${Math.max(0, worked.count - worked.terms.length)}` +
          `${bias === null ? "" : ` + bias ${signed(bias)}`} = ${num(total)}`,
      ],
      ["largest terms first", `of ${worked.count} products; [i] is the input channel`],
    ];
  }
  const bias = trace.vector(entry, "bias", c),
    value = trace.at(entry.name, "value", t, c);
  const input = entry.inputs && entry.inputs[0] && entry.inputs[0].shape,
    n = input ? input[input.length - 1] : trace.config.n_embd;
  const withBias = known(bias) && `${num(value - bias)} from ${n} products + bias ${signed(bias)}`;
  return [
    [
      out,
      known(value)
        ? `= ${known(bias) ? withBias : `\u03a3 over ${n} products`} = ${num(value)}`
        : null,
    ],
    [
      `the weights are not stored in the page, so the ${n} products cannot be put in here`,
      (trace.meta.live ? "the button below" : "npgpt view --serve") +
        " gives every cell\u2019s terms" +
        ((entry.worked || []).length ? "; the cells listed below have theirs" : ""),
    ],
  ];
}
const attentionOf = (entry) => entry.name.replace(/attn\..*$/, "attn.");
function mixFormula(entry, t, c) {
  const D = headSize(),
    head = Math.floor(c / D),
    d = c % D,
    v = trace.tensor(`${attentionOf(entry)}v`, head);
  const k = v && (v.columns ? v.columns.indexOf(d) : d),
    weights = trace.weights(entry.layer, head);
  if (!v || !v.value || k < 0) return [["out = \u03a3 weights[t, j] \u00b7 v[j]", null]];
  const terms = Array.from({ length: t + 1 }, (_, j) => [
    j,
    weights[t * trace.length + j],
    v.value[j * v.cols + k],
  ]);
  return largest(
    `out = \u03a3\u2c7c weights[${head}, ${t}, j] \u00b7 v[${head}, j, ${d}]`,
    terms,
    "position",
  );
}
function weightFormula(entry, i, j, head) {
  const stem = attentionOf(entry),
    q = trace.tensor(`${stem}q`, head),
    k = trace.tensor(`${stem}k`, head);
  if (j > i)
    return [
      [
        "weights = softmax(scores)",
        "0: the key lies in the query\u2019s future, its score is \u2212\u221e",
      ],
    ];
  const weight = trace.weights(entry.layer, head)[i * trace.length + j],
    lse = trace.lse(entry.layer, head, i);
  const score = Math.log(weight) + lse,
    lines = [
      [
        "weight = exp(score \u2212 ln \u03a3 exp(scores of the row))",
        `= exp(${num(score)} \u2212 ${signed(lse)}) = ${num(weight)}`,
      ],
    ];
  const whole = q && q.value && k && k.value && q.cols === headSize();
  if (whole) {
    const dot = Array.from(
      { length: q.cols },
      (_, d) => q.value[i * q.cols + d] * k.value[j * k.cols + d],
    ).reduce((a, b) => a + b, 0);
    lines.push([
      `score = q[${i}] \u00b7 k[${j}] / \u221aD`,
      `= ${num(dot)} / \u221a${q.cols} = ${num(dot / Math.sqrt(q.cols))}`,
    ]);
  }
  return lines;
}
function largest(what, terms, unit, scale = 1, tail = "") {
  const order = rank(terms.map(([, a, b]) => Math.abs(a * b))).slice(0, 5),
    sum = terms.reduce((s, [, a, b]) => s + a * b, 0);
  const rest = sum - order.reduce((s, i) => s + terms[i][1] * terms[i][2], 0);
  const shown = order
    .map((i) => `${signed(terms[i][1])} \u00b7 ${signed(terms[i][2])} [${terms[i][0]}]`)
    .join(" + ");
  return [
    [
      what,
      `= ${tail ? "(" : ""}${shown}` +
        `${terms.length > 5 ? ` + ${signed(rest)} from the other ${terms.length - 5}` : ""}` +
        `${tail ? ")" : ""}${tail} = ${num(sum * scale)}`,
    ],
    [`largest terms first`, `of ${terms.length}; [j] is the ${unit}`],
  ];
}

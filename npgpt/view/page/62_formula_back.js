// Where the gradient of one cell comes from, with its numbers.

// The gradient of a cell: one line for every use of it, since its gradients add up.
function backwardFormula(entry, t, c, head) {
  if (entry.kind === "attention") return dweightFormula(entry, t, c, head);
  if (entry.kind === "view") return dviewFormula(entry, t, c, head);
  const gradient = (n) => trace.at(n, "gradient", t, c),
    lines = [];
  const third = trace.entries.find(
    (e) => e.kind === "view" && e.of === entry.name && c >= e.start && c < e.stop,
  );
  if (third) {
    // a column of c_attn is a query's, a key's or a value's
    const D = headSize(),
      inside = c - third.start;
    return dviewFormula(third, t, inside % D, Math.floor(inside / D));
  }
  for (const user of trace.consumers.get(entry.name) || []) {
    const dout = gradient(user.name),
      last = user.name;
    if (user.op === "residual") {
      const which =
        inputOf(user, 1) === entry.name && inputOf(user, 0) !== entry.name ? "dbranch" : "dx";
      lines.push([
        `from ${last}, through the residual connection`,
        known(dout) ? `${which} = dout = ${num(dout)}` : null,
        dout,
      ]);
    } else if (user.op === "position_embedding")
      lines.push([`from ${last}`, known(dout) ? `dx = dout = ${num(dout)}` : null, dout]);
    else if (ELEMENTWISE[user.op]) {
      const x = trace.at(entry.name, "value", t, c);
      lines.push([
        `from ${last}: dx = dout \u00b7 f\u2032(x)`,
        known(dout, x)
          ? `= ${num(dout)} \u00b7 ${num(ELEMENTWISE[user.op][2](x))} = ` +
            `${num(dout * ELEMENTWISE[user.op][2](x))}`
          : null,
        known(dout, x) ? dout * ELEMENTWISE[user.op][2](x) : undefined,
      ]);
    } else if (user.op === "layernorm") lines.push(normBack(user, entry, t, c));
    else if (user.op === "cross_entropy") lines.push(lossBack(t, c));
    else if (user.op === "linear" || user.op === "unembedding")
      lines.push([
        `from ${last}: dx = \u03a3 dout[o] \u00b7 weight[channel, o]`,
        `a sum over ${user.shape[user.shape.length - 1]} outputs; the weights are not ` +
          "stored in the page",
        undefined,
      ]);
    else lines.push([`from ${last}, through ${opName(user.op)}`, null, undefined]);
  }
  const whole = trace.at(entry.name, "gradient", t, c);
  if (entry.name === "loss") return [["dloss = 1", "the backward pass begins here"]];
  if (lines.length === 1 && lines[0][2] === undefined && known(whole))
    lines[0][1] = `${lines[0][1] ? `${lines[0][1]}, ` : ""}in all ${num(whole)}`;
  if (lines.length > 1) {
    const open = lines.filter((line) => line[2] === undefined);
    if (open.length === 1 && known(whole))
      open[0][1] = `the rest: ${num(whole - lines.reduce((sum, line) => sum + (line[2] || 0), 0))}`;
    lines.push(["the gradients of all uses add up", known(whole) ? `= ${num(whole)}` : null]);
  }
  return lines.map(([a, b]) => [a, b]);
}
function normBack(user, entry, t, c) {
  const what =
    `from ${user.name}: dx = rstd \u00b7 (dxhat \u2212 mean(dxhat) \u2212 xhat ` +
    "\u00b7 mean(dxhat \u00b7 xhat))";
  const C = user.shape[user.shape.length - 1];
  if (user.columns || !user.moments || !user.gradient || !entry.value)
    return [what, null, undefined];
  const mean = decode(user.moments.mean)[t],
    rstd = decode(user.moments.rstd)[t];
  let sum = 0,
    product = 0;
  const xhat = (k) => (trace.at(entry.name, "value", t, k) - mean) * rstd;
  const dxhat = (k) => trace.at(user.name, "gradient", t, k) * trace.vector(user, "weight", k);
  for (let k = 0; k < C; k++) {
    sum += dxhat(k);
    product += dxhat(k) * xhat(k);
  }
  const dx = rstd * (dxhat(c) - sum / C - (xhat(c) * product) / C);
  return [
    what,
    `= ${num(rstd)} \u00b7 (${num(dxhat(c))} \u2212 ${signed(sum / C)} \u2212 ` +
      `${signed(xhat(c))} \u00b7 ${signed(product / C)}) = ${num(dx)}`,
    dx,
  ];
}
function lossBack(t, id) {
  const counted = trace.payload.targets.filter((each) => each.id !== null).length;
  const target = trace.payload.targets[t],
    p =
      target.id === id
        ? real(target.probability)
        : real((target.candidates.find((each) => each.id === id) || { p: NaN }).p);
  return [
    "from loss: dlogits = (p \u2212 [this is the target]) / count",
    Number.isFinite(p)
      ? `= (${num(p)} \u2212 ${target.id === id ? 1 : 0}) / ${counted} = ` +
        `${num((p - (target.id === id ? 1 : 0)) / counted)}`
      : null,
    undefined,
  ];
}
function dweightFormula(entry, i, j, head) {
  const stem = attentionOf(entry),
    D = headSize(),
    v = trace.tensor(`${stem}v`, head);
  if (j > i) return [["dweights", "0: masked"]];
  if (!v || !v.value || v.cols !== D) return [[`dweights = dmixed[${i}] \u00b7 v[${j}]`, null]];
  const terms = Array.from({ length: D }, (_, d) => [
    d,
    trace.at(`${stem}mixed`, "gradient", i, head * D + d),
    v.value[j * D + d],
  ]);
  return terms.some(([, a]) => a === undefined)
    ? [[`dweights = dmixed[${i}] \u00b7 v[${j}]`, null]]
    : largest(
        `from ${stem}mixed: dweights = \u03a3 dmixed[${i}, d] \u00b7 v[${j}, d]`,
        terms,
        "channel of the head",
      );
}
function dviewFormula(entry, t, d, head) {
  const stem = attentionOf(entry),
    part = entry.name.split(".").pop(),
    T = trace.length,
    D = headSize();
  const w = trace.weights(entry.layer, head),
    dw = trace.weights(entry.layer, head, true);
  if (part === "v") {
    const terms = Array.from({ length: T - t }, (_, n) => [
      t + n,
      w[(t + n) * T + t],
      trace.at(`${stem}mixed`, "gradient", t + n, head * D + d),
    ]);
    return terms.some(([, , b]) => b === undefined)
      ? [["dv = weights.T @ dmixed", null]]
      : largest(
          `from ${stem}mixed: dv[${t}, ${d}] = \u03a3\u1d62 weights[i, ${t}] \u00b7 ` +
            `dmixed[i, ${d}]`,
          terms,
          "query",
        );
  }
  if (!dw) return [["dq = dscores @ k / \u221aD", null]];
  const score = (i, j) => {
    let inner = 0;
    for (let n = 0; n <= i; n++) inner += w[i * T + n] * dw[i * T + n];
    return w[i * T + j] * (dw[i * T + j] - inner);
  };
  const other = trace.tensor(`${stem}${part === "q" ? "k" : "q"}`, head),
    column = other && (other.columns ? other.columns.indexOf(d) : d);
  if (!other || !other.value || column < 0) return [["dq = dscores @ k / \u221aD", null]];
  const places =
    part === "q"
      ? Array.from({ length: t + 1 }, (_, j) => j)
      : Array.from({ length: T - t }, (_, n) => t + n);
  const terms = places.map((j) => [
    j,
    part === "q" ? score(t, j) : score(j, t),
    other.value[j * other.cols + column],
  ]);
  return largest(
    part === "q"
      ? `dq[${t}, ${d}] = \u03a3\u2c7c dscores[${t}, j] \u00b7 k[j, ${d}] / \u221aD`
      : `dk[${t}, ${d}] = \u03a3\u1d62 dscores[i, ${t}] \u00b7 q[i, ${d}] / \u221aD`,
    terms,
    part === "q" ? "key" : "query",
    1 / Math.sqrt(D),
    ` / \u221a${D}`,
  ).concat([
    [
      "dscores = weights \u00b7 (dweights \u2212 \u03a3 weights \u00b7 dweights)",
      "softmax\u2019s backward, row by row",
    ],
  ]);
}

// Two traces side by side, and a failed gradient check drawn: each only when it was asked for.

view("compare", "Compare", (root) => {
  const caption = el("p", { class: "caption" });
  root.append(caption);
  const names = [...new Set([...trace.stream, ...before.stream])];
  const label = (t) =>
    `${t.meta.model}` +
    `${t.meta.step === null || t.meta.step === undefined ? "" : ` at step ${t.meta.step}`}`;
  const first = `before: ${label(before)}`,
    second = `this: ${label(trace)}`;
  const T = Math.min(trace.length, before.length),
    loss = (t, i) => real(t.payload.targets[i].loss);
  const flow = new Chart({
    name: "compare-flow",
    title: "RMS of the gradient along the residual stream",
    move: (_, i) => trace.entry(names[i]) && select({ entry: names[i] }),
    say: (_, i) =>
      `${names[i]}: before ${num(gradientOf(before, names[i]))}, this ` +
      `${num(gradientOf(trace, names[i]))}, ratio ` +
      `${num(gradientOf(trace, names[i]) / gradientOf(before, names[i]))}`,
    table: () => ({
      head: ["point", "before", "this", "ratio"],
      rows: names.map((n) => [
        n,
        gradientOf(before, n),
        gradientOf(trace, n),
        gradientOf(trace, n) / gradientOf(before, n),
      ]),
    }),
  });
  const losses2 = new Chart({
    name: "compare-loss",
    title: "Loss at each position",
    move: (_, i) => select({ pos: i }),
    say: (_, i) =>
      `position ${i}, ${trace.token(i)} then ${trace.target(i)}: before ` +
      `${num(loss(before, i))}, this ${num(loss(trace, i))} nats`,
    table: () => ({
      head: ["position", "token", "next token", "before", "this", "difference"],
      selected: state.pos,
      rows: Array.from({ length: T }, (_, i) => [
        String(i),
        trace.token(i),
        trace.target(i),
        loss(before, i),
        loss(trace, i),
        loss(trace, i) - loss(before, i),
      ]),
    }),
  });
  const same = before.layers === trace.layers && before.heads === trace.heads;
  const change =
    same &&
    headMap2(
      "compare-entropy",
      "Change of each head\u2019s entropy, as a fraction of its bound",
      () =>
        headMatrix(trace, "fraction").map((row, l) =>
          row.map((x, h) => x - headMatrix(before, "fraction")[l][h]),
        ),
    );
  const patterns =
    same &&
    ["before", "this"].map(
      (which) =>
        new HeatMap({
          name: `compare-pattern-${which}`,
          title: "",
          move: (r, c) => select({ pos: r, key: c }),
          say: (r, c) =>
            c > r
              ? "masked: the future"
              : `${which}: ${trace.token(r)} (${r}) looks at ${trace.token(c)} (${c}) with ` +
                `weight ${num(array(which)[r * T + c])}`,
          table: () => ({
            head: ["query", ...Array.from({ length: T }, (_, c) => `${c} ${trace.token(c)}`)],
            selected: state.pos,
            rows: Array.from({ length: T }, (_, r) => [
              `${r} ${trace.token(r)}`,
              ...Array.from({ length: T }, (_, c) => (c > r ? "" : array(which)[r * T + c])),
            ]),
          }),
        }),
    );
  const array = (which) => (which === "this" ? trace : before).weights(state.layer, state.head);
  root.append(
    flow.root,
    losses2.root,
    ...(same
      ? [
          change.root,
          el(
            "div",
            { class: "two" },
            patterns.map((each) => each.root),
          ),
        ]
      : []),
  );
  return () => {
    const a = real(before.payload.loss),
      b = real(trace.payload.loss),
      start = (t) => gradientOf(t, t.stream[0]),
      end = (t) => gradientOf(t, t.stream[t.stream.length - 1]);
    refill(
      caption,
      "Look where the two lines part. The loss goes from ",
      el("b", {}, `${num(a)} nats`),
      ` (${first}) to `,
      el("b", {}, num(b)),
      ` (${second}). The gradient at the embedding is `,
      el("b", {}, num(start(before) / end(before))),
      " of that at the last block before, and ",
      el("b", {}, num(start(trace) / end(trace))),
      " in this.",
    );
    const line = (t) => names.map((n) => gradientOf(t, n));
    flow.draw({
      n: names.length,
      log: true,
      series: [
        { name: first, colour: "edge", dashed: true, kind: "both", values: line(before) },
        { name: second, colour: "gradient", kind: "both", values: line(trace) },
      ],
      tick: (i) => pointLabel(names[i]),
      cursor: Math.max(0, names.indexOf(state.entry)),
      broken: [before, trace].reduce(
        (s, t) => s + t.stream.filter((n) => !Number.isFinite(gradientOf(t, n))).length,
        0,
      ),
    });
    losses2.draw({
      n: T,
      least: 14,
      series: [
        {
          name: first,
          colour: "edge",
          kind: "bar",
          values: Array.from({ length: T }, (_, i) => loss(before, i)),
        },
        {
          name: second,
          colour: "loss",
          kind: "bar",
          values: Array.from({ length: T }, (_, i) => loss(trace, i)),
        },
      ],
      tick: (i) => trace.token(i),
      cursor: state.pos,
    });
    if (!same) return;
    change.show();
    patterns.forEach((picture, k) => {
      const which = ["before", "this"][k];
      picture.title(`${which}: pattern of ${headName(state.layer, state.head)}`);
      picture.draw({
        rows: T,
        cols: T,
        square: true,
        at: (r, c) => array(which)[r * T + c],
        masked: (r, c) => c > r,
        scale: weightScale(array(which)),
        cursor: [state.pos, state.key],
        rowLabel: (r) => trace.token(r),
        colLabel: (c) => trace.token(c),
      });
    });
  };
});
function headMap2(name, title, matrixOf) {
  let matrix;
  const map = new HeatMap({
    name,
    title,
    move: chooseHead,
    open: (layer, head) => go("attention", { layer, head }),
    say: (r, c) =>
      `${headName(r, c)}: ${matrix[r][c] > 0 ? "wider" : "narrower"} by ` +
      `${percent(Math.abs(matrix[r][c]))} of the bound`,
    table: () => ({
      head: ["layer", ...matrix[0].map((_, h) => `head ${h}`)],
      rows: matrix.map((row, l) => [`layer ${l}`, ...row]),
      selected: state.layer,
    }),
  });
  map.show = () => {
    matrix = matrixOf();
    map.draw({
      rows: matrix.length,
      cols: matrix[0].length,
      at: (r, c) => matrix[r][c],
      scale: signedScale(matrix.flat()),
      cursor: [state.layer, state.head],
      rowLabel: (r) => `layer ${r}`,
      colLabel: (c) => `head ${c}`,
    });
  };
  return map;
}

view("check", "Gradient check", (root) => {
  const check = trace.payload.check,
    caption = el("p", { class: "caption" });
  root.append(caption);
  if (!check.expected) {
    const right = check.kind === "right";
    return () =>
      refill(
        caption,
        el("code", {}, check.function),
        ": ",
        el("b", { class: right ? null : "warn" }, withCode(check.sentence)),
        /\.$/.test(check.sentence) ? "" : ".",
        right ? "" : " This cannot be drawn as one gradient beside another.",
      );
  }
  const shape = check.shape,
    cols = shape.length ? shape[shape.length - 1] : 1,
    size = shape.reduce((a, b) => a * b, 1),
    rows = size / cols;
  const lead = shape.slice(0, -1),
    parts = ["expected", "got", "difference"];
  const index = (r, c) => {
    const at = [];
    let rest = r;
    for (const n of [...lead].reverse()) {
      at.unshift(rest % n);
      rest = Math.floor(rest / n);
    }
    return [...at, ...(shape.length ? [c] : [])].join(", ");
  };
  const both = () => [...decode(check.expected), ...decode(check.got)];
  let cursor = [0, 0];
  const maps = parts.map(
    (which) =>
      new HeatMap({
        name: `check-${which}`,
        title: which,
        move: (r, c) => {
          cursor = [r, c];
          maps.forEach((map) => map.place(cursor));
        },
        say: (r, c) =>
          `${check.input}[${index(r, c)}]: expected ` +
          `${num(decode(check.expected)[r * cols + c])}, got ` +
          `${num(decode(check.got)[r * cols + c])}, difference ` +
          `${num(decode(check.difference)[r * cols + c])}`,
        copied: (r, c) =>
          `${which}[${index(r, c)}] = ${plainNumber(decode(check[which])[r * cols + c])}`,
        table: () => ({
          head: ["index", ...Array.from({ length: Math.min(cols, 24) }, (_, c) => String(c))],
          rows: Array.from({ length: rows }, (_, r) => [
            `[${index(r, 0)}]`,
            ...Array.from(
              { length: Math.min(cols, 24) },
              (_, c) => decode(check[which])[r * cols + c],
            ),
          ]),
        }),
      }),
  );
  root.append(
    el(
      "div",
      { class: "three" },
      maps.map((map) => map.root),
    ),
  );
  if (check.worst) {
    const flat = check.worst.index.slice(0, -1).reduce((sum, x, i) => sum * lead[i] + x, 0);
    cursor = [
      shape.length > 1 ? flat : 0,
      check.worst.index.length ? check.worst.index[check.worst.index.length - 1] : 0,
    ];
  }
  const wrong = Array.from(decode(check.difference)).filter(
    (x) => !(Math.abs(x) <= 1e-6 * (1 + rms(decode(check.expected)))),
  ).length;
  return () => {
    const w = check.worst;
    refill(
      caption,
      "The gradient of ",
      el("code", {}, check.function),
      " for ",
      el("code", {}, check.input),
      " is wrong: ",
      // the sentence may begin with a name
      withCode(check.sentence + (/\.$/.test(check.sentence) ? "" : ".")),
      " Look where the difference is not 0: ",
      el("b", {}, `${wrong} of ${size}`),
      " elements differ",
      w
        ? [
            ", most at ",
            el("code", {}, `[${w.index.join(", ")}]`),
            `: expected `,
            el("b", {}, num(real(w.expected))),
            ", got ",
            el("b", {}, num(real(w.got))),
            ".",
          ]
        : ".",
    );
    const shared = signedScale(both());
    maps.forEach((map, k) =>
      map.draw({
        rows,
        cols,
        at: (r, c) => decode(check[parts[k]])[r * cols + c],
        beside: parts.map((part) => (r, c) => decode(check[part])[r * cols + c]),
        scale:
          k < 2
            ? { ...shared, broken: extremes(decode(check[parts[k]])).broken }
            : signedScale(decode(check.difference)),
        cursor,
        rowLabel: (r) =>
          lead.length ? `[${index(r, 0).split(", ").slice(0, -1).join(", ")}]` : "",
        words: k < 2 ? "one scale for expected and got" : null,
      }),
    );
  };
});

// View 2: one tensor, its value beside its gradient, and the formula of the cell under the cursor.

function tensorMap(name) {
  let tensor = null,
    which = "value";
  const cell = (r, c) => (tensor[which] ? tensor[which][r * tensor.cols + c] : undefined);
  const map = new HeatMap({
    name,
    say: (r, c) => {
      if (tensor.masked && tensor.masked(r, c))
        return `${tensor.index(r, c)}: masked, the key lies in the query\u2019s future`;
      const other = which === "value" ? "gradient" : "value",
        x = tensor[other] && tensor[other][r * tensor.cols + c];
      const [value, gradient] = which === "value" ? [cell(r, c), x] : [x, cell(r, c)];
      return (
        `${tensor.index(r, c)} = ${stored(value)}   ` +
        `gradient ${stored(gradient)}\nposition ${r} ` +
        `${trace.token(r)}${tensor.square ? `, key ${c} ${trace.token(c)}` : ""}`
      );
    },
    copied: (r, c) => `${tensor.index(r, c)} = ${plainNumber(cell(r, c), digitsOf(cell(r, c)))}`,
    move: (r, c) => select(tensor.square ? { pos: r, key: c } : { pos: r, cell: c }),
    table: () => {
      const first = tensor.square ? 0 : clamp(state.cell - 10, 0, Math.max(0, tensor.cols - 20)),
        last = Math.min(tensor.cols, first + (tensor.square ? 48 : 20));
      const columns = Array.from({ length: last - first }, (_, k) => first + k);
      return {
        selected: state.pos,
        note:
          columns.length < tensor.cols
            ? `Columns ${first} to ${last - 1} of ${tensor.cols}, around the chosen cell; ` +
              "move it to see others."
            : null,
        head: [
          "position",
          ...columns.map((c) =>
            tensor.square
              ? `${c} ${trace.token(c)}`
              : String(tensor.columns ? tensor.columns[c] : c),
          ),
        ],
        rows: Array.from({ length: tensor.rows }, (_, r) => [
          `${r} ${trace.token(r)}`,
          ...columns.map((c) => (tensor.masked && tensor.masked(r, c) ? "" : cell(r, c))),
        ]),
      };
    },
  });
  let drawn = "";
  map.show = (entryName, part) => {
    which = part;
    const key = [entryName, part, state.head, isDark(), map.body.clientWidth, trace.serial].join();
    tensor = trace.tensor(entryName, state.head);
    const array = tensor && tensor[part];
    map.title(
      el("span", { class: part }, part === "value" ? "value" : "gradient"),
      " of ",
      el("code", {}, entryName),
      tensor && (tensor.square || tensor.entry.kind === "view") ? `, head ${state.head}` : "",
    );
    if (!array || !array.length || !tensor.entry.shape.length) {
      map.rows = map.columns = 0;
      map.spot = null;
      drawn = key;
      refill(
        map.body,
        el(
          "p",
          { class: "soft" },
          tensor && !tensor.entry.shape.length
            ? `${entryName} is one number: ${part} ${num(trace.stat(tensor.entry, part, "rms"))}.`
            : part === "gradient" && tensor && !trace.has(tensor.entry, "gradient")
              ? "No gradient reaches this entry."
              : "The numbers of this tensor are not stored in the page; its statistics are.",
        ),
      );
      refill(map.below);
      map.readout.textContent = "";
      return;
    }
    const cursor = [state.pos, tensor.square ? state.key : Math.min(state.cell, tensor.cols - 1)];
    if (key === drawn) {
      map.place(cursor);
      return;
    }
    drawn = key;
    // of the weights' gradient a few are often far larger than all others
    const knee = tensor.square ? 100 : part === "value" ? 4 : KNEE;
    // the first row has one weight, always 1: its gradient changes nothing and sets no colour
    const free = tensor.square && part === "gradient" && tensor.rows > 1;
    const scale =
      tensor.square && part === "value"
        ? weightScale(array)
        : signedScale(free ? array.subarray(tensor.cols) : array, knee);
    map.draw({
      rows: tensor.rows,
      cols: tensor.cols,
      at: cell,
      masked: tensor.masked,
      square: tensor.square,
      cursor,
      scale: { ...scale, broken: extremes(array).broken, of: part },
      words: free ? "the first row has no choice and sets no colour" : null,
      rowLabel: (r) => trace.token(r),
      colLabel: tensor.square ? (c) => trace.token(c) : null,
      column: (c) => (tensor.columns ? tensor.columns[c] : c),
    });
  };
  map.tensorOf = () => tensor;
  return map;
}

view("tensor", "Tensor", (root) => {
  const caption = el("p", { class: "caption" }),
    stats = el("div"),
    formula = el("div", { id: "formula" });
  const value = tensorMap("tensor-value"),
    gradient = tensorMap("tensor-gradient");
  root.append(caption, el("div", { class: "two" }, value.root, gradient.root), formula, stats);
  return () => {
    const entry = trace.entry(state.entry);
    value.show(state.entry, "value");
    gradient.show(state.entry, "gradient");
    const tensor = value.tensorOf(),
      s = (which, name) => trace.stat(entry, which, name);
    const peak = peakOf(tensor, "gradient");
    refill(
      caption,
      el("code", {}, entry.name),
      " is the output of ",
      textbook(entry.op),
      entry.shape.length ? `, shape (${entry.shape.join(", ")})` : "",
      ". Look for rows or columns that stand out: its values lie from ",
      el("b", {}, num(s("value", "min"))),
      " to ",
      el("b", {}, num(s("value", "max"))),
      " with RMS ",
      el("b", {}, num(s("value", "rms"))),
      "; the gradient\u2019s RMS is ",
      el("b", {}, num(s("gradient", "rms"))),
      peak
        ? [
            ", largest at position ",
            el("b", {}, String(peak[0])),
            " ",
            token(trace.token(peak[0])),
            ".",
          ]
        : ".",
      entry.columns && tensor.columns
        ? ` The page holds ${tensor.cols} of ${entry.shape[entry.shape.length - 1]} channels.`
        : "",
    );
    drawFormula(formula, entry, tensor);
    refill(
      stats,
      el(
        "div",
        { class: "scroll" },
        el(
          "table",
          {},
          el("caption", { class: "soft small" }, "Statistics of the whole tensor"),
          el(
            "thead",
            {},
            el(
              "tr",
              {},
              ["of", "RMS", "smallest", "largest", "mean", "zeros", "NaN", "infinite"].map((x) =>
                el("th", { scope: "col" }, x),
              ),
            ),
          ),
          el(
            "tbody",
            {},
            ["value", "gradient"].map((which) =>
              el(
                "tr",
                {},
                el("th", { scope: "row", class: which }, which),
                ["rms", "min", "max", "mean", "zeros", "nan", "inf"].map((name) =>
                  el(
                    "td",
                    {
                      "data-stat": `${which}.${name}`,
                      "data-number": plainNumber(s(which, name), 17),
                    },
                    num(s(which, name)),
                  ),
                ),
              ),
            ),
          ),
        ),
      ),
    );
  };
});
function peakOf(tensor, which) {
  const array = tensor && tensor[which];
  if (!array || !array.length) return null;
  let best = -1;
  array.forEach((x, i) => {
    if (Number.isFinite(x) && (best < 0 || Math.abs(x) > Math.abs(array[best]))) best = i;
  });
  return best < 0 ? null : [Math.floor(best / tensor.cols), best % tensor.cols];
}
function drawFormula(box, entry, tensor) {
  if (!tensor || !tensor.cols) {
    refill(box);
    return;
  }
  const r = state.pos,
    c = tensor.square ? state.key : Math.min(state.cell, tensor.cols - 1);
  const channel = tensor.columns ? tensor.columns[c] : c,
    scalar = !entry.shape.length;
  const lines = (rows) =>
    rows.map(([what, numbers]) =>
      el(
        "div",
        {},
        el("span", { class: "mono" }, what),
        numbers && el("div", { class: "num mono" }, numbers),
      ),
    );
  const forward = forwardFormula(entry, r, channel, state.head),
    back = backwardFormula(entry, r, channel, state.head);
  // the layers that hand a gradient back to this cell
  const users =
    entry.kind !== "tape"
      ? [entry.op]
      : [...new Set((trace.consumers.get(entry.name) || []).map(({ op }) => op))];
  const which = (name) => (tensor[name] ? stored(tensor[name][r * tensor.cols + c]) : "not stored");
  const worked = (entry.worked || []).map(({ index }) => index);
  refill(
    box,
    el("h3", {}, "The cell ", el("code", {}, scalar ? entry.name : tensor.index(r, c))),
    el(
      "div",
      { class: "formula", "data-formula": "forward" },
      el("b", { class: "value" }, "forward "),
      "(",
      textbook(entry.op),
      !scalar && `; stored ${which("value")}`,
      ")",
      lines(forward),
    ),
    el(
      "div",
      { class: "formula", "data-formula": "backward" },
      el("b", { class: "gradient" }, "backward "),
      users.length ? ["(", users.map((op, i) => [i ? ", " : "", textbook(op)]), "; "] : "(",
      scalar ? "a scalar)" : `stored ${which("gradient")})`,
      lines(back),
    ),
    el(
      "p",
      { class: "soft small" },
      trace.meta.exact
        ? "Stored numbers are exact."
        : "Stored numbers are rounded to 3 digits, so what is computed from them may " +
            "differ in the last digit.",
      " ",
      el("kbd", {}, "c"),
      " in a picture copies a number with its NumPy index.",
    ),
    worked.length > 0 &&
      el(
        "p",
        { class: "small" },
        "Cells with their largest terms: ",
        worked.map(([t, k], i) => [
          i ? ", " : "",
          el(
            "button",
            {
              type: "button",
              class: "link mono",
              onclick: () =>
                select({
                  pos: t,
                  cell: tensor.columns ? Math.max(0, tensor.columns.indexOf(k)) : k,
                }),
            },
            `[0, ${t}, ${k}]`,
          ),
        ]),
        ".",
      ),
    trace.meta.live &&
      (entry.op === "linear" || entry.op === "unembedding") &&
      el(
        "p",
        {},
        el(
          "button",
          {
            type: "button",
            onclick: async () => {
              const answer = await ask("cell", {
                text: tracedText(),
                entry: entry.name,
                index: [r, channel],
              });
              if (answer)
                refill(
                  box.querySelector("[data-formula=forward]"),
                  el("b", { class: "value" }, "forward "),
                  lines(sumFormula(entry, r, channel, answer)),
                );
            },
          },
          "Show this cell\u2019s terms",
        ),
      ),
  );
}

// View 4: attention by layer and head, the gradient of its weights beside it. View 5: its entropy.

const MEASURES = [
  ["previous", "weight on the previous token"],
  ["first", "weight on the first token"],
  ["own", "weight on the token itself"],
  ["fraction", "entropy, as a fraction of its bound"],
  ["contribution", "RMS of what the head adds to the stream"],
  ["gradient", "RMS of the gradient of its weights"],
];
// drawn from 0 to 1, so that what is faint looks faint
const FRACTIONS = ["previous", "first", "own", "fraction"];
const headMatrix = (t, measure) =>
  t.payload.attention.map(({ heads }) =>
    heads.map((numbers) => (numbers[measure] === null ? NaN : real(numbers[measure]))),
  );
const chooseHead = (r, c) => select({ layer: r, head: c });

function headMap(name, title, measureOf, words) {
  let matrix, scale;
  const map = new HeatMap({
    name,
    title,
    say: (r, c) => `${headName(r, c)}: ${words()} ${num(matrix[r][c])}`,
    move: chooseHead,
    open: (layer, head) => go("attention", { layer, head }),
    copied: (r, c) => `${measureOf()}[${r}, ${c}] = ${plainNumber(matrix[r][c])}`,
    table: () => ({
      head: ["layer", ...matrix[0].map((_, h) => `head ${h}`)],
      rows: matrix.map((row, l) => [`layer ${l}`, ...row]),
      selected: state.layer,
    }),
  });
  map.show = (given) => {
    matrix = given;
    scale = plainScale(matrix.flat(), FRACTIONS.includes(measureOf()) ? 1 : undefined);
    map.draw({
      rows: matrix.length,
      cols: matrix[0].length,
      at: (r, c) => matrix[r][c],
      scale,
      cursor: [state.layer, state.head],
      rowLabel: (r) => `layer ${r}`,
      colLabel: (c) => `head ${c}`,
    });
  };
  return map;
}

view("attention", "Attention", (root) => {
  const caption = el("p", { class: "caption" }),
    about = el("p");
  const measure = el("select", {
    "aria-label": "what the map of heads shows",
    onchange: () => select({}),
  });
  options(measure, MEASURES, "previous");
  const map = headMap(
    "heads",
    "",
    () => measure.value,
    () => MEASURES.find(([m]) => m === measure.value)[1],
  );
  const grid = el("div", {
      class: "headgrid",
      role: "group",
      "aria-label": "patterns of all heads",
    }),
    chosen = rove(grid, () => trace.heads);
  const weights = tensorMap("attention-weights"),
    gradient = tensorMap("attention-gradient");
  map.title(el("label", {}, "One cell a head: ", measure));
  const patterns = new Picture({
    name: "patterns",
    title: "Patterns of all heads",
    say: () => "",
    table: () => ({
      head: ["head", ...MEASURES.map(([, words]) => words)],
      selected: state.layer * trace.heads + state.head,
      rows: trace.payload.attention.flatMap(({ heads }, l) =>
        heads.map((numbers, h) => [headName(l, h), ...MEASURES.map(([m]) => real(numbers[m]))]),
      ),
    }),
  });
  patterns.body.removeAttribute("tabindex");
  patterns.body.setAttribute("role", "group");
  patterns.body.append(grid);
  patterns.below.append(
    el(
      "p",
      { class: "soft small" },
      "Queries downwards, keys to the right. A line just below the diagonal looks at " +
        "the previous token, a bright first column at the first.",
    ),
  );
  root.append(
    caption,
    el("div", { class: "two" }, el("div", {}, map.root, about), patterns.root),
    el("div", { class: "two" }, weights.root, gradient.root),
  );
  const thumbs = [];
  grid.style.gridTemplateColumns = `auto repeat(${trace.heads}, auto)`;
  for (let l = 0; l < trace.layers; l++) {
    grid.append(el("span", {}, `layer ${l}`));
    for (let h = 0; h < trace.heads; h++) {
      const size = clamp(
        Math.floor(Math.min(400, innerWidth - 110) / trace.heads) - 10,
        22,
        clamp(Math.floor(640 / trace.layers), 30, 90),
      );
      const canvas = el("canvas", {
        width: trace.length,
        height: trace.length,
        style: { width: `${size}px`, height: `${size}px`, imageRendering: "pixelated" },
      });
      const words = () => {
        const s = trace.payload.attention[l].heads[h];
        return (
          `${headName(l, h)}: previous token ${percent(real(s.previous))}, first ` +
          `${percent(real(s.first))}, itself ${percent(real(s.own))}`
        );
      };
      const button = el(
        "button",
        {
          type: "button",
          "aria-label": words(),
          tabindex: -1,
          "data-head": `${l},${h}`,
          onclick: () => chooseHead(l, h),
          onfocus: () => {
            patterns.readout.textContent = words();
          },
          onpointerenter: () => {
            patterns.readout.textContent = words();
          },
        },
        canvas,
      );
      thumbs.push({ l, h, button, canvas, drawn: null });
      grid.append(button);
    }
  }
  const seen = new IntersectionObserver((found) =>
    found.forEach((each) => {
      if (each.isIntersecting) paint(thumbs.find((t) => t.button === each.target));
    }),
  );
  thumbs.forEach((t) => seen.observe(t.button));
  function paint(thumb) {
    const T = trace.length,
      array = trace.weights(thumb.l, thumb.h),
      context = thumb.canvas.getContext("2d"),
      image = context.createImageData(T, T);
    if (thumb.drawn || !array) return;
    thumb.drawn = true;
    const scale = weightScale(array),
      warn = [168, 32, 26];
    for (let i = 0; i < T; i++)
      for (let j = 0; j <= i; j++) {
        const x = array[i * T + j];
        image.data.set(
          [...(Number.isFinite(x) ? rgb(scale, x) : (i + j) % 2 ? warn : [255, 255, 255]), 255],
          4 * (i * T + j),
        );
      }
    context.putImageData(image, 0, 0);
  }
  return () => {
    map.show(headMatrix(trace, measure.value));
    const stem = `h.${state.layer}.attn.weights`,
      s = trace.payload.attention[state.layer].heads[state.head];
    weights.show(stem, "value");
    gradient.show(stem, "gradient");
    const best = bestHead(trace, "previous"),
      first = bestHead(trace, "first");
    refill(
      caption,
      best
        ? [
            "Look for lines: ",
            headLink(best[0], best[1]),
            " looks most at the previous token, ",
            el("b", {}, percent(best[2])),
            " of its weight on average, ",
            best[2] >= 0.5
              ? "a previous-token head"
              : best[2] < 1.1 * evenly(trace.length)
                ? "no more than even attention would give"
                : `which is ${num(best[2] / evenly(trace.length), 2)} times what even attention ` +
                  "would give",
            best[2] < 0.5 ? " (no head of this model is a clear previous-token head); " : "; ",
            headLink(first[0], first[1]),
            " most at the first, ",
            el("b", {}, percent(first[2])),
            ".",
          ]
        : "No head\u2019s attention is finite.",
    );
    refill(
      about,
      "Chosen: ",
      el("b", {}, headName(state.layer, state.head)),
      `. Its weight lies ${percent(real(s.previous))} on the previous token, ` +
        `${percent(real(s.first))} on the first, ${percent(real(s.own))} on the token ` +
        `itself; its entropy is ${percent(real(s.fraction))} of the bound. It adds RMS ` +
        `${num(real(s.contribution))} to the stream. The layer is `,
      textbook("multi_head_attention"),
      ".",
    );
    thumbs.forEach((t) =>
      t.button.setAttribute("aria-pressed", String(t.l === state.layer && t.h === state.head)),
    );
    chosen(state.layer * trace.heads + state.head);
    if (printing) thumbs.forEach(paint);
  };
});
// What attending evenly to all that is visible would put on the previous token, on average.
const evenly = (T) => {
  let sum = 0;
  for (let i = 1; i < T; i++) sum += 1 / (i + 1);
  return sum / Math.max(1, T - 1);
};

view("entropy", "Entropy", (root) => {
  const p = trace.payload.entropy,
    T = trace.length,
    H = trace.heads,
    caption = el("p", { class: "caption" });
  const map = headMap(
    "entropy-heads",
    "Entropy of each head, as a fraction of the causal bound",
    () => "fraction",
    () => "entropy as a fraction of its bound",
  );
  const nats = () => decode(p.nats),
    bound = (i) => real(p.row_bounds[i]);
  const at = (r, c) => (nats() ? nats()[r * T + c] / bound(c) : NaN);
  const rowsMap = new HeatMap({
    name: "entropy-rows",
    title: "Entropy of each head at each position, as a fraction of ln of the positions it sees",
    say: (r, c) => {
      const name = headName(Math.floor(r / H), r % H);
      return c === 0
        ? `${name}, position 0: sees only itself, so its entropy is 0 and its bound too`
        : `${name}, position ${c} ${trace.token(c)}: ${num(nats()[r * T + c])} nats, ` +
            `${percent(at(r, c))} of ln ${c + 1} = ${num(bound(c))}`;
    },
    move: (r, c) => select({ layer: Math.floor(r / H), head: r % H, pos: c }),
    copied: (r, c) =>
      `entropy[${Math.floor(r / H)}, ${r % H}, ${c}] = ${plainNumber(nats()[r * T + c])}`,
    table: () => ({
      note: "In nats.",
      head: ["head", ...trace.payload.tokens.map((_, i) => `${i} ${trace.token(i)}`)],
      selected: state.layer * H + state.head,
      rows: Array.from({ length: trace.layers * H }, (_, r) => [
        headName(Math.floor(r / H), r % H),
        ...Array.from(nats().subarray(r * T, r * T + T)),
      ]),
    }),
  });
  const over = p.training,
    box = el("div");
  const training =
    over &&
    new Chart({
      name: "entropy-training",
      title:
        "Over training: entropy as a fraction of its bound, on the held-out text that the " +
        "run was watched with, not on this page\u2019s",
      say: (_, i) =>
        `step ${over.steps[i]}: ${headName(state.layer, state.head)} ` +
        `${percent(share(i, state.layer, state.head))}, mean of all heads ` +
        `${percent(meanAt(i))}`,
      table: () => ({
        head: [
          "step",
          headName(state.layer, state.head),
          "mean of all heads",
          "narrowest head",
          "widest head",
        ],
        rows: over.steps.map((s, i) => [
          s,
          share(i, state.layer, state.head),
          meanAt(i),
          Math.min(...allAt(i)),
          Math.max(...allAt(i)),
        ]),
      }),
    });
  const share = (i, l, h) => real(over.nats[i][l][h]) / real(over.bound);
  const allAt = (i) => over.nats[i].flat().map((x) => real(x) / real(over.bound));
  const meanAt = (i) => allAt(i).reduce((a, b) => a + b, 0) / allAt(i).length;
  root.append(
    caption,
    map.root,
    training
      ? training.root
      : el(
          "p",
          { class: "soft small" },
          "A run that was watched while it trained (train --watch entropy) also has its " +
            "entropy over the steps here.",
        ),
    rowsMap.root,
    box,
  );
  return () => {
    const fractions = headMatrix(trace, "fraction"),
      flat = fractions.flat(),
      narrow = bestHead(trace, "fraction", -1),
      wide = bestHead(trace, "fraction");
    const collapsed = flat.filter((x) => x < 0.05).length,
      wideOnes = flat.filter((x) => x >= 0.75).length;
    if (narrow && narrow[2] > 0.99)
      refill(
        caption,
        "Look for dark cells: there are none. Every head still looks evenly at all that " +
          "it sees; even the narrowest, ",
        headLink(narrow[0], narrow[1]),
        ", has ",
        el("b", {}, percent(narrow[2])),
        ` of the bound ln(T!)/T = ${num(real(p.bound))} nats.`,
      );
    else
      refill(
        caption,
        narrow
          ? [
              "Look for dark cells, heads that look at one token, and bright ones, which look " +
                "at all alike: ",
              headLink(narrow[0], narrow[1]),
              " is the narrowest with ",
              el("b", {}, percent(narrow[2])),
              " of the bound ",
              `ln(T!)/T = ${num(real(p.bound))} nats, `,
              headLink(wide[0], wide[1]),
              " the widest with ",
              el("b", {}, percent(wide[2])),
              `; of ${flat.length} heads ${collapsed} ${collapsed === 1 ? "has" : "have"} ` +
                `collapsed (below 5 %) and ${wideOnes} ${wideOnes === 1 ? "is" : "are"} above ` +
                "75 %.",
            ]
          : "No head\u2019s entropy is finite.",
      );
    map.show(fractions);
    const cells = Array.from({ length: trace.layers * H * T }, (_, i) =>
      i % T ? at(Math.floor(i / T), i % T) : 0,
    );
    rowsMap.draw({
      rows: trace.layers * H,
      cols: T,
      at,
      masked: (_, c) => c === 0,
      scale: plainScale(cells, 1),
      cursor: [state.layer * H + state.head, state.pos],
      rowLabel: (r) => `${Math.floor(r / H)}.${r % H}`,
      colLabel: (c) => trace.token(c),
      words: "rows: layer.head; the first position has no choice",
    });
    if (training)
      training.draw({
        n: over.steps.length,
        low: 0,
        high: 1,
        percent: true,
        cursor: over.steps.length - 1,
        tick: (i) => String(over.steps[i]),
        series: [
          {
            name: headName(state.layer, state.head),
            colour: "loss",
            values: over.steps.map((_, i) => share(i, state.layer, state.head)),
          },
          {
            name: "mean of all heads",
            colour: "edge",
            dashed: true,
            kind: "line",
            values: over.steps.map((_, i) => meanAt(i)),
          },
        ],
      });
  };
});

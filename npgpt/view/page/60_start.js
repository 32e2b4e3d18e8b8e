// The first page: what to look at in this trace, with its numbers, each a step into a view.

view("start", "Start", (root) => {
  const p = trace.payload,
    cards = [];
  const card = (title, ...children) => cards.push(el("li", {}, el("h3", {}, title), children));
  const flow = p.flow,
    worst = mostSurprising(trace);

  const bad = flow.first_not_finite;
  if (bad)
    card(
      "Something is not a number",
      el(
        "p",
        { class: "finding" },
        "The first NaN or infinity stands in ",
        el("b", {}, bad),
        `: ${count(flow.nan, "NaN")} and ${count(flow.inf, "infinity", "infinities")} in all.`,
      ),
      el(
        "p",
        {},
        jump("See where it spreads", "flow", { entry: bad.replace("the gradient of ", "") }),
      ),
      brokenParameter() && [
        el("p", {}, "The first parameter with one is ", el("b", {}, brokenParameter().name), "."),
        el("p", {}, jump("Its numbers", "parameters", { param: brokenParameter().name })),
      ],
    );

  card(
    "The loss",
    !Number.isFinite(real(p.loss))
      ? el("p", { class: "finding warn" }, "The loss is not a number, so no gradient is either.")
      : el(
          "p",
          { class: "finding" },
          "The mean loss is ",
          el("b", {}, `${num(real(p.loss))} nats`),
          `; guessing evenly would cost ${num(real(p.uniform))}, the logarithm of ` +
            `${trace.config.vocab_size} tokens.`,
        ),
    el("p", {}, jump("Loss of each token", "tokens")),
  );

  const target = p.targets[worst];
  if (alike(losses(trace)))
    card(
      "Which token was the most surprising?",
      el(
        "p",
        { class: "finding" },
        el("b", {}, "None"),
        `: all tokens cost the same, ${num(real(target.loss))} nats.`,
      ),
    );
  else if (Number.isFinite(real(target.loss))) {
    const most = throughMost(trace, worst);
    card(
      "Which token was the most surprising?",
      el(
        "p",
        { class: "finding" },
        "After ",
        token(trace.token(worst)),
        ` at position ${worst} came `,
        token(trace.target(worst)),
        ", which cost ",
        el("b", {}, `${num(real(target.loss))} nats`),
        ` (probability ${percent(real(target.probability))}, ${rankWords(target)}).`,
        most && [" Its gradient went most through ", el("b", {}, halfBlock(most.point)), "."],
      ),
      el("p", {}, jump("Its gradient alone", "tokens", { pos: worst })),
    );
  }

  const least = smallest(trace.stream, (name) => gradientOf(trace, name));
  if (least)
    card(
      "Does the gradient vanish, and where?",
      el("p", { class: "finding" }, vanishing(trace)),
      el("p", {}, jump("Gradient flow", "flow", { entry: least })),
    );

  const previous = bestHead(trace, "previous");
  if (previous)
    card(
      "Which head looks at the previous token?",
      el(
        "p",
        { class: "finding" },
        alike(headMatrix(trace, "previous").flat())
          ? "All heads alike: each"
          : el("b", {}, headName(previous[0], previous[1])),
        ` puts ${percent(previous[2])} of its attention there on average`,
        previous[2] < 0.5 ? "; no head of this model is a clear previous-token head." : ".",
      ),
      el("p", {}, jump("Its pattern", "attention", { layer: previous[0], head: previous[1] })),
    );

  const narrow = bestHead(trace, "fraction", -1),
    wide = bestHead(trace, "fraction");
  if (narrow)
    card(
      "How widely do the heads look?",
      el(
        "p",
        { class: "finding" },
        narrow[2] > 0.99 ? "All heads still look evenly at what they see: " : "",
        el("b", {}, headName(narrow[0], narrow[1])),
        ` has ${percent(narrow[2])} of the entropy it could have, `,
        el("b", {}, headName(wide[0], wide[1])),
        ` ${percent(wide[2])}.`,
      ),
      el("p", {}, jump("Entropy of every head", "entropy", { layer: narrow[0], head: narrow[1] })),
    );

  if (p.parameters) {
    const moved = p.parameters.filter(
      (each) => Number.isFinite(real(each.ratio)) && each.ratio !== null,
    );
    if (moved.length) {
      const order = rank(moved.map((each) => real(each.ratio))),
        top = moved[order[0]];
      card(
        "What would the next update move most?",
        el(
          "p",
          { class: "finding" },
          alike(moving(moved), 0.01)
            ? "All that move at all would move alike: "
            : [el("b", {}, top.name), " would move most for its size: "],
          `${num(real(top.ratio))} of its norm, beside the usual 1e\u22123.`,
        ),
        el("p", {}, jump("All parameters", "parameters", { param: top.name })),
      );
    }
  }
  const m = p.meta,
    c = trace.config;
  root.append(
    el(
      "p",
      { class: "caption" },
      "One forward and one backward pass of " +
        `${m.trained ? "a trained" : "an untrained"} model over ` +
        `${count(trace.length, "token")}: `,
      `${count(c.n_layer, "layer")}, ${count(c.n_head, "head")} each, ${c.n_embd} ` +
        `channels, ${m.parameters.toLocaleString("en")} parameters. Every number is ` +
        "the model\u2019s own, computed by NumPy; the backward pass was recorded, not " +
        "computed again here.",
    ),
    (Object.keys(m.notable || {}).length > 0 &&
      el(
        "p",
        {},
        "It differs from GPT-2 in: ",
        Object.entries(m.notable).map(([name, x], i) => [
          i ? ", " : "",
          el("code", {}, `${name} = ${typeof x === "object" ? JSON.stringify(x) : x}`),
        ]),
        ".",
      )) ||
      "",
    el("p", {}, "The text, as tokens (each shows what the next one cost, in nats):"),
    el("div", {}),
    el("ul", { class: "cards" }, cards),
    el(
      "p",
      { class: "soft small" },
      [m.rounding, ...(m.left_out || [])].filter(Boolean).map(sentence).join(" "),
    ),
    (!before &&
      el(
        "p",
        { class: "soft small" },
        el("code", {}, "npgpt view MODEL --before CHECKPOINT"),
        " puts a second trace beside this one: before and after training, or with and " +
          "without LayerNorm.",
      )) ||
      "",
    el(
      "p",
      { class: "soft small" },
      "New here? ",
      el("button", { type: "button", class: "link", onclick: () => startTour() }, "Take the tour"),
      " of ten steps, or press ",
      el("kbd", {}, "?"),
      " for the keys.",
    ),
  );
  const strip = tokenStrip(
    "tokens",
    (i) => real(p.targets[i].loss),
    (i) => go("tokens", { pos: i }),
  );
  root.querySelector("div").replaceWith(strip.root);
  return () => strip.update(state.pos);
});

// One sentence on how far the gradient falls on its way back along the stream.
function vanishing(t) {
  const number = (name) => gradientOf(t, name),
    points = t.stream;
  const least = smallest(points, number),
    last = points[points.length - 1];
  const from = number(last),
    first = number(points[0]);
  if (!least || !Number.isFinite(from)) return "The gradient is not finite.";
  const vanished = t.payload.flow.vanishing || [],
    exploded = t.payload.flow.exploding || [];
  const lost = first === 0 && points.find((name) => number(name) > 0);
  const change = first > 0 ? from / first : Infinity;
  return [
    "On its way back from the last block to the embedding the gradient\u2019s RMS " +
      `goes from ${num(from)} to ${num(first)}, `,
    el(
      "b",
      {},
      !Number.isFinite(change)
        ? "to nothing"
        : change >= 1.05
          ? `${times(change)} smaller`
          : change <= 0.95
            ? `${times(1 / change)} larger`
            : "nearly the same",
    ),
    "; ",
    lost
      ? [
          "it vanishes, and where it is 0 it was too small for ",
          t.meta.dtype,
          "; the last that is not, at ",
          el("b", {}, lost),
          `, is ${num(number(lost))}.`,
        ]
      : vanished.length
        ? [
            "it vanishes",
            first <= number(least) * 1.001
              ? " towards the embedding, and is smallest at "
              : ", and is smallest at ",
            el("b", {}, least),
            ` (${num(number(least))}).`,
          ]
        : exploded.length
          ? ["it explodes, and is largest at ", el("b", {}, rankNames(points, number)[0]), "."]
          : [
              "along the stream it neither vanishes nor explodes, and is smallest at ",
              el("b", {}, least),
              ` (${num(number(least))}).`,
            ],
    lost || vanished.length ? "" : vanishedWithin(t),
  ];
}
// What lies below the threshold inside of the blocks, the layers of each kind together.
const KINDS = { q: "queries", k: "keys", v: "values", weights: "attention weights" };
function vanishedWithin(t) {
  const low = t.entries.filter(
      ({ name, layer }) =>
        layer !== null && !t.stream.includes(name) && flagOf(t, name) === "vanishing",
    ),
    layers = new Map(),
    groups = new Map();
  if (!low.length) return "";
  for (const { name, layer } of low) {
    const kind = name.replace(/^h\.\d+\./, "");
    layers.set(kind, [...(layers.get(kind) || []), layer]);
  }
  for (const [kind, where] of layers) {
    const words =
      where.length === t.layers && t.layers > 1
        ? `all ${t.layers} layers`
        : where.length > 3
          ? `${where.length} of ${t.layers} layers`
          : `layer${where.length > 1 ? "s" : ""} ${where.join(", ")}`;
    groups.set(words, [...(groups.get(words) || []), KINDS[kind.replace("attn.", "")] || kind]);
  }
  const least = smallest(
    low.map(({ name }) => name),
    (name) => gradientOf(t, name),
  );
  const listed = (all) =>
    all.length > 1 ? `${all.slice(0, -1).join(", ")} and ${all[all.length - 1]}` : all[0];
  return [
    " Within the blocks ",
    groups.size > 3
      ? count(low.length, "entry", "entries")
      : listed([...groups].map(([where, kinds]) => `${listed(kinds)} of ${where}`)),
    low.length > 1 ? " vanish, least " : " vanishes, least ",
    el("b", {}, least),
    ` (${num(gradientOf(t, least))}).`,
  ];
}
// Every entry by the rule of the stream's points.
function flagOf(t, name) {
  const { flags, limits, reference_rms: reference } = t.payload.flow,
    share = gradientOf(t, name) / real(reference);
  return flags[name] || (share < limits[0] ? "vanishing" : share > limits[1] ? "exploding" : null);
}
const moving = (parameters) => parameters.map(({ ratio }) => real(ratio)).filter((x) => x > 0);
const rankNames = (names, number) => [...names].sort((a, b) => number(b) - number(a));

// View 6: what each next token cost, what else was likely, and the gradient of one position alone.

view("tokens", "Tokens and loss", (root) => {
  const p = trace.payload,
    targets = p.targets,
    T = trace.length,
    paths = p.paths;
  const caption = el("p", { class: "caption" }),
    about = el("p", { class: "caption" }),
    wayWords = el("p");
  const strip = tokenStrip(
    "tokens and the loss of what follows",
    (i) => real(targets[i].loss),
    (i) => select({ pos: i }),
  );
  const loss = (i) => real(targets[i].loss);
  const chart = new Chart({
    name: "loss",
    title: "Loss at each position, in nats",
    move: (_, i) => select({ pos: i }),
    say: (_, i) =>
      !trace.hasTarget(i)
        ? `position ${i}: the text ends after ${trace.token(i)}; no loss`
        : `position ${i}: after ${trace.token(i)} came ${trace.target(i)}, loss ` +
          `${num(loss(i))} nats, probability ${percent(real(targets[i].probability))}, ` +
          `${rankWords(targets[i])}; entropy of the prediction ` +
          `${num(real(targets[i].entropy))}`,
    copied: (_, i) => `loss[0, ${i}] = ${plainNumber(loss(i))}`,
    table: () => ({
      head: [
        "position",
        "token",
        "next token",
        "loss",
        "probability",
        "rank",
        "entropy of the prediction",
      ],
      selected: state.pos,
      rows: targets.map((t, i) => [
        String(i),
        trace.token(i),
        trace.target(i),
        loss(i),
        real(t.probability),
        real(t.rank),
        real(t.entropy),
      ]),
    }),
  });
  // the best ones, and at the end what came, if it is not among them
  const list = () => {
    const t = targets[state.pos];
    return t.id === null || t.candidates.some((c) => c.id === t.id)
      ? t.candidates
      : [...t.candidates, { id: t.id, show: t.show, p: t.probability }];
  };
  const candidates = new Chart({
    name: "candidates",
    title: "",
    say: (_, i) =>
      `${list()[i].show}: probability ${percent(real(list()[i].p))}` +
      `${list()[i].id === targets[state.pos].id ? ", the token that came" : ""}`,
    table: () => ({
      head: ["token", "probability"],
      rows: list().map((c) => [c.show, real(c.p)]),
      selected: list().findIndex((c) => c.id === targets[state.pos].id),
    }),
  });
  const wide = p.flow.points.length,
    row = () => (paths ? paths.positions.indexOf(state.pos) : -1);
  const points = paths ? paths.points : [];
  const path = new Chart({
    name: "path",
    title: "",
    move: (_, i) => select({ entry: points[i] }),
    say: (_, i) =>
      `${points[i]}: norm of the gradient of position ${state.pos}\u2019s loss alone ` +
      `${num(normOf(i))}`,
    table: () => ({
      head: ["point", "norm"],
      selected: points.indexOf(state.entry),
      rows: points.map((name, i) => [name, normOf(i)]),
    }),
  });
  const norms = () => trace.norms(paths.norms, row(), points.length),
    normOf = (i) => (row() < 0 ? NaN : norms()[i]);
  const part = (which, k) => (row() < 0 ? NaN : trace.norms(paths[which], row(), wide)[k]);
  const ways = new Chart({
    name: "path-ways",
    title: "Norm of that gradient through each branch and each residual connection",
    move: (_, k) => select({ layer: p.flow.points[k].layer, entry: p.flow.points[k].at }),
    say: (_, k) =>
      `${halfBlock(p.flow.points[k])}: through the branch ${num(part("branch", k))}, ` +
      `through the residual connection ${num(part("residual", k))}; ` +
      (Number.isFinite(part("fraction", k))
        ? `the branch\u2019s fraction ${percent(part("fraction", k))}`
        : "there is no fraction"),
    table: () => ({
      head: ["half block", "through branch", "through residual connection", "fraction of branch"],
      rows: p.flow.points.map((x, k) => [
        `layer ${x.layer} ${x.part}`,
        part("branch", k),
        part("residual", k),
        part("fraction", k),
      ]),
    }),
  });
  const cells = () =>
    decode(paths.rms).subarray(row() * points.length * T, (row() + 1) * points.length * T);
  const map = new HeatMap({
    name: "path-map",
    title: "",
    move: (r, c) => select({ entry: points[r] }),
    say: (r, c) =>
      `${points[r]} at position ${c} ${trace.token(c)}: gradient RMS ${num(cells()[r * T + c])}`,
    copied: (r, c) =>
      `rms(gradient of loss[${state.pos}] at ${points[r]}[0, ${c}]) = ` +
      `${plainNumber(cells()[r * T + c])}`,
    table: () => ({
      head: ["point", ...p.tokens.map((_, i) => `${i} ${trace.token(i)}`)],
      rows: points.map((name, r) => [name, ...Array.from(cells().subarray(r * T, r * T + T))]),
    }),
  });
  root.append(
    caption,
    strip.root,
    chart.root,
    about,
    candidates.root,
    wayWords,
    ...(paths ? [ways.root, map.root, path.root] : []),
  );
  return () => {
    const worst = mostSurprising(trace),
      t = targets[state.pos];
    const best = rank(targets.map((_, i) => (Number.isFinite(loss(i)) ? -loss(i) : -Infinity)))[0];
    if (!Number.isFinite(loss(worst)))
      refill(
        caption,
        "No loss of this text is a number. ",
        jump("Where the first NaN stands", "flow"),
        ".",
      );
    else if (alike(losses(trace)))
      refill(
        caption,
        "Look for tall bars: there are none. ",
        el("b", {}, `All tokens cost the same, ${num(loss(worst))} nats`),
        ", so none is the most surprising.",
      );
    else
      refill(
        caption,
        "Look for tall bars. The most surprising token was ",
        token(trace.target(worst)),
        ` after position ${worst} `,
        token(trace.token(worst)),
        ": ",
        el("b", {}, `${num(loss(worst))} nats`),
        `, ${num(loss(worst) / real(p.loss), 2)} times the mean of ${num(real(p.loss))}` +
          "; the least surprising was ",
        token(trace.target(best)),
        ` after position ${best}, `,
        el("b", {}, num(loss(best))),
        ". ",
        throughMost(trace, worst)
          ? [
              "The gradient of the most surprising one went most through ",
              el("b", {}, halfBlock(throughMost(trace, worst).point)),
              ". ",
            ]
          : "",
        state.pos !== worst &&
          el("button", { type: "button", onclick: () => select({ pos: worst }) }, "Show it"),
      );
    strip.update(state.pos);
    chart.draw({
      n: T,
      series: [
        {
          name: "loss of the next token",
          colour: "loss",
          kind: "bar",
          values: targets.map((_, i) => loss(i)),
        },
      ],
      cursor: state.pos,
      least: 12,
      tick: (i) => trace.token(i),
      lines: [
        { at: real(p.uniform), name: `even guessing ${num(real(p.uniform))}`, start: true },
        { at: real(p.loss), name: `mean ${num(real(p.loss))}` },
      ],
      broken: targets.filter((_, i) => trace.hasTarget(i) && !Number.isFinite(loss(i))).length,
    });
    if (t.id === null)
      refill(
        about,
        `Position ${state.pos}: the text ends after `,
        token(trace.token(state.pos)),
        ", so nothing was to be predicted here and there is no loss.",
      );
    else
      refill(
        about,
        `Position ${state.pos}: after `,
        token(trace.token(state.pos)),
        " came ",
        token(trace.target(state.pos)),
        !Number.isFinite(loss(state.pos))
          ? "; its loss is not a number."
          : `, ${rankWords(t)}, with probability ${percent(real(t.probability))}. Its loss, the `,
        Number.isFinite(loss(state.pos)) && [
          textbook("cross_entropy"),
          `, is \u2212ln of that: ${num(loss(state.pos))} nats.`,
        ],
      );
    candidates.title("What the model thought likely after ", token(trace.token(state.pos)));
    const known2 = list(),
      came = known2.findIndex((c) => c.id === t.id);
    candidates.draw({
      n: known2.length,
      series: [
        { name: "probability", colour: "loss", kind: "bar", values: known2.map((c) => real(c.p)) },
      ],
      percent: true,
      least: 34,
      cursor: Math.max(0, came),
      height: 180,
      tick: (i) => (known2[i].id === t.id ? `[${known2[i].show}]` : known2[i].show),
      words:
        known2.length > t.candidates.length
          ? `what came is not among the ${t.candidates.length} shown first and stands at the end` +
            (t.ties ? "; equal ones stand in the order of their ids" : "")
          : "in brackets: what came",
    });
    if (!paths) {
      refill(wayWords, "This page has no gradient of single positions.");
      return;
    }
    const most = throughMost(trace, state.pos);
    if (row() < 0 || !most) {
      refill(
        wayWords,
        row() >= 0
          ? norms().every((x) => x === 0)
            ? "The gradient of this position is 0 at every point of the stream."
            : Number.isFinite(norms()[0])
              ? "The gradient of this position is 0 in every branch."
              : "The gradient of this position is not finite."
          : t.id === null
            ? ""
            : `The gradient of single positions is stored for ${paths.positions.join(", ")} ` +
              `only. ${paths.skipped ? sentence(paths.skipped) : ""}`,
      );
    } else
      refill(
        wayWords,
        "Now the gradient of this position\u2019s loss alone. Look for the tallest bar " +
          "of a branch: it went most through ",
        el("b", {}, halfBlock(most.point)),
        ` (norm ${num(most.norm)}, ${percent(most.fraction)} of the gradient there).`,
      );
    const shown = row() >= 0;
    for (const picture of [ways, map, path]) picture.root.hidden = !shown;
    if (!shown) return;
    ways.draw({
      n: wide,
      least: 16,
      series: [
        {
          name: "through the residual connection",
          colour: "gradient",
          kind: "bar",
          values: p.flow.points.map((_, k) => part("residual", k)),
        },
        {
          name: "through the branch",
          colour: "branch",
          kind: "bar",
          values: p.flow.points.map((_, k) => part("branch", k)),
        },
      ],
      tick: (k) => `${p.flow.points[k].layer} ${p.flow.points[k].part}`,
      cursor: most ? p.flow.points.indexOf(most.point) : 0,
    });
    map.title(
      "Which positions it reached: RMS of the gradient of position ",
      String(state.pos),
      "\u2019s loss at each point of the stream",
    );
    const array = cells();
    map.draw({
      rows: points.length,
      cols: T,
      at: (r, c) => array[r * T + c],
      masked: (_, c) => c > state.pos,
      scale: logScale(array),
      rowLabel: (r) => pointLabel(points[r]),
      colLabel: (c) => trace.token(c),
      cursor: [Math.max(0, points.indexOf(state.entry)), state.pos],
      words: `blank: the future, which no gradient reaches; ${POINTS}`,
    });
    path.title("Norm of that gradient at each point of the stream");
    path.draw({
      n: points.length,
      log: true,
      series: [{ name: "norm", colour: "gradient", kind: "both", values: norms() }],
      tick: (i) => pointLabel(points[i]),
      cursor: Math.max(0, points.indexOf(state.entry)),
      words: POINTS,
    });
  };
});

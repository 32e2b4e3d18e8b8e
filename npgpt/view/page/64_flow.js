// View 3: how large the gradient is at every point, and which way it came.

view("flow", "Gradient flow", (root) => {
  const p = trace.payload,
    stream = trace.stream,
    points = p.flow.points;
  const caption = el("p", { class: "caption" }),
    way = el("p", { class: "caption" }),
    notes = el("div");
  const flag = (name) => flagOf(trace, name);
  const broken = (names) =>
    names.filter(
      (name) =>
        trace.stat(trace.entry(name), "gradient", "nan") +
          trace.stat(trace.entry(name), "gradient", "inf") >
        0,
    ).length;
  const streamPicture = new Chart({
    name: "flow-stream",
    title:
      "Gradient along the residual stream, from the embedding (left) to the last block (right)",
    say: (_, i) =>
      `${stream[i]}: gradient RMS ${num(gradientOf(trace, stream[i]))}, ` +
      (real(p.flow.reference_rms) === 0
        ? ""
        : `${num(gradientOf(trace, stream[i]) / real(p.flow.reference_rms))} of that at ` +
          `${p.flow.reference}; `) +
      `value RMS ` +
      `${num(trace.stat(trace.entry(stream[i]), "value", "rms"))}` +
      `${flag(stream[i]) ? ` \u2014 ${flag(stream[i])}` : ""}`,
    copied: (_, i) =>
      `rms(gradient of ${stream[i]}) = ${plainNumber(gradientOf(trace, stream[i]))}`,
    open: (_, i) => go("tensor", { entry: stream[i] }),
    move: (_, i) => select({ entry: stream[i] }),
    table: () => ({
      head: ["point", "RMS of gradient", "of the last", "RMS of value", "note"],
      selected: stream.indexOf(state.entry),
      rows: stream.map((name) => [
        name,
        gradientOf(trace, name),
        gradientOf(trace, name) / real(p.flow.reference_rms),
        trace.stat(trace.entry(name), "value", "rms"),
        flag(name) || "",
      ]),
    }),
  });
  const all = trace.entries.filter((e) => trace.has(e, "gradient") || trace.has(e, "value"));
  const allPicture = new Chart({
    name: "flow-entries",
    title: "Every entry of the tape",
    say: (_, i) =>
      `${all[i].name} (${opName(all[i].op)}): gradient RMS ` +
      `${num(trace.stat(all[i], "gradient", "rms"))}, value RMS ` +
      `${num(trace.stat(all[i], "value", "rms"))}` +
      `${flag(all[i].name) ? ` \u2014 ${flag(all[i].name)}` : ""}`,
    copied: (_, i) =>
      `rms(gradient of ${all[i].name}) = ${plainNumber(trace.stat(all[i], "gradient", "rms"))}`,
    move: (_, i) => select({ entry: all[i].name }),
    open: (_, i) => go("tensor", { entry: all[i].name }),
    table: () => ({
      head: ["entry", "op", "RMS of gradient", "RMS of value", "NaN or infinite", "note"],
      selected: all.findIndex((e) => e.name === state.entry),
      rows: all.map((e) => [
        e.name,
        opName(e.op),
        trace.stat(e, "gradient", "rms"),
        trace.stat(e, "value", "rms"),
        ["value", "gradient"].reduce(
          (s, w) => s + (trace.has(e, w) ? trace.stat(e, w, "nan") + trace.stat(e, w, "inf") : 0),
          0,
        ),
        flag(e.name) || "",
      ]),
    }),
  });
  const ways = new Chart({
    name: "flow-ways",
    title:
      "What fraction of the gradient came through the branch, and what through the " +
      "residual connection",
    say: (_, k) =>
      `${points[k].at}, before ${halfBlock(points[k])}: ` +
      (noFraction(points[k]) ||
      `${percent(real(points[k].residual))} through the residual connection (norm ` +
      `${num(real(points[k].through_residual))}), ` +
      `${percent(real(points[k].branch_fraction))} through the branch (norm ` +
      `${num(real(points[k].through_branch))})`),
    move: (_, k) => select({ entry: points[k].at, layer: points[k].layer }),
    open: (_, k) => go("tensor", { entry: points[k].at }),
    table: () => ({
      head: [
        "at",
        "half block",
        "through residual connection",
        "through branch",
        "norm, residual connection",
        "norm, branch",
      ],
      selected: points.findIndex((x) => x.at === state.entry),
      rows: points.map((x) => [
        x.at,
        `layer ${x.layer} ${x.part}`,
        real(x.residual),
        real(x.branch_fraction),
        real(x.through_residual),
        real(x.through_branch),
      ]),
    }),
  });
  root.append(caption, streamPicture.root, way, ways.root, allPicture.root, notes);
  const without = trace.config.residual === false;
  return () => {
    refill(
      caption,
      p.flow.first_not_finite ? "Look where the dots end. " : "Look for a slope. ",
      vanishing(trace),
      p.flow.first_not_finite
        ? [
            " The first NaN or infinity stands in ",
            el("b", { class: "warn" }, p.flow.first_not_finite),
            "; after it nothing can be trusted.",
          ]
        : "",
    );
    const number = (name) => gradientOf(trace, name);
    const draw = (picture, names, number2, extra) =>
      picture.draw({
        n: names.length,
        log: true,
        cursor: Math.max(0, names.indexOf(state.entry)),
        series: [
          {
            name: "RMS of the gradient",
            colour: "gradient",
            values: names.map(number),
            kind: "both",
          },
          ...extra,
        ],
        lines: [
          {
            at: real(p.flow.reference_rms) * p.flow.limits[0],
            name: "a thousandth of the last: vanishing",
            start: true,
          },
        ].filter((line) => line.at > 0 && names.some((name) => number(name) < 30 * line.at)),
        marks: names
          .map(
            (name, i) =>
              flag(name) && {
                i,
                value: number(name),
                up: flag(name) === "exploding",
                cross: flag(name) === "not finite",
              },
          )
          .filter(Boolean),
        broken: broken(names),
        brokenOf: "gradient",
        tick: number2,
        notes: names.flatMap((name, i) =>
          p.flow.first_not_finite === name || p.flow.first_not_finite === `the gradient of ${name}`
            ? [{ i, text: `first: ${p.flow.first_not_finite}` }]
            : [],
        ),
        words:
          "\u25bc vanishing, \u25b2 exploding, \u2715 not finite" +
          (picture === streamPicture ? `; ${POINTS}` : ""),
      });
    draw(streamPicture, stream, (i) => pointLabel(stream[i]), []);
    draw(
      allPicture,
      all.map((e) => e.name),
      (i) =>
        i === 0 || blockOf(all[i].name) !== blockOf(all[i - 1].name)
          ? blockOf(all[i].name) === null
            ? i
              ? "end"
              : "start"
            : `layer ${blockOf(all[i].name)}`
          : null,
      [
        {
          name: "RMS of the value",
          colour: "value",
          values: all.map((e) => trace.stat(e, "value", "rms")),
          kind: "dot",
        },
      ],
    );
    const finitePoints = points.filter((x) => Number.isFinite(real(x.branch_fraction)));
    const mean = finitePoints.reduce((sum, x) => sum + real(x.residual), 0) / finitePoints.length;
    const most = finitePoints.length
      ? finitePoints.reduce((a, b) => (real(b.branch_fraction) > real(a.branch_fraction) ? b : a))
      : null;
    refill(
      way,
      without
        ? "This model has no residual connections: all of the gradient must come back " +
            "through the branches, one layer after another." +
            (trace.config.norm !== "none" && !p.flow.vanishing.length
              ? " LayerNorm scales each branch anew and so keeps it from vanishing along the " +
                "stream; with --norm none it would."
              : "")
        : most
          ? [
              "At every half block the gradient splits: look how much takes the ",
              textbook("residual", "residual connection"),
              ". On average ",
              el("b", {}, percent(mean)),
              " does; the branch gives most in ",
              el("b", {}, halfBlock(most)),
              `, ${percent(real(most.branch_fraction))}. The two fractions are projections ` +
                "on the whole gradient and add up to 100 %; one may be negative.",
            ]
          : points.every((x) => real(x.norm) === 0)
            ? "The gradient is 0 at every half block, so there is no fraction."
            : "No finite gradient splits here.",
    );
    ways.draw({
      n: points.length,
      percent: true,
      least: 16,
      cursor: Math.max(
        0,
        points.findIndex((x) => x.at === state.entry),
      ),
      low: Math.min(0, ...finitePoints.flatMap((x) => [real(x.residual), real(x.branch_fraction)])),
      high: Math.max(
        1,
        ...finitePoints.flatMap((x) => [real(x.residual), real(x.branch_fraction)]),
      ),
      series: [
        {
          name: "through the residual connection",
          colour: "gradient",
          kind: "bar",
          values: points.map((x) => real(x.residual)),
        },
        {
          name: "through the branch",
          colour: "branch",
          kind: "bar",
          values: points.map((x) => real(x.branch_fraction)),
        },
      ],
      tick: (k) => `${points[k].layer} ${points[k].part}`,
      broken: points.filter((x) => Number.isNaN(real(x.through_branch))).length,
      brokenOf: "gradient",
      words:
        "each bar pair stands at its half block" +
        (points.some((x) => real(x.norm) === 0) ? "; no bars where the gradient is 0" : ""),
    });
    refill(
      notes,
      el("p", { class: "soft small" }, p.flow.rule, "."),
      el(
        "p",
        {},
        "Chosen: ",
        entryLink(state.entry),
        `, gradient RMS ${num(gradientOf(trace, state.entry))}.`,
      ),
    );
  };
});
const noFraction = (point) =>
  real(point.norm) === 0
    ? "the gradient is 0, so there is no fraction"
    : Number.isFinite(real(point.residual))
      ? null
      : "the gradient is not finite, so there is no fraction";

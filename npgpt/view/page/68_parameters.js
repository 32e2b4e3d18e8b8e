// View 8: parameters, their gradients, AdamW's next update, and update over weight beside 1e-3.

view("parameters", "Parameters", (root) => {
  const all = trace.payload.parameters || [],
    caption = el("p", { class: "caption" }),
    about = el("p", { class: "caption" });
  const ratio = (i) => (all[i].ratio === null ? NaN : real(all[i].ratio)),
    chosen = () =>
      Math.max(
        0,
        all.findIndex((each) => each.name === state.param),
      );
  const stat = (i, which, name) => (all[i][which] ? real(all[i][which][name]) : NaN);
  const chart = new Chart({
    name: "ratios",
    title: "Norm of the update over the norm of the weight",
    move: (_, i) => select({ param: all[i].name }),
    say: (_, i) =>
      `${all[i].name} (${all[i].shape.join(", ")}): update / weight ${num(ratio(i))}` +
      `; RMS of weight ${num(stat(i, "weight", "rms"))}, gradient ` +
      `${num(stat(i, "gradient", "rms"))}, update ${num(stat(i, "update", "rms"))}`,
    copied: (_, i) => `norm(update of ${all[i].name}) / norm = ${plainNumber(ratio(i))}`,
    table: () => ({
      head: [
        "parameter",
        "shape",
        "RMS of weight",
        "RMS of gradient",
        "RMS of update",
        "update / weight",
        "zeros in gradient",
      ],
      selected: chosen(),
      rows: all.map((each, i) => [
        each.name,
        `(${each.shape.join(", ")})`,
        stat(i, "weight", "rms"),
        stat(i, "gradient", "rms"),
        stat(i, "update", "rms"),
        ratio(i),
        stat(i, "gradient", "zeros"),
      ]),
    }),
  });
  // A gradient far below AdamW's epsilon moves nothing; of moments that were saved one cannot tell.
  function decayAlone(i) {
    const o = trace.payload.optimizer,
      largest = Math.max(-stat(i, "gradient", "min"), stat(i, "gradient", "max"));
    if (!o || !(largest < 0.01 * real(o.eps)) || !(stat(i, "update", "rms") > 0)) return "";
    const saved = /^saved/.test(o.moments);
    return (
      `The gradient ${largest === 0 ? "is 0" : "lies far below AdamW\u2019s epsilon"}: ` +
      `the update is ${saved ? "what saved moments and weight decay make" : "weight decay alone"}. `
    );
  }
  const kinds = ["weight", "gradient", "update"],
    colours = { weight: "parameter", gradient: "gradient", update: "soft" };
  const histograms = kinds.map((which) => {
    const bins = () => all[chosen()][which].histogram;
    const edge = (i) =>
      real(bins().low) + (i * (real(bins().high) - real(bins().low))) / bins().counts.length;
    // the one number that all are
    const one = () =>
      bins().low !== null && bins().low === bins().high ? num(real(bins().low)) : null;
    const picture = new Chart({
      name: `histogram-${which}`,
      title: "",
      say: (_, i) =>
        one()
          ? `all ${count(bins().counts[bins().counts.length / 2], "number")} are ${one()}`
          : bins().low === null
            ? "no number is finite"
            : `${num(edge(i))} to ${num(edge(i + 1))}: ` +
              count(bins().counts[i], "number"),
      table: () => ({
        head: ["from", "to", "how many"],
        rows: bins().counts.map((n, i) => [edge(i), edge(i + 1), n]),
      }),
    });
    picture.bins = bins;
    picture.one = one;
    picture.edge = edge;
    return picture;
  });
  const norms = ["rows", "columns"].map((side) => {
    const array = (which) =>
      all[chosen()][which] && all[chosen()][which][side]
        ? Array.from(decode(all[chosen()][which][side]))
        : [];
    const picture = new Chart({
      name: `norms-${side}`,
      title: "",
      say: (_, i) =>
        `${side === "rows" ? "row" : "column"} ` +
        `${i * real(all[chosen()].weight[`${side}_each`] || 1)}: norm of the weight ` +
        `${num(array("weight")[i])}, of the gradient ${num(array("gradient")[i])}`,
      table: () => ({
        head: [side, "norm of weight", "norm of gradient", "norm of update"],
        rows: array("weight").map((x, i) => [
          String(i * real(all[chosen()].weight[`${side}_each`] || 1)),
          x,
          array("gradient")[i],
          array("update")[i],
        ]),
      }),
    });
    picture.array = array;
    picture.side = side;
    return picture;
  });
  root.append(
    caption,
    chart.root,
    about,
    el(
      "div",
      { class: "three" },
      histograms.map((h) => h.root),
    ),
    el(
      "div",
      { class: "two" },
      norms.map((n) => n.root),
    ),
    el(
      "p",
      { class: "soft small" },
      trace.payload.optimizer ? `${trace.payload.optimizer.text}.` : "",
    ),
  );
  return () => {
    if (!all.length) {
      refill(caption, "This page has no parameters.");
      return;
    }
    const finite = all.map((_, i) => i).filter((i) => Number.isFinite(ratio(i)));
    const zeros = all.filter((_, i) => ratio(i) === 0 || stat(i, "weight", "rms") === 0).length;
    const order = [...finite].sort((a, b) => ratio(b) - ratio(a)),
      matrices = finite.filter((i) => all[i].shape.length > 1);
    const middle = [...matrices].sort((a, b) => ratio(a) - ratio(b))[
      Math.floor(matrices.length / 2)
    ];
    refill(
      caption,
      order.length
        ? [
            "Look how far the dots lie from the line at 1e\u22123, the usual size of a step. " +
              "The matrices\u2019 median is ",
            el("b", {}, num(ratio(middle))),
            alike(moving(all), 0.01)
              ? ", and all that move at all move alike."
              : [
            "; ",
            el("b", {}, all[order[0]].name),
            " moves most, ",
            el("b", {}, num(ratio(order[0]))),
            ", and ",
            el("b", {}, all[order[order.length - 1]].name),
            " least, ",
            el("b", {}, num(ratio(order[order.length - 1]))),
            ". A bias that is still near zero moves much for its size, and that is no fault.",
              ],
          ]
        : "No parameter has a finite ratio.",
    );
    chart.draw({
      n: all.length,
      log: true,
      series: [
        {
          name: "matrices",
          colour: "parameter",
          kind: "dot",
          values: all.map((each, i) => (each.shape.length > 1 ? ratio(i) : NaN)),
        },
        {
          name: "vectors",
          colour: "edge",
          kind: "dot",
          values: all.map((each, i) => (each.shape.length > 1 ? NaN : ratio(i))),
        },
      ],
      lines: [{ at: 1e-3, name: "1e\u22123" }],
      cursor: chosen(),
      broken: all.filter((_, i) => !Number.isFinite(stat(i, "update", "rms"))).length,
      brokenOf: "update",
      words: zeros > 0 ? `not drawn: ${zeros} whose weight or update is 0` : null,
      tick: (i) =>
        i === 0 || all[i].layer !== all[i - 1].layer
          ? all[i].layer === null
            ? all[i].name.split(".")[0]
            : `layer ${all[i].layer}`
          : null,
    });
    const i = chosen(),
      each = all[i];
    refill(
      about,
      el("code", {}, each.name),
      `, shape (${each.shape.join(", ")}` +
        `)${each.tied ? ", used at both ends: its gradient is the sum of two uses" : ""}` +
        ". Look at the width of the three: weight RMS ",
      el("b", { class: "parameter" }, num(stat(i, "weight", "rms"))),
      ", gradient RMS ",
      el("b", { class: "gradient" }, num(stat(i, "gradient", "rms"))),
      ", update RMS ",
      el("b", {}, num(stat(i, "update", "rms"))),
      ", and so a ratio of ",
      el("b", {}, num(ratio(i))),
      `${each.update_at ? ` (${each.update_at})` : ""}. `,
      decayAlone(i),
      stat(i, "gradient", "zeros") > 0 &&
        `${count(stat(i, "gradient", "zeros"), "number")} of the gradient ` +
          `${stat(i, "gradient", "zeros") === 1 ? "is" : "are"} exactly 0.`,
    );
    histograms.forEach((picture, k) => {
      const which = kinds[k],
        has = Boolean(each[which] && each[which].histogram);
      picture.root.hidden = !has;
      if (!has) return;
      picture.title(el("span", { class: colours[which] }, which), ` of ${each.name}`);
      const bins = picture.bins().counts,
        n = bins.length,
        broken = stat(i, which, "nan") + stat(i, which, "inf");
      picture.draw({
        n,
        least: 4,
        height: 170,
        series: [{ name: "how many", colour: colours[which], kind: "bar", values: bins }],
        tick: (b) =>
          picture.one()
            ? b === n / 2
              ? picture.one()
              : null
            : picture.bins().low === null
              ? null
              : b === 0 || b === n - 1 || b === n / 2
                ? num(picture.edge(b === n - 1 ? n : b), 2)
                : null,
        cursor: n / 2,
        broken,
        words: picture.one() && `all are ${picture.one()}`,
      });
    });
    norms.forEach((picture) => {
      const weight = picture.array("weight"),
        gradient = picture.array("gradient");
      picture.root.hidden = weight.length < 2;
      if (weight.length < 2) return;
      const each2 = real(each.weight[`${picture.side}_each`] || 1);
      picture.title(`Norms of the ${picture.side}${each2 > 1 ? `, ${each2} together` : ""}`);
      picture.draw({
        n: weight.length,
        log: true,
        least: 2,
        height: 190,
        series: [
          { name: "weight", colour: "parameter", kind: "line", values: weight },
          { name: "gradient", colour: "gradient", kind: "line", values: gradient },
        ],
        tick: (k) => (k % Math.ceil(weight.length / 8) === 0 ? String(k * each2) : null),
        broken: [...weight, ...gradient].filter((x) => !Number.isFinite(x)).length,
        brokenOf: "norm",
        words: [...weight, ...gradient].includes(0) && "a norm of 0 leaves a gap",
      });
    });
  };
});

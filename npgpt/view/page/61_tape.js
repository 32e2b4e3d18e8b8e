// View 1: the tape as a ribbon. Forward to the right, then backward along the same names.

view("tape", "Tape", (root) => {
  const n = trace.entries.length;
  const caption = el("p", { class: "caption" });
  const ribbon = el("div", {
    class: "ribbon",
    role: "group",
    "aria-label": "entries of the tape, in order of execution",
  });
  const scrub = el("input", {
    type: "range",
    min: 0,
    max: 2 * n - 1,
    step: 1,
    "aria-label": "step of the pass",
    id: "scrubber",
    oninput: () => select({ step: real(scrub.value) }),
  });
  const step = (by) => select({ step: clamp(state.step + by, 0, 2 * n - 1) });
  const button = (words, label, by) =>
    el("button", { type: "button", "aria-label": label, onclick: () => step(by) }, words);
  const turn = el("button", {
    type: "button",
    onclick: () => select({ step: 2 * n - 1 - state.step }),
  });
  const now = el("p", { id: "now" });
  const values = el("div");
  const picture = tensorMap("tape-now");
  const table = new Picture({
    name: "tape",
    title: "Every entry of the tape",
    say: () => "",
    table: () => ({
      head: ["entry", "op", "shape", "RMS of value", "RMS of gradient"],
      selected: trace.byName.get(state.entry),
      rows: trace.entries.map((e) => [
        e.name,
        opName(e.op),
        `(${e.shape.join(", ")})`,
        trace.stat(e, "value", "rms"),
        trace.stat(e, "gradient", "rms"),
      ]),
    }),
  });
  table.body.removeAttribute("tabindex");
  table.body.setAttribute("role", "group");
  table.body.append(ribbon);
  root.append(
    caption,
    table.root,
    el(
      "div",
      { class: "controls" },
      button("start", "to the start", -2 * n),
      button("\u25c0 step", "one step back", -1),
      button("step \u25b6", "one step on", 1),
      button("end", "to the end", 2 * n),
      scrub,
      turn,
      el(
        "span",
        { class: "soft small" },
        "keys: ",
        el("kbd", {}, ","),
        " back, ",
        el("kbd", {}, "."),
        " on; arrows in the ribbon",
      ),
    ),
    now,
    values,
    picture.root,
  );
  const chosen = rove(ribbon);
  const logs = (which) => {
    const all = trace.entries
      .map((e) => trace.stat(e, which, "rms"))
      .map((x) => (x > 0 ? Math.log10(x) : NaN));
    const { low, high } = extremes(all);
    return all.map((x) =>
      Number.isFinite(x) ? 0.12 + (0.88 * (x - low)) / Math.max(1e-9, high - low) : 0,
    );
  };
  const heights = { value: logs("value"), gradient: logs("gradient") };
  const buttons = [];
  let group = null,
    layer;
  trace.entries.forEach((entry, i) => {
    if (!group || entry.layer !== layer) {
      layer = entry.layer;
      group = el("div", { class: "cells" });
      ribbon.append(
        el(
          "div",
          { class: "group" },
          el("span", {}, layer === null ? (i ? "end" : "start") : `layer ${layer}`),
          group,
        ),
      );
    }
    const cell = el("button", {
      type: "button",
      "data-entry": entry.name,
      tabindex: "-1",
      onclick: (event) => {
        select({ step: state.step < n ? i : 2 * n - 1 - i });
        // by Enter, not by a pointer
        if (event.detail === 0) go("tensor");
      },
      onfocus: () => {
        hovered.textContent = describe(entry);
        if (state.entry !== entry.name) select({ step: state.step < n ? i : 2 * n - 1 - i });
      },
      onpointerenter: () => {
        hovered.textContent = describe(entry);
      },
      onpointerleave: () => {
        hovered.textContent = "";
      },
    });
    buttons.push(cell);
    group.append(cell);
  });
  const hovered = table.readout;
  table.below.append(
    el(
      "div",
      { class: "legend" },
      el(
        "span",
        {},
        el("i", { class: "swatch", style: { background: css("value") } }),
        "value, upwards",
      ),
      el(
        "span",
        {},
        el("i", { class: "swatch", style: { background: css("gradient") } }),
        "gradient, downwards",
      ),
      el(
        "span",
        {},
        "height: logarithm of the RMS, each from its smallest to its largest; pale: not " +
          "reached yet; \u2715: NaN or infinite",
      ),
    ),
  );
  const broken = (entry, which) =>
    trace.stat(entry, which, "nan") + trace.stat(entry, which, "inf") > 0;
  function describe(entry) {
    return (
      `${entry.name} (${opName(entry.op)}) ` +
      `${entry.shape.length ? `(${entry.shape.join(", ")})` : "scalar"}: value RMS ` +
      `${num(trace.stat(entry, "value", "rms"))}, gradient RMS ` +
      `${num(trace.stat(entry, "gradient", "rms"))}`
    );
  }
  function paint() {
    buttons.forEach((cell, i) => {
      const entry = trace.entries[i],
        forward = i <= state.step,
        back = state.step >= 2 * n - 1 - i;
      const w = parseFloat(getComputedStyle(cell).width) || 17;
      const part = (which, top, on, up) => {
        const tall = 36 * heights[which][i];
        return broken(entry, which)
          ? svg("path", {
              d: `M${w / 2 - 3},${top + 15}l6,6m0,-6l-6,6`,
              style: { stroke: css("warn"), strokeWidth: 2 },
            })
          : svg("rect", {
              x: 1,
              width: w - 2,
              y: up ? top + 36 - tall : top,
              height: tall,
              style: { fill: css(which), opacity: on ? 1 : 0.25 },
            });
      };
      refill(
        cell,
        svg(
          "svg",
          { width: w, height: 88, "aria-hidden": "true" },
          i === trace.byName.get(state.entry) &&
            svg("rect", { width: w, height: 88, style: { fill: css("mark"), stroke: css("ink") } }),
          part("value", 6, forward, true),
          svg("line", { class: "axis", x1: 0, x2: w, y1: 44, y2: 44 }),
          part("gradient", 46, back, false),
        ),
      );
      cell.setAttribute("aria-label", describe(entry));
      cell.setAttribute("aria-pressed", String(entry.name === state.entry));
    });
  }
  return () => {
    const i = state.step < n ? state.step : 2 * n - 1 - state.step,
      forward = state.step < n,
      entry = trace.entries[i];
    const width = clamp(((table.body.clientWidth || 320) - 6 * (trace.layers + 3)) / n - 1, 7, 22);
    for (const cell of buttons) {
      cell.style.width = `${width}px`;
      cell.style.minWidth = `${width}px`;
    }
    const focused = ribbon.contains(document.activeElement);
    paint();
    chosen(i);
    if (focused) buttons[i].focus();
    const cell = buttons[i].getBoundingClientRect(),
      box = table.body.getBoundingClientRect();
    if (cell.left < box.left || cell.right > box.right)
      table.body.scrollLeft += cell.left - box.left - box.width / 3;
    table.sight();
    scrub.value = state.step;
    scrub.setAttribute("aria-valuetext", `${forward ? "forward" : "backward"}, ${entry.name}`);
    refill(
      caption,
      `The pass wrote ${n} entries forward, then went back along the same names. `,
      "Watch how the heights change from layer to layer: the value\u2019s RMS goes from ",
      el("b", {}, num(trace.stat(trace.entry(trace.stream[0]), "value", "rms"))),
      " after the embedding to ",
      el(
        "b",
        {},
        num(trace.stat(trace.entry(trace.stream[trace.stream.length - 1]), "value", "rms")),
      ),
      " after the last block, the gradient\u2019s from ",
      el("b", {}, num(gradientOf(trace, trace.stream[trace.stream.length - 1]))),
      " back to ",
      el("b", {}, num(gradientOf(trace, trace.stream[0]))),
      ".",
    );
    turn.textContent = forward ? "same entry, backward" : "same entry, forward";
    const inputs = (entry.inputs || []).filter((x) => x.name).map((x) => x.name);
    refill(
      now,
      el("b", {}, `Step ${state.step + 1} of ${2 * n}, ${forward ? "forward" : "backward"}: `),
      textbook(entry.op),
      forward
        ? [
            " reads ",
            inputs.length
              ? inputs.map((name, k) => [k ? ", " : "", entryLink(name)])
              : "its inputs",
            " and writes ",
            entryLink(entry.name),
            `, ${entry.shape.length ? `shape (${entry.shape.join(", ")})` : "one number"}, ` +
              `RMS ${num(trace.stat(entry, "value", "rms"))}.`,
          ]
        : [
            " takes the gradient of ",
            entryLink(entry.name),
            `, RMS ${num(trace.stat(entry, "gradient", "rms"))}, and hands gradients back to `,
            inputs.length
              ? inputs.map((name, k) => [k ? ", " : "", entryLink(name)])
              : "its inputs",
            ".",
          ],
    );
    picture.show(entry.name, forward ? "value" : "gradient");
  };
});

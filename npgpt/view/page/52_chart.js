// Lines, dots or bars over a row of places; y linear or logarithmic.
class Chart extends Picture {
  draw(data) {
    this.data = data;
    this.rows = 1;
    this.columns = data.n;
    this.layout();
    refill(
      this.below,
      el(
        "div",
        { class: "legend" },
        data.series.map((s) =>
          el(
            "span",
            {},
            el("i", { class: "swatch", style: { background: css(s.colour) } }),
            s.name,
          ),
        ),
        data.words && el("span", {}, data.words),
        data.broken > 0 &&
          el("span", { class: "warn" }, `not drawn: NaN or infinite, ${data.broken}`),
      ),
    );
    this.place([0, data.cursor || 0]);
  }
  layout() {
    const { n, series, log, tick, marks, lines, height = 230, low, high, least = 7 } = this.data;
    const left = 58,
      right = 14,
      top = 14,
      tall = this.data.tall || 26;
    const step = clamp(
      ((this.body.clientWidth || 320) - left - right - 10) / Math.max(1, n),
      least,
      n < 8 ? 110 : 260,
    );
    const width = left + right + step * n;
    const all = series
      .flatMap((s) => s.values)
      .concat((lines || []).map((line) => line.at))
      .filter((x) => Number.isFinite(x) && (!log || x > 0));
    let from = low !== undefined ? low : Math.min(...all),
      to = high !== undefined ? high : Math.max(...all);
    if (!all.length) {
      from = log ? 0.1 : 0;
      to = 1;
    }
    if (log) {
      from = Math.floor(Math.log10(from) - 0.02);
      to = Math.ceil(Math.log10(to) + 0.02);
    } else if (low === undefined) from = Math.min(0, from);
    if (to === from) to = from + 1;
    const y = (x) =>
      top + (height - top - tall) * (1 - ((log ? Math.log10(x) : x) - from) / (to - from));
    const x = (i) => left + step * (i + 0.5);
    const bottom = height - tall,
      drawn = [];
    const shown = (v) => Number.isFinite(v) && (!log || v > 0);
    const every = Math.max(1, Math.ceil((to - from) / 6));
    const rules = log
      ? Array.from({ length: to - from + 1 }, (_, k) => from + k)
          .filter((k) => (k - from) % every === 0)
          .map((k) => [10 ** k, `1e${k < 0 ? "\u2212" : ""}${Math.abs(k)}`])
      : niceSteps(from, to).map((v) => [
          v,
          this.data.percent ? percent(v) : v >= 1e4 ? v.toLocaleString("en") : num(v, 2),
        ]);
    for (const [v, words] of rules)
      drawn.push(
        svg("line", { class: "grid", x1: left, x2: width - right, y1: y(v), y2: y(v) }),
        svg("text", { class: "soft", x: left - 6, y: y(v) + 4, "text-anchor": "end" }, words),
      );
    series.forEach((s, k) => {
      const bars = series.filter((other) => other.kind === "bar").length;
      if (s.kind === "bar")
        s.values.forEach((v, i) => {
          if (!shown(v)) return;
          const w = Math.max(1, (step * 0.8) / bars),
            base = log ? bottom : y(clamp(0, from, to));
          drawn.push(
            svg("rect", {
              style: { fill: css(s.colour) },
              x: x(i) - step * 0.4 + k * w,
              width: Math.max(0.8, w - 1),
              y: Math.min(y(v), base),
              height: Math.max(1, Math.abs(y(v) - base)),
            }),
          );
        });
      else {
        let path = "";
        s.values.forEach((v, i) => {
          if (!shown(v)) {
            path += " ";
            return;
          }
          path +=
            `${path === "" || path.endsWith(" ") ? "M" : "L"}${x(i).toFixed(1)}` +
            `,${y(v).toFixed(1)}`;
          if (s.kind !== "line")
            drawn.push(
              svg("circle", {
                style: { fill: css(s.colour) },
                cx: x(i),
                cy: y(v),
                r: s.kind === "dot" || step > 9 ? 3.2 : 2.2,
              }),
            );
        });
        if (s.kind !== "dot")
          drawn.push(
            svg("path", {
              d: path,
              style: {
                fill: "none",
                stroke: css(s.colour),
                strokeWidth: 2,
                strokeDasharray: s.dashed ? "6 4" : "",
              },
            }),
          );
      }
    });
    for (const line of (lines || []).filter((each) => Number.isFinite(each.at)))
      drawn.push(
        svg("line", {
          class: "softline",
          x1: left,
          x2: width - right,
          y1: y(line.at),
          y2: y(line.at),
        }),
        svg(
          "text",
          {
            class: "soft lined",
            x: line.start ? left + 6 : width - right - 4,
            y: y(line.at) - 4,
            "text-anchor": line.start ? "start" : "end",
          },
          line.name,
        ),
      );
    for (const mark of marks || []) {
      const at = !shown(mark.value) ? bottom - 8 : y(mark.value) + (mark.up ? -9 : 9);
      drawn.push(
        svg("path", {
          class: "warnmark",
          transform: `translate(${x(mark.i)} ${at})`,
          d: mark.up ? "M-5,3L5,3L0,-5Z" : mark.cross ? "M-5,-5L5,5M5,-5L-5,5" : "M-5,-3L5,-3L0,5Z",
          style: mark.cross ? { stroke: css("warn"), strokeWidth: 2.5 } : {},
        }),
      );
    }
    let lastLabel = -99;
    for (let i = 0; i < n; i++) {
      const words = tick ? tick(i) : null;
      if (!words) continue;
      const room = 7.2 * [...words].length;
      if (x(i) - room / 2 < lastLabel + 6) continue;
      lastLabel = x(i) + room / 2;
      drawn.push(
        svg("line", { class: "axis", x1: x(i), x2: x(i), y1: bottom, y2: bottom + 4 }),
        svg(
          "text",
          {
            class: "mono",
            x: Math.min(x(i), width - room / 2),
            y: bottom + 17,
            "text-anchor": "middle",
          },
          words,
        ),
      );
    }
    for (const note of this.data.notes || [])
      drawn.push(
        svg("line", {
          class: "softline",
          x1: x(note.i),
          x2: x(note.i),
          y1: top,
          y2: bottom,
          style: { stroke: css("warn") },
        }),
        svg(
          "text",
          {
            class: "warn lined",
            x: x(note.i) + (note.i > n / 2 ? -6 : 6),
            y: top + 10,
            "text-anchor": note.i > n / 2 ? "end" : "start",
          },
          note.text,
        ),
      );
    this.geometry = { left, step, x, bottom, top };
    this.overlay = svg(
      "svg",
      { width, height, "aria-hidden": "true" },
      drawn,
      svg("line", { class: "axis", x1: left, x2: width - right, y1: bottom, y2: bottom }),
      (this.spot = svg("line", { class: "cursor", y1: top - 4, y2: bottom })),
    );
    refill(this.body, this.overlay);
    this.mark();
  }
  mark() {
    if (!this.spot) return;
    const c = (this.hovered || this.cursor)[1];
    fill(this.spot, { x1: this.geometry.x(c), x2: this.geometry.x(c) }, []);
  }
  reveal() {
    const x = this.geometry.x(this.cursor[1]);
    if (x < this.body.scrollLeft + 60) this.body.scrollLeft = x - 80;
    else if (x > this.body.scrollLeft + this.body.clientWidth - 20)
      this.body.scrollLeft = x - this.body.clientWidth + 60;
  }
  hit(x) {
    if (!this.overlay) return null;
    const c = Math.floor(
      (x - this.overlay.getBoundingClientRect().left - this.geometry.left) / this.geometry.step,
    );
    return c >= 0 && c < this.columns ? [0, c] : null;
  }
}

// Round numbers within a range, about five.
function niceSteps(from, to) {
  const rough = (to - from) / 5,
    power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 2.5, 5, 10].find((x) => x * power >= rough),
    found = [];
  for (let k = Math.ceil(from / step - 1e-9); k * step <= to + 1e-9 * step; k++)
    found.push(Number((k * step).toPrecision(12)));
  return found;
}

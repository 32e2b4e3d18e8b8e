// Lines, dots or bars over a row of places; y linear or logarithmic.

const MARGIN = { left: 58, right: 14, top: 14, below: 26 };

// `data` has n places; series of {name, colour, kind, values}, of the kind line, dot, both or bar;
// log, percent, low and high of y; lines across {at, name}; marks {i, value}; notes {i, text};
// tick(i), the label of a place or null.
class Chart extends Picture {
  draw(data) {
    this.data = data;
    this.rows = 1;
    this.columns = data.n;
    this.layout();
    const swatch = ({ colour }) => el("i", { class: "swatch", style: { background: css(colour) } });
    const broken = data.broken > 0 &&
      `not drawn: NaN or infinite, ${count(data.broken, data.brokenOf || "number")}`;
    refill(
      this.below,
      el(
        "div",
        { class: "legend" },
        data.series.map((each) => el("span", {}, swatch(each), each.name)),
        data.words && el("span", {}, data.words),
        broken && el("span", { class: "warn" }, broken),
      ),
    );
    this.place([0, data.cursor || 0]);
    this.sight();
  }
  inSight(left, wide) {
    const at = (x) => clamp(Math.floor((x - MARGIN.left) / this.step), 0, this.columns - 1);
    return [at(left + 1), at(left + wide)];
  }

  layout() {
    const { n, least = 7, height = 230, series, lines = [], marks = [], notes = [] } = this.data;
    // names of lines stand beside bars, not on them
    this.right = series.some(({ kind }) => kind === "bar")
      ? Math.max(MARGIN.right, ...lines.map(({ name }) => 12 + 6.4 * name.length))
      : MARGIN.right;
    this.beside = this.right > MARGIN.right;
    const wide = (this.body.clientWidth || 320) - MARGIN.left - this.right - 10;
    const step = clamp(wide / Math.max(1, n), least, n < 8 ? 110 : 260);
    this.turn = this.turned(step);
    const [from, to] = this.range(),
      bottom = height - Math.max(MARGIN.below, this.turn);
    const scaled = (v) => ((this.data.log ? Math.log10(v) : v) - from) / (to - from);
    this.step = step;
    this.bottom = bottom;
    this.width = MARGIN.left + this.right + step * n;
    this.x = (i) => MARGIN.left + step * (i + 0.5);
    this.y = (v) => MARGIN.top + (bottom - MARGIN.top) * (1 - scaled(v));
    const bars = series.filter(({ kind }) => kind === "bar").length;
    this.overlay = svg(
      "svg",
      { width: this.width, height, "aria-hidden": "true" },
      this.grid(from, to),
      series.map((each, k) => (each.kind === "bar" ? this.bars(each, k, bars) : this.curve(each))),
      this.apart(lines.filter(({ at }) => Number.isFinite(at))).map((line) => this.line(line)),
      marks.map((mark) => this.flag(mark)),
      this.ticks(),
      notes.map((note) => this.note(note)),
      svg("line", { class: "axis", ...this.across(bottom) }),
      (this.spot = svg("line", { class: "cursor", y1: MARGIN.top - 4, y2: bottom })),
    );
    refill(this.body, this.overlay);
    this.mark();
  }

  shown(v) {
    return Number.isFinite(v) && (!this.data.log || v > 0);
  }
  across(y) {
    return { x1: MARGIN.left, x2: this.width - this.right, y1: y, y2: y };
  }

  // From where to where y goes: in powers of ten if it is logarithmic, else from 0 or below.
  range() {
    const { series, lines = [], log, low, high } = this.data;
    const all = [...series.flatMap(({ values }) => values), ...lines.map(({ at }) => at)].filter(
      (v) => this.shown(v),
    );
    if (!all.length) all.push(log ? 0.1 : 0, 1);
    let from = low === undefined ? Math.min(...all) : low;
    let to = high === undefined ? Math.max(...all) : high;
    if (log) {
      from = Math.floor(Math.log10(from) - 0.02);
      to = Math.ceil(Math.log10(to) + 0.02);
    } else if (low === undefined) from = Math.min(0, from);
    return [from, to === from ? from + 1 : to];
  }

  grid(from, to) {
    const { log, percent: fractions } = this.data;
    const every = Math.max(1, Math.ceil((to - from) / 6));
    const power = (k) => `1e${k < 0 ? "\u2212" : ""}${Math.abs(k)}`;
    const words = (v) => (fractions ? percent(v) : v >= 1e4 ? v.toLocaleString("en") : num(v, 2));
    const rules = log
      ? Array.from({ length: Math.floor((to - from) / every) + 1 }, (_, k) => from + k * every).map(
          (k) => [10 ** k, power(k)],
        )
      : niceSteps(from, to).map((v) => [v, words(v)]);
    return rules.map(([v, label]) => [
      svg("line", { class: "grid", ...this.across(this.y(v)) }),
      svg(
        "text",
        { class: "soft", x: MARGIN.left - 6, y: this.y(v) + 4, "text-anchor": "end" },
        label,
      ),
    ]);
  }

  bars({ values, colour }, k, of) {
    const width = Math.max(1, (this.step * 0.8) / of);
    const base = this.data.log ? this.bottom : this.y(0);
    return values.map(
      (v, i) =>
        this.shown(v) &&
        svg("rect", {
          style: { fill: css(colour) },
          x: this.x(i) - this.step * 0.4 + k * width,
          width: Math.max(0.8, width - 1),
          y: Math.min(this.y(v), base),
          height: Math.max(1, Math.abs(this.y(v) - base)),
        }),
    );
  }

  // A line that is broken where a number cannot be drawn, its dots, or both.
  curve({ values, colour, kind, dashed }) {
    const r = kind === "dot" || this.step > 9 ? 3.2 : 2.2,
      dots = [];
    let path = "",
      pen = "M";
    values.forEach((v, i) => {
      if (!this.shown(v)) {
        pen = "M";
        return;
      }
      path += `${pen}${this.x(i).toFixed(1)},${this.y(v).toFixed(1)}`;
      pen = "L";
      dots.push(svg("circle", { style: { fill: css(colour) }, cx: this.x(i), cy: this.y(v), r }));
    });
    const stroke = {
      fill: "none",
      stroke: css(colour),
      strokeWidth: 2,
      strokeDasharray: dashed ? "6 4" : "",
    };
    return [kind !== "dot" && svg("path", { d: path, style: stroke }), kind !== "line" && dots];
  }

  // Names beside the bars, with room between them.
  apart(lines) {
    if (!this.beside) return lines;
    const sorted = [...lines].sort((a, b) => b.at - a.at);
    let last = -Infinity;
    return sorted.map((line) => {
      last = Math.max(this.y(line.at) + 4, last + 14);
      return { ...line, y: last };
    });
  }
  line({ at, name, start, y }) {
    if (this.beside)
      return [
        svg("line", { class: "softline", ...this.across(this.y(at)) }),
        svg("text", { class: "soft", x: this.width - this.right + 6, y }, name),
      ];
    const x = start ? MARGIN.left + 6 : this.width - this.right - 4;
    const anchor = start ? "start" : "end";
    return [
      svg("line", { class: "softline", ...this.across(this.y(at)) }),
      svg("text", { class: "soft lined", x, y: this.y(at) - 4, "text-anchor": anchor }, name),
    ];
  }

  flag({ i, value, up, cross }) {
    const y = this.shown(value) ? this.y(value) + (up ? -9 : 9) : this.bottom - 8;
    const d = up ? "M-5,3L5,3L0,-5Z" : cross ? "M-5,-5L5,5M5,-5L-5,5" : "M-5,-3L5,-3L0,5Z";
    const style = cross ? { stroke: css("warn"), strokeWidth: 2.5 } : {};
    return svg("path", { class: "warnmark", transform: `translate(${this.x(i)} ${y})`, d, style });
  }

  note({ i, text }) {
    const late = i > this.data.n / 2,
      x = this.x(i);
    const style = { stroke: css("warn") },
      anchor = late ? "end" : "start";
    return [
      svg("line", { class: "softline", x1: x, x2: x, y1: MARGIN.top, y2: this.bottom, style }),
      svg(
        "text",
        { class: "warn lined", x: x + (late ? -6 : 6), y: MARGIN.top + 10, "text-anchor": anchor },
        text,
      ),
    ];
  }

  // The room below that labels need which are turned, since side by side they do not fit; else 0.
  turned(step) {
    const { n, tick = () => null } = this.data,
      all = Array.from({ length: n }, (_, i) => [i, tick(i)]).filter(([, words]) => words);
    const wide = (words) => 7.2 * [...words].length + 6;
    const tight = all.slice(1).filter(([i, words], k) => {
      const [j, before2] = all[k];
      return (i - j) * step < (wide(words) + wide(before2)) / 2;
    }).length;
    const near = all.slice(1).some(([i], k) => (i - all[k][0]) * step < 9);
    const longest = Math.max(0, ...all.map(([, words]) => Math.min(9, [...words].length)));
    // one or two that are left out, at an end, are no loss
    return tight > 2 && !near ? 14 + 7 * longest : 0;
  }

  // The labels below, turned, or those that have room beside the last one.
  ticks() {
    const { n, tick = () => null } = this.data,
      y = this.bottom,
      drawn = [];
    let end = -Infinity;
    for (let i = 0; i < n; i++) {
      const words = tick(i),
        x = this.x(i),
        half = words ? 3.6 * [...words].length : 0;
      if (words && this.turn) {
        drawn.push(
          svg("line", { class: "axis", x1: x, x2: x, y1: y, y2: y + 4 }),
          svg(
            "text",
            {
              class: "mono",
              transform: `translate(${x + 4} ${y + 8}) rotate(-90)`,
              "text-anchor": "end",
              style: { fontSize: `${clamp(this.step, 9, 11)}px` },
            },
            cut(words, 9),
          ),
        );
        continue;
      }
      if (!words || x - half < end + 6) continue;
      end = x + half;
      drawn.push(
        svg("line", { class: "axis", x1: x, x2: x, y1: y, y2: y + 4 }),
        svg(
          "text",
          { class: "mono", x: Math.min(x, this.width - half), y: y + 17, "text-anchor": "middle" },
          words,
        ),
      );
    }
    return drawn;
  }

  mark() {
    if (!this.spot) return;
    const x = this.x((this.hovered || this.cursor)[1]);
    fill(this.spot, { x1: x, x2: x }, []);
  }
  reveal() {
    const x = this.x(this.cursor[1]),
      { scrollLeft, clientWidth } = this.body;
    if (x < scrollLeft + 60) this.body.scrollLeft = x - 80;
    else if (x > scrollLeft + clientWidth - 20) this.body.scrollLeft = x - clientWidth + 60;
  }
  hit(x) {
    if (!this.overlay) return null;
    const inside = x - this.overlay.getBoundingClientRect().left - MARGIN.left;
    const c = Math.floor(inside / this.step);
    return c >= 0 && c < this.columns ? [0, c] : null;
  }
}

// Round numbers within a range, about five.
function niceSteps(from, to) {
  const rough = (to - from) / 5,
    power = 10 ** Math.floor(Math.log10(rough)),
    found = [];
  const step = power * [1, 2, 2.5, 5, 10].find((x) => x * power >= rough);
  for (let k = Math.ceil(from / step - 1e-9); k * step <= to + 1e-9 * step; k++)
    found.push(Number((k * step).toPrecision(12)));
  return found;
}

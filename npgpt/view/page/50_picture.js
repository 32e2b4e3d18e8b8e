// A picture: title, "as table" switch, the drawing, its legend, and a line that says in words and
// numbers what hover or focus points at. One tab stop; arrows move inside.

let pictures = 0;
class Picture {
  // `table()` gives {head: [...], rows: [[...]], selected: row}; `say(r, c)` a sentence; `move` is told
  // of a new cursor, `pick` of Enter or a click.
  constructor(options) {
    this.options = options;
    this.cursor = [0, 0];
    this.hovered = null;
    const id = `picture${pictures++}`;
    this.caption = el("figcaption", { id }, options.title || "");
    this.toggle = el("button", { type: "button", "aria-pressed": "false", onclick: () => this.flip() }, "As table");
    this.body = el("div", { class: "picture", tabindex: "0", role: "application", "data-picture": options.name,
      "aria-roledescription": "picture; arrow keys move, Enter opens, c copies", "aria-labelledby": id });
    this.readout = el("output", { class: "readout", "aria-live": "polite" });
    this.below = el("div", {});
    this.tableBox = el("div", { class: "scroll", tabindex: "0", role: "region", hidden: true, "aria-labelledby": id });
    this.root = el("figure", { "data-figure": options.name },
      el("div", { class: "head" }, this.caption, this.toggle), this.body, this.tableBox, this.below, this.readout);
    this.body.addEventListener("keydown", (event) => this.key(event));
    this.body.addEventListener("pointermove", (event) => this.point(event, false));
    this.body.addEventListener("pointerleave", () => { this.hovered = null; this.speak(); });
    this.body.addEventListener("click", (event) => this.point(event, true));
    this.body.addEventListener("focus", () => this.speak());
    this.columns = this.rows = 0;
  }
  title(...words) { refill(this.caption, ...words); }
  flip() {
    const shown = this.tableBox.hidden;
    this.tableBox.hidden = !shown;
    this.body.hidden = shown;
    this.toggle.setAttribute("aria-pressed", String(shown));
    this.fillTable();
  }
  fillTable() {
    if (this.tableBox.hidden) return;
    const { head, rows, selected, note } = this.options.table();
    refill(this.tableBox, note && el("p", { class: "small soft" }, note), el("table", {},
      el("thead", {}, el("tr", {}, head.map((cell) => el("th", { scope: "col" }, cell)))),
      el("tbody", {}, rows.map((row, r) => el("tr", { "aria-selected": r === selected ? "true" : null },
        row.map((cell, c) => c === 0 ? el("th", { scope: "row" }, shown(cell)) : el("td",
          { class: typeof cell === "string" && !/^[\d\u2212]/.test(cell) ? "text" : null,
            "data-number": typeof cell === "number" ? plainNumber(cell, 17) : null }, shown(cell))))))));
    function shown(cell) { return typeof cell === "number" ? num(cell) : cell; }
  }
  place(cursor) {         // where the shared selection is; the reader's own cursor follows it
    this.cursor = [clamp(cursor[0], 0, Math.max(0, this.rows - 1)), clamp(cursor[1], 0, Math.max(0, this.columns - 1))];
    this.mark();
    this.speak();
    this.fillTable();
  }
  speak() {
    if (!this.rows || !this.columns) { this.readout.textContent = ""; return; }
    this.readout.textContent = this.options.say(...(this.hovered || this.cursor));
    this.mark();
  }
  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    let [r, c] = this.cursor;
    const far = event.shiftKey ? 10 : 1;
    const moves = { ArrowUp: [-far, 0], ArrowDown: [far, 0], ArrowLeft: [0, -far], ArrowRight: [0, far],
      PageUp: [-10, 0], PageDown: [10, 0] };
    if (moves[event.key]) { r += moves[event.key][0]; c += moves[event.key][1]; }
    else if (event.key === "Home") { c = 0; if (event.shiftKey) r = 0; }
    else if (event.key === "End") { c = this.columns - 1; if (event.shiftKey) r = this.rows - 1; }
    else if (event.key === "Enter" || event.key === " ") { event.preventDefault(); this.options.pick && this.options.pick(...this.cursor); return; }
    else if (event.key === "c" && this.options.copied) { copy(this.options.copied(...this.cursor)); event.stopPropagation(); return; }
    else return;
    event.preventDefault();
    event.stopPropagation();
    this.hovered = null;
    this.go(r, c);
  }
  go(r, c) {
    this.cursor = [clamp(r, 0, this.rows - 1), clamp(c, 0, this.columns - 1)];
    if (this.options.move) this.options.move(...this.cursor);
    this.speak();
    this.reveal();
  }
  point(event, clicked) {
    const cell = this.hit(event.clientX, event.clientY);
    if (!cell) { this.hovered = null; return; }
    if (clicked) { this.hovered = null; this.go(...cell); if (this.options.pick) this.options.pick(...cell); }
    else { this.hovered = cell; this.speak(); }
  }
  hit() { return null; }
  mark() {}
  reveal() {}
}

// A heat map: pixels on a canvas, one a cell, scaled up; labels, marks and numbers in SVG above it.
class HeatMap extends Picture {
  draw(data) {
    this.data = data;
    this.rows = data.rows;
    this.columns = data.cols;
    this.layout();
    refill(this.below, legend(data.scale, data.words));
    this.place(data.cursor || this.cursor);
  }
  layout() {
    const { rows, cols, at, scale, rowLabel, colLabel, masked } = this.data;
    if (!rows || !cols) { refill(this.body); return; }
    const labels = Array.from({ length: rows }, (_, r) => rowLabel ? rowLabel(r) : String(r));
    const longest = Math.max(...labels.map((s) => [...s].length));
    this.left = Math.min(110, 14 + 7.3 * longest);
    const wide = Math.max(160, (this.body.clientWidth || 320) - 10 - this.left);
    this.width = clamp(wide / cols, this.data.square ? 7 : 2, this.data.square ? 34 : 48);
    if (this.width > 4) this.width = Math.floor(this.width);
    this.height = this.data.square ? this.width : clamp(Math.round(420 / rows), rows > 60 ? 5 : 9, 28);
    // numbers in the cells where every one of them fits
    let numbers = this.width >= 26 && this.height >= 13 && rows * cols < 900;
    for (let i = 0; numbers && i < rows * cols; i++) {
      const r = Math.floor(i / cols), c = i % cols;
      numbers = Boolean(masked && masked(r, c)) || 6.3 * num(at(r, c), 2).length <= this.width;
    }
    const widest = colLabel ? Math.max(...Array.from({ length: cols }, (_, c) => [...colLabel(c)].length)) : 0;
    const upright = colLabel && 7.3 * widest <= this.width;
    this.topSpace = !colLabel || upright || this.width < 7 ? 18 : 10 + 7.3 * Math.min(9, widest);
    const canvas = el("canvas", { width: cols, height: rows, "aria-hidden": "true", style: { position: "absolute",
      left: `${this.left + 4}px`, top: `${this.topSpace + 4}px`, width: `${this.width * cols}px`,
      height: `${this.height * rows}px`, imageRendering: "pixelated" } });
    const context = canvas.getContext("2d"), pixels = context.createImageData(cols, rows);
    const hatched = [], written = [];
    for (let r = 0; r < rows; r++) for (let c = 0; c < cols; c++) {
      if (masked && masked(r, c)) continue;
      const x = at(r, c);
      if (!Number.isFinite(x)) {
        const last = hatched[hatched.length - 1];
        if (last && last.r === r && last.c + last.n === c) last.n++;
        else hatched.push({ r, c, n: 1 });
        continue;
      }
      const colour = rgb(scale, x);
      pixels.data.set([...colour, 255], 4 * (r * cols + c));
      if (numbers) written.push(svg("text", { x: this.left + (c + 0.5) * this.width, y: this.topSpace + (r + 0.5) * this.height + 4,
        "text-anchor": "middle", style: { fill: inkOn(colour), fontSize: "10px" } }, num(x, 2)));
    }
    context.putImageData(pixels, 0, 0);
    const pattern = `hatch-${this.options.name}`;
    const every = Math.max(1, Math.ceil(11 / this.height));
    const across = Math.max(1, Math.ceil((colLabel ? 11 : 34) / this.width));
    this.overlay = svg("svg", { width: this.left + this.width * cols + 6, height: this.topSpace + this.height * rows + 6, style: { position: "relative" }, "aria-hidden": "true" },
      svg("defs", {}, svg("pattern", { id: pattern, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
        svg("rect", { width: 6, height: 6, style: { fill: css("paper") } }), svg("rect", { width: 2.5, height: 6, class: "warnmark" }))),
      hatched.map(({ r, c, n }) => svg("rect", { class: "hatched", x: this.left + c * this.width, y: this.topSpace + r * this.height,
        width: n * this.width, height: this.height, fill: `url(#${pattern})` })),
      labels.map((label, r) => r % every === 0 && svg("text", { class: "mono", x: this.left - 5, y: this.topSpace + (r + 0.5) * this.height + 4, "text-anchor": "end", style: { fontSize: "11px" } }, cut(label, 13))),
      Array.from({ length: cols }, (_, c) => c % across === 0 && (colLabel
        ? this.width >= 7 && svg("text", { class: "mono", transform: upright ? `translate(${this.left + (c + 0.5) * this.width} ${this.topSpace - 5})` : `translate(${this.left + (c + 0.5) * this.width + 4} ${this.topSpace - 4}) rotate(-90)`, "text-anchor": upright ? "middle" : "start", style: { fontSize: "11px" } }, cut(colLabel(c), 9))
        : svg("text", { class: "soft", x: this.left + c * this.width, y: this.topSpace - 4, style: { fontSize: "10px" } }, this.data.column ? this.data.column(c) : c))),
      written,
      this.spot = svg("rect", { fill: "none", stroke: css("ink"), "stroke-width": 2 }),
      this.halo = svg("rect", { fill: "none", stroke: css("paper"), "stroke-width": 1 }));
    refill(this.body, el("div", { style: { position: "relative", width: "max-content" } }, canvas, this.overlay));
    // the canvas stands under the drawing; both begin at the same corner
    canvas.style.left = `${this.left}px`;
    canvas.style.top = `${this.topSpace}px`;
    this.mark();
  }
  mark() {
    if (!this.spot) return;
    const [r, c] = this.hovered || this.cursor;
    const box = (rect, grow) => fill(rect, { x: this.left + c * this.width - grow, y: this.topSpace + r * this.height - grow,
      width: this.width + 2 * grow, height: this.height + 2 * grow }, []);
    box(this.spot, 1.5);
    box(this.halo, 0);
  }
  reveal() {
    const x = this.left + this.cursor[1] * this.width;
    if (x < this.body.scrollLeft + this.left) this.body.scrollLeft = x - this.left;
    else if (x + this.width > this.body.scrollLeft + this.body.clientWidth) this.body.scrollLeft = x + this.width - this.body.clientWidth + 8;
  }
  hit(x, y) {
    if (!this.overlay) return null;
    const box = this.overlay.getBoundingClientRect();
    const c = Math.floor((x - box.left - this.left) / this.width), r = Math.floor((y - box.top - this.topSpace) / this.height);
    return r >= 0 && c >= 0 && r < this.rows && c < this.columns ? [r, c] : null;
  }
}
const cut = (label, most) => [...label].length > most ? [...label].slice(0, most - 1).join("") + "\u2026" : label;

// Lines, dots or bars over a row of places; y linear or logarithmic.
class Chart extends Picture {
  draw(data) {
    this.data = data;
    this.rows = 1;
    this.columns = data.n;
    this.layout();
    refill(this.below, el("div", { class: "legend" }, data.series.map((s) => el("span", {},
      el("i", { class: "swatch", style: { background: css(s.colour) } }), s.name)), data.words && el("span", {}, data.words),
      data.broken > 0 && el("span", { class: "warn" }, `not drawn: NaN or infinite, ${data.broken}`)));
    this.place([0, data.cursor || 0]);
  }
  layout() {
    const { n, series, log, tick, marks, lines, height = 230, low, high, least = 7 } = this.data;
    const left = 58, right = 14, top = 14, tall = this.data.tall || 26;
    const step = clamp(((this.body.clientWidth || 320) - left - right - 10) / Math.max(1, n), least, n < 8 ? 110 : 260);
    const width = left + right + step * n;
    const all = series.flatMap((s) => s.values).concat((lines || []).map((line) => line.at))
      .filter((x) => Number.isFinite(x) && (!log || x > 0));
    let from = low !== undefined ? low : Math.min(...all), to = high !== undefined ? high : Math.max(...all);
    if (!all.length) { from = log ? 0.1 : 0; to = 1; }
    if (log) { from = Math.floor(Math.log10(from) - 0.02); to = Math.ceil(Math.log10(to) + 0.02); }
    else if (low === undefined) from = Math.min(0, from);
    if (to === from) to = from + 1;
    const y = (x) => top + (height - top - tall) * (1 - ((log ? Math.log10(x) : x) - from) / (to - from));
    const x = (i) => left + step * (i + 0.5);
    const bottom = height - tall, drawn = [];
    const shown = (v) => Number.isFinite(v) && (!log || v > 0);
    const every = Math.max(1, Math.ceil((to - from) / 6));
    const rules = log ? Array.from({ length: to - from + 1 }, (_, k) => from + k).filter((k) => (k - from) % every === 0).map((k) => [10 ** k, `1e${k < 0 ? "\u2212" : ""}${Math.abs(k)}`])
      : niceSteps(from, to).map((v) => [v, this.data.percent ? percent(v) : v >= 1e4 ? v.toLocaleString("en") : num(v, 2)]);
    for (const [v, words] of rules) drawn.push(
      svg("line", { class: "grid", x1: left, x2: width - right, y1: y(v), y2: y(v) }),
      svg("text", { class: "soft", x: left - 6, y: y(v) + 4, "text-anchor": "end" }, words));
    series.forEach((s, k) => {
      const bars = series.filter((other) => other.kind === "bar").length;
      if (s.kind === "bar") s.values.forEach((v, i) => {
        if (!shown(v)) return;
        const w = Math.max(1, (step * 0.8) / bars), base = log ? bottom : y(clamp(0, from, to));
        drawn.push(svg("rect", { style: { fill: css(s.colour) }, x: x(i) - step * 0.4 + k * w, width: Math.max(0.8, w - 1), y: Math.min(y(v), base), height: Math.max(1, Math.abs(y(v) - base)) }));
      });
      else {
        let path = "";
        s.values.forEach((v, i) => {
          if (!shown(v)) { path += " "; return; }
          path += `${path === "" || path.endsWith(" ") ? "M" : "L"}${x(i).toFixed(1)},${y(v).toFixed(1)}`;
          if (s.kind !== "line") drawn.push(svg("circle", { style: { fill: css(s.colour) }, cx: x(i), cy: y(v), r: s.kind === "dot" || step > 9 ? 3.2 : 2.2 }));
        });
        if (s.kind !== "dot") drawn.push(svg("path", { d: path, style: { fill: "none", stroke: css(s.colour), strokeWidth: 2, strokeDasharray: s.dashed ? "6 4" : "" } }));
      }
    });
    for (const line of (lines || []).filter((each) => Number.isFinite(each.at))) drawn.push(
      svg("line", { class: "softline", x1: left, x2: width - right, y1: y(line.at), y2: y(line.at) }),
      svg("text", { class: "soft lined", x: line.start ? left + 6 : width - right - 4, y: y(line.at) - 4, "text-anchor": line.start ? "start" : "end" }, line.name));
    for (const mark of marks || []) {
      const at = !shown(mark.value) ? bottom - 8 : y(mark.value) + (mark.up ? -9 : 9);
      drawn.push(svg("path", { class: "warnmark", transform: `translate(${x(mark.i)} ${at})`,
        d: mark.up ? "M-5,3L5,3L0,-5Z" : mark.cross ? "M-5,-5L5,5M5,-5L-5,5" : "M-5,-3L5,-3L0,5Z", style: mark.cross ? { stroke: css("warn"), strokeWidth: 2.5 } : {} }));
    }
    let lastLabel = -99;
    for (let i = 0; i < n; i++) {
      const words = tick ? tick(i) : null;
      if (!words) continue;
      const room = 7.2 * [...words].length;
      if (x(i) - room / 2 < lastLabel + 6) continue;
      lastLabel = x(i) + room / 2;
      drawn.push(svg("line", { class: "axis", x1: x(i), x2: x(i), y1: bottom, y2: bottom + 4 }),
        svg("text", { class: "mono", x: Math.min(x(i), width - room / 2), y: bottom + 17, "text-anchor": "middle" }, words));
    }
    for (const note of this.data.notes || []) drawn.push(
      svg("line", { class: "softline", x1: x(note.i), x2: x(note.i), y1: top, y2: bottom, style: { stroke: css("warn") } }),
      svg("text", { class: "warn lined", x: x(note.i) + (note.i > n / 2 ? -6 : 6), y: top + 10, "text-anchor": note.i > n / 2 ? "end" : "start" }, note.text));
    this.geometry = { left, step, x, bottom, top };
    this.overlay = svg("svg", { width, height, "aria-hidden": "true" }, drawn,
      svg("line", { class: "axis", x1: left, x2: width - right, y1: bottom, y2: bottom }),
      this.spot = svg("line", { class: "cursor", y1: top - 4, y2: bottom }));
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
    else if (x > this.body.scrollLeft + this.body.clientWidth - 20) this.body.scrollLeft = x - this.body.clientWidth + 60;
  }
  hit(x) {
    if (!this.overlay) return null;
    const c = Math.floor((x - this.overlay.getBoundingClientRect().left - this.geometry.left) / this.geometry.step);
    return c >= 0 && c < this.columns ? [0, c] : null;
  }
}

// Round numbers within a range, about five.
function niceSteps(from, to) {
  const rough = (to - from) / 5, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 2.5, 5, 10].find((x) => x * power >= rough), found = [];
  for (let k = Math.ceil(from / step - 1e-9); k * step <= to + 1e-9 * step; k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}

// Roving tabindex over buttons: one tab stop, arrows between them.
function rove(container, columns) {
  const items = () => [...container.querySelectorAll("button")];
  container.addEventListener("keydown", (event) => {
    const all = items(), i = all.indexOf(document.activeElement);
    if (i < 0) return;
    const wide = columns ? columns() : 1;
    const to = { ArrowRight: i + 1, ArrowLeft: i - 1, ArrowDown: i + wide, ArrowUp: i - wide, Home: 0, End: all.length - 1 }[event.key];
    if (to === undefined || !all[clamp(to, 0, all.length - 1)]) return;
    event.preventDefault();
    event.stopPropagation();
    const next = all[clamp(to, 0, all.length - 1)];
    for (const item of all) item.tabIndex = item === next ? 0 : -1;
    next.focus();
  });
  return (chosen) => items().forEach((item, i) => { item.tabIndex = i === chosen ? 0 : -1; });
}

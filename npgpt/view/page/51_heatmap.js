// A heat map: pixels on a canvas, one a cell, scaled up; labels, marks and numbers in SVG above it.
class HeatMap extends Picture {
  draw(data) {
    this.data = data;
    this.rows = data.rows;
    this.places = data.square ? "keys" : data.colLabel ? "columns" : "channels";
    this.columns = data.cols;
    this.layout();
    refill(this.below, legend(data.scale, data.words));
    this.place(data.cursor || this.cursor);
    this.sight();
  }
  inSight(left, wide) {
    const at = (x) => clamp(Math.floor((x - this.left) / this.width), 0, this.columns - 1);
    return [at(left + this.left), at(left + wide - 1)];
  }
  layout() {
    const { rows, cols, at, scale, rowLabel, colLabel, masked, beside = [] } = this.data;
    if (!rows || !cols) {
      refill(this.body);
      return;
    }
    const labels = Array.from({ length: rows }, (_, r) => (rowLabel ? rowLabel(r) : String(r)));
    const longest = Math.max(...labels.map((s) => [...s].length));
    this.left = Math.min(110, 14 + 7.3 * longest);
    const wide = Math.max(160, (this.body.clientWidth || 320) - 16 - this.left);
    this.width = clamp(wide / cols, this.data.square ? 8 : 2, this.data.square ? 34 : 48);
    if (this.width > 4) this.width = Math.floor(this.width);
    this.height = this.data.square
      ? this.width
      : clamp(Math.round(420 / rows), rows > 60 ? 5 : 9, 28);
    // numbers in the cells where every one of them fits
    let numbers = this.width >= 26 && this.height >= 13 && rows * cols < 900;
    for (let i = 0; numbers && i < rows * cols; i++) {
      const r = Math.floor(i / cols),
        c = i % cols;
      numbers = Boolean(masked && masked(r, c)) ||
        [at, ...beside].every((each) => 6.3 * num(each(r, c), 2).length <= this.width);
    }
    const widest = colLabel
      ? Math.max(...Array.from({ length: cols }, (_, c) => [...colLabel(c)].length))
      : 0;
    const upright = colLabel && 7.3 * widest <= this.width;
    this.topSpace = !colLabel || upright || this.width < 7 ? 18 : 10 + 7.3 * Math.min(9, widest);
    const canvas = el("canvas", {
      width: cols,
      height: rows,
      "aria-hidden": "true",
      style: {
        position: "absolute",
        left: `${this.left + 4}px`,
        top: `${this.topSpace + 4}px`,
        width: `${this.width * cols}px`,
        height: `${this.height * rows}px`,
        imageRendering: "pixelated",
      },
    });
    const context = canvas.getContext("2d"),
      pixels = context.createImageData(cols, rows);
    const hatched = [],
      written = [];
    for (let r = 0; r < rows; r++)
      for (let c = 0; c < cols; c++) {
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
        if (numbers)
          written.push(
            svg(
              "text",
              {
                x: this.left + (c + 0.5) * this.width,
                y: this.topSpace + (r + 0.5) * this.height + 4,
                "text-anchor": "middle",
                style: { fill: inkOn(colour), fontSize: "10px" },
              },
              num(x, 2),
            ),
          );
      }
    context.putImageData(pixels, 0, 0);
    const pattern = `hatch-${this.options.name}`;
    // labels of tokens are made smaller before some are left out
    const every = Math.max(1, Math.ceil(8 / this.height));
    const across = Math.max(1, Math.ceil((colLabel ? 8 : 34) / this.width));
    const small = (room) => `${clamp(room, 8, 11)}px`;
    this.overlay = svg(
      "svg",
      {
        width: this.left + this.width * cols + 6,
        height: this.topSpace + this.height * rows + 6,
        style: { position: "relative" },
        "aria-hidden": "true",
      },
      svg(
        "defs",
        {},
        svg(
          "pattern",
          {
            id: pattern,
            width: 6,
            height: 6,
            patternUnits: "userSpaceOnUse",
            patternTransform: "rotate(45)",
          },
          svg("rect", { width: 6, height: 6, style: { fill: css("paper") } }),
          svg("rect", { width: 2.5, height: 6, class: "warnmark" }),
        ),
      ),
      hatched.map(({ r, c, n }) =>
        svg("rect", {
          class: "hatched",
          x: this.left + c * this.width,
          y: this.topSpace + r * this.height,
          width: n * this.width,
          height: this.height,
          fill: `url(#${pattern})`,
        }),
      ),
      labels.map(
        (label, r) =>
          r % every === 0 &&
          svg(
            "text",
            {
              class: "mono",
              x: this.left - 5,
              y: this.topSpace + (r + 0.5) * this.height + 4,
              "text-anchor": "end",
              style: { fontSize: small(this.height) },
            },
            cut(label, 13),
          ),
      ),
      Array.from(
        { length: cols },
        (_, c) =>
          c % across === 0 &&
          (colLabel
            ? this.width >= 7 &&
              svg(
                "text",
                {
                  class: "mono",
                  transform: upright
                    ? `translate(${this.left + (c + 0.5) * this.width} ${this.topSpace - 5})`
                    : `translate(${this.left + (c + 0.5) * this.width + 4} ${this.topSpace - 4}) ` +
                      "rotate(-90)",
                  "text-anchor": upright ? "middle" : "start",
                  style: { fontSize: upright ? "11px" : small(this.width) },
                },
                cut(colLabel(c), 9),
              )
            : svg(
                "text",
                {
                  class: "soft",
                  // the last one ends with the picture
                  ...((cols - c) * this.width < 24
                    ? { x: this.left + cols * this.width + 4, "text-anchor": "end" }
                    : { x: this.left + c * this.width }),
                  y: this.topSpace - 4,
                  style: { fontSize: "10px" },
                },
                this.data.column ? this.data.column(c) : c,
              )),
      ),
      written,
      (this.spot = svg("rect", { fill: "none", stroke: css("ink"), "stroke-width": 2 })),
      (this.halo = svg("rect", { fill: "none", stroke: css("paper"), "stroke-width": 1 })),
    );
    refill(
      this.body,
      el("div", { style: { position: "relative", width: "max-content" } }, canvas, this.overlay),
    );
    // the canvas stands under the drawing; both begin at the same corner
    canvas.style.left = `${this.left}px`;
    canvas.style.top = `${this.topSpace}px`;
    this.mark();
  }
  mark() {
    if (!this.spot) return;
    const [r, c] = this.hovered || this.cursor;
    const box = (rect, grow) =>
      fill(
        rect,
        {
          x: this.left + c * this.width - grow,
          y: this.topSpace + r * this.height - grow,
          width: this.width + 2 * grow,
          height: this.height + 2 * grow,
        },
        [],
      );
    box(this.spot, 1.5);
    box(this.halo, 0);
  }
  reveal() {
    const x = this.left + this.cursor[1] * this.width;
    if (x < this.body.scrollLeft + this.left) this.body.scrollLeft = x - this.left;
    else if (x + this.width > this.body.scrollLeft + this.body.clientWidth)
      this.body.scrollLeft = x + this.width - this.body.clientWidth + 8;
  }
  hit(x, y) {
    if (!this.overlay) return null;
    const box = this.overlay.getBoundingClientRect();
    const c = Math.floor((x - box.left - this.left) / this.width),
      r = Math.floor((y - box.top - this.topSpace) / this.height);
    return r >= 0 && c >= 0 && r < this.rows && c < this.columns ? [r, c] : null;
  }
}
const cut = (label, most) =>
  [...label].length > most ? [...label].slice(0, most - 1).join("") + "\u2026" : label;

// A picture: title, "as table" switch, the drawing, its legend, and a line that says in words and
// numbers what hover or focus points at. One tab stop; arrows move inside.

let pictures = 0;
class Picture {
  // `table()` gives {head: [...], rows: [[...]], selected: row}, `say(r, c)` a sentence; `move` is
  // called with a new cursor, `open` at Enter.
  constructor(options) {
    this.options = options;
    this.cursor = [0, 0];
    this.hovered = null;
    const id = `picture${pictures++}`;
    this.caption = el("figcaption", { id }, options.title || "");
    this.toggle = el(
      "button",
      { type: "button", "aria-pressed": "false", onclick: () => this.flip() },
      "As table",
    );
    this.body = el("div", {
      class: "picture",
      tabindex: "0",
      role: "application",
      "data-picture": options.name,
      "aria-roledescription": "picture; arrow keys move, Enter opens, c copies",
      "aria-labelledby": id,
    });
    this.readout = el("output", { class: "readout", "aria-live": "polite" });
    this.below = el("div", {});
    // what of a picture that is wider than the page is in sight
    this.more = el("p", { class: "soft small more", hidden: true });
    this.body.addEventListener("scroll", () => this.sight());
    this.tableBox = el("div", {
      class: "scroll",
      tabindex: "0",
      role: "region",
      hidden: true,
      "aria-labelledby": id,
    });
    this.root = el(
      "figure",
      { "data-figure": options.name },
      el("div", { class: "head" }, this.caption, this.toggle),
      this.body,
      this.more,
      this.tableBox,
      this.below,
      this.readout,
    );
    this.body.addEventListener("keydown", (event) => this.key(event));
    this.body.addEventListener("pointermove", (event) => this.point(event, false));
    this.body.addEventListener("pointerleave", () => {
      this.hovered = null;
      this.speak();
    });
    this.body.addEventListener("click", (event) => this.point(event, true));
    this.body.addEventListener("focus", () => this.speak());
    this.columns = this.rows = 0;
  }
  title(...words) {
    refill(this.caption, ...words);
  }
  flip() {
    const shown = this.tableBox.hidden;
    this.tableBox.hidden = !shown;
    this.body.hidden = shown;
    this.toggle.setAttribute("aria-pressed", String(shown));
    this.fillTable();
    this.sight();
  }
  fillTable() {
    if (this.tableBox.hidden) return;
    const { head, rows, selected, note } = this.options.table();
    refill(
      this.tableBox,
      note && el("p", { class: "small soft" }, note),
      el(
        "table",
        {},
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            head.map((cell) => el("th", { scope: "col" }, cell)),
          ),
        ),
        el(
          "tbody",
          {},
          rows.map((row, r) =>
            el(
              "tr",
              { "aria-selected": r === selected ? "true" : null },
              row.map((cell, c) =>
                c === 0
                  ? el("th", { scope: "row" }, shown(cell))
                  : el(
                      "td",
                      {
                        class:
                          typeof cell === "string" && !/^[\d\u2212]/.test(cell) ? "text" : null,
                        "data-number": typeof cell === "number" ? plainNumber(cell, 17) : null,
                      },
                      shown(cell),
                    ),
              ),
            ),
          ),
        ),
      ),
    );
    function shown(cell) {
      return typeof cell === "number" ? num(cell) : cell;
    }
  }
  place(cursor) {
    // where the shared selection is; the reader's own cursor follows it
    this.cursor = [
      clamp(cursor[0], 0, Math.max(0, this.rows - 1)),
      clamp(cursor[1], 0, Math.max(0, this.columns - 1)),
    ];
    this.mark();
    this.speak();
    this.fillTable();
  }
  speak() {
    if (!this.rows || !this.columns) {
      this.readout.textContent = "";
      return;
    }
    this.readout.textContent = this.options.say(...(this.hovered || this.cursor));
    this.mark();
  }
  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    let [r, c] = this.cursor;
    const far = event.shiftKey ? 10 : 1;
    const moves = {
      ArrowUp: [-far, 0],
      ArrowDown: [far, 0],
      ArrowLeft: [0, -far],
      ArrowRight: [0, far],
      PageUp: [-10, 0],
      PageDown: [10, 0],
    };
    if (moves[event.key]) {
      r += moves[event.key][0];
      c += moves[event.key][1];
    } else if (event.key === "Home") {
      c = 0;
      if (event.shiftKey) r = 0;
    } else if (event.key === "End") {
      c = this.columns - 1;
      if (event.shiftKey) r = this.rows - 1;
    } else if (event.key === "Enter" || event.key === " ") {
      event.preventDefault();
      if (this.options.open) this.options.open(...this.cursor);
      return;
    } else if (event.key === "c" && this.options.copied) {
      copy(this.options.copied(...this.cursor));
      event.stopPropagation();
      return;
    } else return;
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
    if (!cell) {
      this.hovered = null;
      return;
    }
    if (clicked) {
      this.hovered = null;
      this.go(...cell);
    } else {
      this.hovered = cell;
      this.speak();
    }
  }
  sight() {
    const { scrollWidth, clientWidth, scrollLeft } = this.body;
    this.more.hidden = this.body.hidden || scrollWidth <= clientWidth + 2;
    if (this.more.hidden) return;
    const [first, last] = this.inSight(scrollLeft, clientWidth);
    this.more.textContent =
      last === undefined
        ? "Wider than the page: scroll sideways."
        : `${this.places || "places"} ${first} to ${last} of ${this.columns}: scroll sideways.`;
  }
  inSight() {
    return [];
  }
  hit() {
    return null;
  }
  mark() {}
  reveal() {}
}

// Roving tabindex over buttons: one tab stop, arrows between them.
function rove(container, columns) {
  const items = () => [...container.querySelectorAll("button")];
  container.addEventListener("keydown", (event) => {
    const all = items(),
      i = all.indexOf(document.activeElement);
    if (i < 0) return;
    const wide = columns ? columns() : 1;
    const to = {
      ArrowRight: i + 1,
      ArrowLeft: i - 1,
      ArrowDown: i + wide,
      ArrowUp: i - wide,
      Home: 0,
      End: all.length - 1,
    }[event.key];
    if (to === undefined || !all[clamp(to, 0, all.length - 1)]) return;
    event.preventDefault();
    event.stopPropagation();
    const next = all[clamp(to, 0, all.length - 1)];
    for (const item of all) item.tabIndex = item === next ? 0 : -1;
    next.focus();
  });
  return (chosen) =>
    items().forEach((item, i) => {
      item.tabIndex = i === chosen ? 0 : -1;
    });
}

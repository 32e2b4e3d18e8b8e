// The page: head, selection, views, keys, theme.

const updates = new Map();
// a comparison and a check are there only when they were asked for
const given = () =>
  VIEWS.filter(({ id }) => (id !== "compare" || before) && (id !== "check" || trace.payload.check));
let serial = 0,
  liveText = null; // what was traced last, where a server computes

function load(payload) {
  trace = new Trace(payload);
  trace.serial = ++serial;
  before = payload.before ? new Trace(payload.before) : null;
  updates.clear();
  listeners.length = 0;
  refill(
    $("main"),
    given().map(({ id, title }) =>
      el("section", { id: `view-${id}`, "aria-label": title, hidden: true }, el("h2", {}, title)),
    ),
  );
  drawHead();
  drawFoot();
  listeners.push(render);
}
function drawHead() {
  const m = trace.meta;
  refill(
    $("top"),
    el(
      "div",
      { class: "bar" },
      el("h1", {}, m.model, m.step ? ` at step ${m.step}` : m.trained ? "" : ", untrained"),
      el(
        "div",
        { class: "tools" },
        el("button", { type: "button", id: "tour", onclick: startTour }, "Tour"),
        el("button", { type: "button", id: "theme", onclick: nextTheme }, themeName()),
        el("button", { type: "button", id: "help", "aria-label": "keys", onclick: showKeys }, "?"),
      ),
      el(
        "p",
        {},
        `Loss ${num(real(trace.payload.loss))} nats, the mean of ` +
          `${count(predictions().length, "prediction")} in ${count(trace.length, "token")}. ` +
          `${typeof m.text === "string" ? `Text: ${cut(m.text, 60)}. ` : ""}`,
        m.exact ? "Numbers are exact." : "Numbers are rounded to 3 digits.",
      ),
    ),
  );
  if (m.live) drawLiveText();
  const pick = (id, label, change) =>
    el(
      "label",
      {},
      label,
      el("select", { id: `pick-${id}`, onchange: (event) => select(change(event.target.value)) }),
    );
  refill(
    $("sticky"),
    el(
      "nav",
      { "aria-label": "views" },
      el(
        "ul",
        {},
        given().map(({ id, title }, i) =>
          el(
            "li",
            {},
            el(
              "a",
              {
                href: `#view=${id}`,
                "data-view": id,
                onclick: (event) => {
                  event.preventDefault();
                  go(id);
                },
              },
              i && i < 10 ? `${i} ${title}` : title,
            ),
          ),
        ),
      ),
    ),
    el(
      "div",
      { class: "chosen", role: "region", "aria-label": "selection, shared by all views" },
      pick("layer", "Layer", (x) => ({ layer: real(x) })),
      pick("head", "Head", (x) => ({ head: real(x) })),
      pick("pos", "Position", (x) => ({ pos: real(x) })),
      pick("entry", "Entry", (x) => ({ entry: x })),
    ),
  );
  options(
    $("pick-layer"),
    Array.from({ length: trace.layers }, (_, i) => [i, String(i)]),
    state.layer,
  );
  options(
    $("pick-head"),
    Array.from({ length: trace.heads }, (_, i) => [i, String(i)]),
    state.head,
  );
  options(
    $("pick-pos"),
    trace.payload.tokens.map((_, i) => [i, `${i} ${trace.token(i)}`]),
    state.pos,
  );
  options(
    $("pick-entry"),
    trace.entries.map((e) => [e.name, e.name]),
    state.entry,
  );
}
const predictions = () => trace.payload.targets.filter(({ id }) => id !== null);
const tracedText = () =>
  liveText !== null
    ? liveText
    : trace.meta.input || trace.payload.tokens.map((t) => t.text).join("");
function drawLiveText() {
  const notice = el("p", { class: "warn small", role: "alert", id: "text-error" });
  const text = el(
    "textarea",
    {
      rows: 1,
      cols: 40,
      id: "text",
      "aria-label": "text to trace",
      "aria-describedby": "text-error",
    },
    tracedText(),
  );
  $("top").append(
    el(
      "div",
      { class: "bar" },
      el("label", { class: "small" }, "Trace another text ", text),
      el(
        "button",
        {
          type: "button",
          id: "retrace",
          onclick: async () => {
            $("retrace").disabled = true;
            const asked = text.value,
              given = await ask("trace", { text: asked }, notice);
            $("retrace").disabled = false;
            if (given) {
              liveText = asked;
              load(given);
              select({});
              toast("traced anew by NumPy");
            }
          },
        },
        "Trace",
      ),
      notice,
    ),
  );
}
function drawFoot() {
  const m = trace.meta;
  refill(
    $("foot"),
    el(
      "div",
      {},
      el(
        "p",
        {},
        `npgpt ${m.version}. Made by `,
        el("code", {}, m.command),
        `; ${m.dtype}, digest of the parameters ${m.digest}` +
          `${m.created ? `, ${m.created}` : ""}. The page asks ` +
          `${m.live ? "this machine alone" : "for nothing from the network"}.`,
      ),
      (m.left_out || []).length > 0 &&
        el("p", {}, "Left out: ", m.left_out.map(sentence).join(" ")),
    ),
  );
}
function ensure(id) {
  if (updates.has(id)) return updates.get(id);
  const made = VIEWS.find((each) => each.id === id).build($(`view-${id}`));
  updates.set(id, made || (() => {}));
  return updates.get(id);
}
function render() {
  const valid = given().some(({ id }) => id === state.view) ? state.view : (state.view = "start");
  for (const { id } of given()) $(`view-${id}`).hidden = id !== valid;
  document
    .querySelectorAll("nav a")
    .forEach((a) =>
      a.dataset.view === valid
        ? a.setAttribute("aria-current", "page")
        : a.removeAttribute("aria-current"),
    );
  const current = document.querySelector("nav a[aria-current]"),
    list = current && current.closest("ul");
  if (list && list.scrollWidth > list.clientWidth)
    list.scrollLeft = current.offsetLeft - list.offsetLeft - 40;
  for (const name of ["layer", "head", "pos", "entry"])
    $(`pick-${name}`).value = String(state[name]);
  document.title = `${VIEWS.find(({ id }) => id === valid).title}: ${trace.meta.model}`;
  ensure(valid)({});
}
const THEMES = ["system", "light", "dark"];
const theme = () => document.documentElement.dataset.theme || "system";
const themeName = () => `Theme: ${theme()}`;
function nextTheme() {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  $("theme").textContent = themeName();
  repaint();
}
function repaint() {
  // colours that scripts chose must be chosen again
  trace.serial = ++serial;
  for (const { id } of VIEWS)
    if (updates.has(id)) {
      updates.delete(id);
      refill($(`view-${id}`), el("h2", {}, VIEWS.find((v) => v.id === id).title));
    }
  render();
}
function showKeys() {
  const rows = [
    ["\u2190 \u2191 \u2192 \u2193", "move inside a picture; Shift moves by ten"],
    ["Home, End", "first and last column"],
    ["Enter", "open what the cursor is on"],
    ["c", "copy the number with its NumPy index"],
    [", .", "one step back or on along the tape"],
    ["0 to 9", "the views, in order"],
    ["t", "the next theme"],
    ["Esc", "back to where it was opened from; close; leave the tour"],
    ["?", "this list"],
  ];
  dialog(
    "Keys",
    el(
      "table",
      {},
      el(
        "tbody",
        {},
        rows.map(([keys, words]) =>
          el(
            "tr",
            {},
            el("th", { scope: "row" }, el("kbd", {}, keys)),
            el("td", { class: "text" }, words),
          ),
        ),
      ),
    ),
    el(
      "p",
      {},
      "Tab goes from one picture to the next. Every picture can be read as a table. " +
        "The address always holds the selection: a copied link shows what you see.",
    ),
  );
}
document.addEventListener("keydown", (event) => {
  if (
    event.altKey ||
    event.ctrlKey ||
    event.metaKey ||
    document.querySelector("dialog[open]") ||
    /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)
  )
    return;
  const links = [...document.querySelectorAll("nav a")];
  if (/^[0-9]$/.test(event.key) && links[real(event.key)]) go(links[real(event.key)].dataset.view);
  else if (event.key === "?") showKeys();
  else if (event.key === "t") nextTheme();
  else if (event.key === "Escape" && history.state && history.state.opened) history.back();
  else if (event.key === ",") select({ step: Math.max(0, state.step - 1) });
  else if (event.key === ".") select({ step: state.step + 1 });
});
addEventListener("hashchange", () => select(fromHash()));
addEventListener("popstate", () => select(fromHash()));
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth !== width) {
    width = innerWidth;
    repaint();
  }
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => repaint());
let shownTheme;
addEventListener("beforeprint", () => {
  // every view, on white paper
  shownTheme = theme();
  document.documentElement.dataset.theme = "light";
  printing = true;
  repaint();
  for (const { id } of given()) {
    $(`view-${id}`).hidden = false;
    ensure(id)({});
  }
});
addEventListener("afterprint", () => {
  printing = false;
  if (shownTheme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = shownTheme;
  repaint();
});

load(JSON.parse($("trace").textContent));
const asked = fromHash();
select({ ...opening(asked), ...asked });

// What is chosen where the address does not say: where a NaN begins, a layer's entry, the start.
function opening({ entry, step, layer, view: wanted = "start" }) {
  const bad = (trace.payload.flow.first_not_finite || "").replace("the gradient of ", ""),
    found = brokenParameter() ? { param: brokenParameter().name } : {},
    usual = `h.${layer || 0}.attn.c_proj`;
  if (entry !== undefined || step !== undefined) return found;
  if (layer === undefined && trace.entry(bad)) return { ...found, entry: bad, ...brokenCell(bad) };
  if (layer === undefined && ["start", "tape"].includes(wanted)) return { ...found, step: 0 };
  return trace.entry(usual) ? { ...found, entry: usual } : found;
}
function brokenCell(name) {
  const tensor = trace.tensor(name, 0),
    at = (array) => (array ? array.findIndex((x) => !Number.isFinite(x)) : -1),
    i = tensor ? Math.max(at(tensor.value), at(tensor.gradient)) : -1;
  if (i < 0) return {};
  const [pos, cell] = [Math.floor(i / tensor.cols), i % tensor.cols];
  return tensor.square ? { pos, key: cell } : { pos, cell };
}

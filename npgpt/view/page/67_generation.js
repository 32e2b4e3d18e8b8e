// View 7: generation step by step; what temperature, top-k and top-p cut; the cache growing.

// `notice` is where a mistake is said: at the field that it was made in.
async function ask(path, body, notice) {
  if (notice) notice.textContent = "";
  try {
    const answer = await fetch(`/${path}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    const given = await answer.json();
    if (!answer.ok) throw new Error(given.error || answer.statusText);
    return given;
  } catch (error) {
    if (notice) notice.textContent = error.message;
    else toast(error.message, 8);
    return null;
  }
}

view("generation", "Generation", (root) => {
  let g = trace.payload.generation,
    at = 0;
  const caption = el("p", { class: "caption" }),
    about = el("p", { class: "caption" }),
    controls = el("div", { class: "controls" }),
    notes = el("p", { class: "soft small" });
  const text = el("div", { class: "tokens", role: "group", "aria-label": "generated tokens" }),
    chosen = rove(text);
  const settings = { temperature: 1, top_k: 0, top_p: 1 };
  const list = () => g.steps[at].candidates;
  const candidates = new Chart({
    name: "generation-candidates",
    title: "",
    say: (_, i) => sayCandidate(i),
    table: () => {
      const c = cuts();
      return {
        head: ["token", "logit", "model\u2019s own", "at this temperature", "drawn from", "cut by"],
        selected: list().findIndex((x) => x.id === chosenId()),
        rows: list().map((x, i) => [
          x.show,
          real(x.logit),
          real(x.p),
          c.warm[i],
          c.final[i],
          c.by[i],
        ]),
      };
    },
  });
  const cache = new Chart({
    name: "generation-cache",
    title: "",
    move: (_, i) => choose(i),
    say: (_, i) =>
      `step ${i + 1}: read ${g.steps[i].read}, the cache holds ${g.steps[i].cache} ` +
      `positions, ${g.steps[i].bytes.toLocaleString("en")} bytes`,
    table: () => ({
      head: ["step", "new tokens read", "positions in the cache", "bytes"],
      selected: at,
      rows: g.steps.map((s, i) => [String(i + 1), s.read, s.cache, s.bytes]),
    }),
  });
  const chosenId = () => (g.steps[at].chosen !== undefined ? g.steps[at].chosen : g.steps[at].id);
  const choose = (i) => {
    at = clamp(i, 0, g.steps.length - 1);
    update();
  };
  const numberInput = (name, low, high, step2) =>
    el("input", {
      type: "number",
      min: low,
      max: high,
      step: step2,
      value: settings[name],
      "aria-label": name.replace("_", "-"),
      onchange: (event) => {
        const x = real(event.target.value);
        settings[name] = Number.isFinite(x) ? clamp(x, low, high) : settings[name];
        event.target.value = settings[name];
        update();
      },
    });
  const warmth = el("input", {
    type: "range",
    min: 0,
    max: 1,
    step: 1,
    "aria-label": "temperature",
    oninput: () => {
      settings.temperature = real(g.temperatures[real(warmth.value)]);
      update();
    },
  });
  const shownWarmth = el("output", {});

  // The temperature is one of a grid, for which the page has the sum over all tokens: exact.
  const asDrawn = () =>
    settings.temperature === real(g.settings.temperature) &&
    settings.top_k === (real(g.settings.top_k) || 0) &&
    settings.top_p === (g.settings.top_p === null ? 1 : real(g.settings.top_p));
  function cuts() {
    if (asDrawn())
      return {
        warm: list().map((c) => real(c.warm)),
        final: list().map((c) => real(c.final)),
        kept: g.steps[at].kept.top_p,
        more: false,
        by: list().map((c) => (!c.top_k ? "top-k" : !c.top_p ? "top-p" : "")),
      };
    const step = g.steps[at],
      k = g.temperatures.findIndex((x) => real(x) === settings.temperature),
      lse = real(step.lse[k]);
    const warm = list().map((c) => Math.exp(real(c.logit) / settings.temperature - lse)),
      order = rank(warm);
    const by = list().map(() => ""),
      limit = settings.top_k > 0 ? settings.top_k : Infinity;
    let sum = 0;
    const top = order.filter((i, place) => {
      if (place >= limit) by[i] = "top-k";
      return place < limit;
    });
    const mass =
      limit === Infinity || limit > order.length ? 1 : top.reduce((s, i) => s + warm[i], 0);
    const kept = top.filter((i) => {
      const before2 = sum;
      sum += warm[i] / mass;
      if (before2 >= settings.top_p) by[i] = "top-p";
      return before2 < settings.top_p;
    });
    const whole = kept.length === order.length ? mass : kept.reduce((s, i) => s + warm[i], 0);
    const final = list().map((_, i) => (by[i] ? 0 : warm[i] / whole));
    return {
      warm,
      by,
      final,
      kept: kept.length,
      more: kept.length === order.length && order.length < step.kept.all,
    };
  }
  function sayCandidate(i) {
    const c = cuts(),
      x = list()[i];
    return (
      `${x.show}: logit ${num(real(x.logit))}, the model\u2019s own probability ` +
      `${percent(real(x.p))}, at temperature ${settings.temperature} ` +
      `${percent(c.warm[i])}, ` +
      `${c.by[i] ? `cut by ${c.by[i]}` : `drawn with ${percent(c.final[i])}`}` +
      `${x.id === chosenId() ? "; this one was drawn" : ""}`
    );
  }
  function fresh() {
    Object.assign(settings, {
      temperature: real(g.settings.temperature),
      top_k: real(g.settings.top_k) || 0,
      top_p: g.settings.top_p === null ? 1 : real(g.settings.top_p),
    });
    if (!g.temperatures.some((x) => real(x) === settings.temperature))
      settings.temperature = nearest(g.temperatures, settings.temperature);
    at = 0;
    warmth.max = g.temperatures.length - 1;
    refill(
      controls,
      el("button", { type: "button", onclick: () => choose(at - 1) }, "\u25c0 step"),
      el("button", { type: "button", onclick: () => choose(at + 1) }, "step \u25b6"),
      el("label", {}, "temperature ", warmth, " ", shownWarmth),
      el("label", {}, "top-k ", numberInput("top_k", 0, trace.config.vocab_size, 1)),
      el("label", {}, "top-p ", numberInput("top_p", 0.05, 1, 0.05)),
    );
  }
  const nearest = (grid, x) =>
    grid.map(real).reduce((a, b) => (Math.abs(b - x) < Math.abs(a - x) ? b : a));
  const liveBox = el("div", {});
  root.append(caption, liveBox);
  if (trace.meta.live) drawLive();
  const pictures = [text, about, controls, candidates.root, notes, cache.root];
  root.append(...pictures);
  function drawLive() {
    const prompt = el(
      "textarea",
      { rows: 2, cols: 50, "aria-label": "text to continue" },
      tracedText(),
    );
    const notice = el("p", { class: "warn small", role: "alert" });
    const many = el("input", {
      type: "number",
      min: 1,
      max: 64,
      value: 16,
      "aria-label": "tokens",
    });
    liveBox.append(
      el(
        "div",
        { class: "controls" },
        prompt,
        el("label", {}, "tokens ", many),
        el(
          "button",
          {
            type: "button",
            id: "generate",
            onclick: async () => {
              const answer = await ask("generate", {
                text: prompt.value,
                tokens: real(many.value),
                temperature: settings.temperature,
                top_k: settings.top_k || null,
                top_p: settings.top_p,
                seed: 0,
              }, notice);
              if (answer && answer.generation) {
                g = answer.generation;
                fresh();
                update();
              }
            },
          },
          "Generate",
        ),
      ),
      notice,
    );
  }
  if (g && g.steps && g.steps.length) fresh();
  function update() {
    const none = !g || !g.steps || !g.steps.length;
    for (const picture of pictures) picture.hidden = none;
    if (none) {
      refill(caption, (g && g.reason) || "Nothing was generated for this page.");
      return;
    }
    const step = g.steps[at],
      c = cuts(),
      kept = step.kept,
      drawn = list().findIndex((x) => x.id === chosenId());
    const risky = g.steps.map((s, i) => [real(s.p), i]).reduce((a, b) => (b[0] < a[0] ? b : a));
    refill(
      caption,
      `The model continued the text by ${count(g.steps.length, "token")}. Look how ` +
        `few of ${kept.all} tokens are left to draw from: at step ${at + 1} top-k ` +
        "leaves ",
      el("b", {}, String(kept.top_k)),
      " and top-p then ",
      el("b", {}, String(kept.top_p)),
      `, cutting ${percent(real(step.cut.top_k))} and ` +
        `${percent(real(step.cut.top_p))} of the probability; the boldest choice was `,
      token(g.steps[risky[1]].show),
      ` at step ${risky[1] + 1}, which the model gave `,
      el("b", {}, percent(risky[0])),
      ".",
    );
    const focused = text.contains(document.activeElement);
    refill(
      text,
      g.steps.map((s, i) =>
        el(
          "button",
          {
            type: "button",
            "aria-pressed": String(i === at),
            "aria-label": `${s.show}${percent(real(s.p))}, step ${i + 1}`,
            onclick: () => choose(i),
          },
          s.show,
          el("small", {}, percent(real(s.p))),
        ),
      ),
    );
    chosen(at);
    if (focused) text.querySelectorAll("button")[at].focus();
    warmth.value = g.temperatures.findIndex((x) => real(x) === settings.temperature);
    shownWarmth.textContent = settings.temperature.toFixed(1);
    refill(
      about,
      `Step ${at + 1} of ${g.steps.length}: `,
      token(step.show),
      ` was drawn, which the model gave ${percent(real(step.p))}` +
        `${drawn >= 0 ? `, and ${percent(real(list()[drawn].final))} after the cuts` : ""}` +
        `. The prediction\u2019s entropy is ${num(real(step.entropy))} nats.`,
      asDrawn()
        ? ""
        : ` With the settings below, ${c.more ? `at least ${c.kept}` : c.kept} of the ` +
            `${list().length} shown would be left.`,
    );
    candidates.title(
      "Candidates: the model\u2019s own probability, and what is drawn from after " +
        "temperature, top-k and top-p",
    );
    candidates.draw({
      n: list().length,
      percent: true,
      least: 30,
      cursor: Math.max(0, drawn),
      series: [
        {
          name: "model\u2019s own",
          colour: "edge",
          kind: "bar",
          values: list().map((x) => real(x.p)),
        },
        { name: "drawn from", colour: "loss", kind: "bar", values: c.final },
      ],
      tick: (i) => (list()[i].id === chosenId() ? `[${list()[i].show}]` : list()[i].show),
    });
    refill(
      notes,
      `Drawn with temperature ${g.settings.temperature}, top-k ` +
        `${g.settings.top_k === null ? "off" : g.settings.top_k}, top-p ` +
        `${g.settings.top_p === null ? "off" : g.settings.top_p}, seed ` +
        `${g.settings.seed}. Moving the settings shows what they would cut at this ` +
        "step; the tokens stay those that were drawn. ",
      c.more ? "What lies beyond the shown tokens is counted in none of the cuts." : "",
    );
    cache.title(
      `The cache of keys and values ${g.cache.shape}, ` +
        `${g.cache.bytes_per_token.toLocaleString("en")} bytes a token, of at most ` +
        `${g.context} positions`,
    );
    cache.draw({
      n: g.steps.length,
      least: 14,
      height: 170,
      series: [
        {
          name: "bytes in the cache",
          colour: "value",
          kind: "bar",
          values: g.steps.map((s) => s.bytes),
        },
      ],
      cursor: at,
      tick: (i) => String(i + 1),
    });
  }
  return update;
});

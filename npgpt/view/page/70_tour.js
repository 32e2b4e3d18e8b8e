// A tour of ten steps, off by default; where it was left is remembered while the page is open.

const TOUR = [
  [
    "start",
    ".tokens",
    () =>
      "This is one text, read once forward and once backward. Each button is a token; " +
      "the number under it is what the next token cost the model, in nats.",
  ],
  [
    "tape",
    "[data-figure=tape]",
    () =>
      `Every operation wrote one entry on the tape, ${trace.entries.length} in all. ` +
      "Drag the scrubber, or press the arrow keys: forward to the right, then " +
      "backward along the same names.",
  ],
  [
    "tensor",
    "[data-figure=tensor-value]",
    () =>
      "An entry is a tensor. Its values stand on the left, the gradient of the loss " +
      "for each of them on the right. Arrow keys move from cell to cell.",
  ],
  [
    "tensor",
    "#formula",
    () =>
      "Below is the layer\u2019s formula with this cell\u2019s own numbers put in, " +
      "forward and backward. The layer\u2019s name opens its text.",
  ],
  [
    "flow",
    "[data-figure=flow-stream]",
    () =>
      "The gradient travels from right to left along the residual stream. A falling " +
      "line to the left is a vanishing gradient.",
  ],
  [
    "flow",
    "[data-figure=flow-ways]",
    () =>
      "At each half block it splits in two: some passes through the residual " +
      "connection, some through the branch. Take the residual connections away, and " +
      "everything must pass through the branches.",
  ],
  [
    "attention",
    "[data-figure=heads]",
    () =>
      "One cell a head. Its colour is the weight that it puts on the previous token; " +
      "the list above has other measures. Pick a bright one and look at its pattern " +
      "below.",
  ],
  [
    "entropy",
    "[data-figure=entropy-heads]",
    () =>
      "Entropy says how widely a head looks: 0 for one token, 1 for all that it may " +
      "see alike. The bound is lower than ln T, since the first positions see few " +
      "tokens.",
  ],
  [
    "tokens",
    "[data-figure=loss]",
    () =>
      "What was surprising? Choose a tall bar: below stands the gradient of that one " +
      "position, and through which layer most of it went.",
  ],
  [
    "parameters",
    "[data-figure=ratios]",
    () =>
      "Last, what the optimizer makes of it: the next update of each parameter beside " +
      "its size. Around 1e\u22123 is usual. That is the whole way from a text to a " +
      "training step.",
  ],
];
let tourAt = 0,
  tourBox = null;

function startTour() {
  if (tourBox) return;
  tourBox = el("div", { class: "tour", role: "dialog", "aria-label": "guided tour" });
  tourBox.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    endTour();
  });
  document.body.append(tourBox);
  showTour();
}
function showTour() {
  const [id, selector, words] = TOUR[tourAt];
  if (state.view !== id) go(id);
  document.querySelectorAll(".toured").forEach((each) => each.classList.remove("toured"));
  const target = document.querySelector(`#view-${id} ${selector}`);
  if (target) {
    target.classList.add("toured");
    target.scrollIntoView({ block: "start" });
    scrollBy(0, -Math.min(160, innerHeight / 5));
  }
  const button = (label, act, off) =>
    el("button", { type: "button", disabled: off, onclick: act }, label);
  refill(
    tourBox,
    el("b", {}, `Step ${tourAt + 1} of ${TOUR.length}`),
    el("p", { "aria-live": "polite" }, words()),
    el(
      "div",
      { class: "tools" },
      button(
        "Back",
        () => {
          tourAt--;
          showTour();
        },
        tourAt === 0,
      ),
      " ",
      button(tourAt === TOUR.length - 1 ? "Done" : "Next", () => {
        if (tourAt === TOUR.length - 1) {
          tourAt = 0;
          endTour();
        } else {
          tourAt++;
          showTour();
        }
      }),
      " ",
      button("Leave", endTour),
    ),
  );
  tourBox.querySelectorAll("button")[1].focus({ preventScroll: true });
}
function endTour() {
  document.querySelectorAll(".toured").forEach((each) => each.classList.remove("toured"));
  if (tourBox) tourBox.remove();
  tourBox = null;
  const opener = $("tour");
  if (opener) opener.focus();
}

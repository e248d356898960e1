/* Denoising: the texts of all models side by side, and a slider over their steps. The records hold the
   step at which each position last changed; until then a dot stands in its place. */
"use strict";
(() => {
function explorer(details, real) {
  const models = details.map(one => JSON.parse(one.querySelector("script").textContent));
  for (const model of models) model.grids = model.grids.filter(grid => grid.traces.length);
  const counts = [...new Set(models.flatMap(model => model.grids.map(grid => grid.steps)))].sort((a, b) => a - b);
  const most = Math.max(...models.flatMap(model => model.grids.map(grid => grid.traces.length)));
  const chosen = {steps: counts.at(-1), text: 0, step: counts.at(-1)};
  const slider = element("input", {type: "range", min: 0});
  const output = element("output");
  const choice = (label, values, named, change) => {
    const made = element("select", {}, ...values.map(value => element("option", {value, textContent: named(value)})));
    made.addEventListener("change", () => { change(Number(made.value)); show(); });
    return [made, element("label", {}, `${label} `, made)];
  };
  const [grid, gridLabel] = choice("Steps", counts, String, value => { chosen.steps = chosen.step = value; });
  grid.value = chosen.steps;
  const [, textLabel] = choice("Text", [...Array(most).keys()], at => String(at + 1), value => { chosen.text = value; });
  const play = element("button", {type: "button", textContent: "▶ Play"});
  const cards = models.map(model => {
    const text = element("blockquote"), note = element("p", {className: "note"});
    const card = element("article", {}, element("h3", {textContent: model.title}), note, text);
    return {model, card, note, text};
  });

  const quotes = real ? [...real.querySelectorAll("blockquote")] : [];
  const quote = element("blockquote");
  const beside = quotes.length ? [element("article", {}, ...[...real.querySelectorAll("h3, .note")].map(one => one.cloneNode(true)), quote)] : [];

  function show() {
    if (quotes.length) quote.textContent = quotes[chosen.text % quotes.length].textContent;
    slider.max = chosen.steps;
    slider.value = chosen.step;
    const said = `step ${chosen.step} of ${chosen.steps}`;
    slider.setAttribute("aria-valuetext", said);
    output.textContent = said;
    for (const {model, note, text} of cards) {
      const near = model.grids.find(one => one.steps === chosen.steps) ?? model.grids.at(-1);
      const trace = near.traces[Math.min(chosen.text, near.traces.length - 1)];
      const last = Math.max(near.steps, ...trace.steps);
      const now = Math.round(chosen.step / chosen.steps * last), before = Math.round((chosen.step - 1) / chosen.steps * last);
      note.textContent = near.note + (near.steps === chosen.steps ? "" : ` (${near.steps} steps)`);
      text.replaceChildren(...trace.pieces.map((piece, at) => {
        const known = trace.steps[at] <= now;
        const fresh = known && chosen.step > 0 && trace.steps[at] > before;
        return element("span", {className: known ? (fresh ? "fresh" : "known") : "open", textContent: known ? piece : "·".repeat([...piece].length)});
      }));
    }
  }

  let timer = null;
  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "▶ Play";
  };
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (chosen.step >= chosen.steps) chosen.step = 0;
    play.textContent = "❚❚ Pause";
    timer = setInterval(() => {
      chosen.step = Math.min(chosen.steps, chosen.step + 1);
      show();
      if (chosen.step >= chosen.steps) stop();
    }, Math.max(60, Math.min(500, 6000 / chosen.steps)));
    show();
  });
  slider.addEventListener("input", () => { stop(); chosen.step = Number(slider.value); show(); });
  const controls = element("div", {className: "controls"}, play, element("label", {className: "steps"}, "Denoising ", slider), output, gridLabel, textLabel);
  const row = element("div", {className: "row texts", tabIndex: 0}, ...beside, ...cards.map(({card}) => card));
  row.setAttribute("role", "region");
  row.setAttribute("aria-label", "Texts of all models");
  const hint = element("p", {className: "note", textContent: "A dot is a position that still changes; a position lights up at the step that decides it."});
  const whole = element("div", {className: "explorer"}, element("h3", {textContent: "How a text comes about"}), controls, row, hint);
  details[0].before(whole);
  show();
}

for (const section of document.querySelectorAll("main > section")) {
  const traced = [...section.querySelectorAll("details.passages")].filter(one => one.querySelector("script"));
  if (!traced.length) continue;
  explorer(traced, section.querySelector("details[data-real]"));
  for (const one of section.querySelectorAll("details.passages")) one.open = false;
}
})();

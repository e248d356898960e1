/* Charts: each figure is drawn again from the rows beside it when it comes into sight. Colors are
   those of the figure's files, by the place of a name in their order; the style sheet holds them. */
"use strict";
(() => {
const PALETTE = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#5d4e9d", "#444444"];
const DASHES = [[1, 0], [5, 1.5], [1.5, 1.2], [6, 1.5, 1.5, 1.5]];
const MARKS = ["circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right", "stroke"];
const FEW = 16, MANY_LEVELS = 8;
const T95 = [12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.306, 2.2622, 2.2281, 2.201, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.093, 2.086];
const SEEN = "indexof(hidden, datum.group) < 0";
const LABEL = "abs(datum.value) >= 1e6 ? format(datum.value / 1e6, '~g') + ' M' : abs(datum.value) >= 1e3 ? format(datum.value / 1e3, '~g') + ' k' : format(datum.value, '~g')";

const unique = values => [...new Set(values)];
const known = value => value !== null && Number.isFinite(value);
const title = axis => axis.label;
const short = value => known(value) ? Number(value.toPrecision(4)).toLocaleString("en", {maximumSignificantDigits: 4}).replace("-", "−") : "–";

function mean(values) {
  const n = values.length, m = values.reduce((a, b) => a + b, 0) / n;
  const se = n > 1 ? Math.sqrt(values.reduce((a, v) => a + (v - m) ** 2, 0) / (n - 1) / n) : NaN;
  return {n, mean: m, se, half: n > 1 ? se * (T95[n - 2] ?? 1.96) : NaN};
}

function grouped(rows, ...keys) {
  const groups = new Map();
  for (const row of rows) {
    const key = JSON.stringify(keys.map(k => row[k]));
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(row);
  }
  return [...groups.values()];
}

/* The color that a name of the style sheet has now, in light or dark. */
function computed(value) {
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.color = value;
  const color = getComputedStyle(probe).color;
  probe.remove();
  return color;
}
const tint = place => computed(`var(--c-${PALETTE[place % PALETTE.length].slice(1)}, ${PALETTE[place % PALETTE.length]})`);

function axis(from, place, look = {}) {
  const scale = from.log ? {type: "log", nice: false, padding: 10} : {type: "linear", zero: false, nice: false, padding: 10};
  return {field: place, type: "quantitative", title: title(from), scale, axis: {labelExpr: LABEL, tickCount: 6, ...look}};
}

const colored = (names, colors) => ({field: "group", type: "nominal", legend: null, scale: {domain: names, range: names.map((_, at) => colors[at])}});
const tips = titles => Object.entries(titles).map(([field, label]) => ({field, title: label, type: "nominal"}));
const zoom = (...encodings) => ({name: "zoom", select: {type: "interval", encodings, zoom: "wheel![event.ctrlKey || event.metaKey]"}, bind: "scales"});

function interval(values, band) {
  const known = mean(values);
  const se = band && band[0] === "se";
  const low = se ? known.mean - band[1] * (known.se || 0) : Math.min(...values);
  const high = se ? known.mean + band[1] * (known.se || 0) : Math.max(...values);
  return {...known, low, high};
}

/* Rows less those of another variant at the same place and seed. */
function lessened(rows, base, x, y) {
  const place = row => JSON.stringify([row[x], row.seed]);
  const level = new Map(rows.filter(row => row.variant === base).map(row => [place(row), row[y]]));
  return rows.filter(row => level.has(place(row)) && known(row[y])).map(row => ({...row, [y]: row[y] - level.get(place(row))}));
}

function lines(given, all, state) {
  const x = given.x.key, y = given.y.key;
  const chart = state.base ? {...given, y: {...given.y, label: `${given.y.label}, less ${state.base}`, log: false}} : given;
  const rows = state.base ? lessened(all, state.base, x, y) : all;
  const order = chart.order.length ? chart.order : unique(all.map(row => row.variant));
  const there = order.filter(name => rows.some(row => row.variant === name));
  const places = there.map(name => order.indexOf(name));
  const points = grouped(rows.filter(row => known(row[y])), "variant", x).map(group => {
    const all = interval(group.map(row => row[y]), chart.band);
    const spread = all.n > 1 ? `${short(all.low)} to ${short(all.high)}, ${all.n} seeds` : "one run";
    return {group: group[0].variant, x: group[0][x], mean: all.mean, low: all.low, high: all.high, at: short(group[0][x]), text: short(all.mean), spread};
  });
  const few = unique(points.map(point => point.x)).length <= FEW;
  const values = unique(points.map(point => point.x)).sort((a, b) => a - b);
  const look = chart.x.log && values.length <= MANY_LEVELS ? {values} : {};
  const base = {x: axis(chart.x, "x", look), color: colored(there, places.map(tint))};
  const dash = {field: "group", type: "nominal", legend: null, scale: {domain: there, range: places.map(at => DASHES[(at + Math.floor(at / PALETTE.length)) % 4])}};
  const faint = {condition: {test: "focus && datum.group !== focus", value: 0.12}, value: 1};
  const named = {group: "run", at: title(chart.x), text: title(chart.y), spread: chart.band && chart.band[0] === "se" ? "± s.e." : "range"};
  return {
    groups: there.map((name, at) => ({name, color: tint(places[at]), dash: DASHES[(places[at] + Math.floor(places[at] / PALETTE.length)) % 4]})),
    spec: {
      data: {values: points},
      transform: [{filter: SEEN}],
      layer: [
        {mark: {type: "area", opacity: 0.14}, encoding: {...base, y: axis(chart.y, "low"), y2: {field: "high"}, opacity: {condition: {test: "focus && datum.group !== focus", value: 0.02}, value: 0.14}}},
        {mark: {type: "line", strokeWidth: 2}, params: [zoom("x", "y")], encoding: {...base, y: axis(chart.y, "mean"), strokeDash: dash, opacity: faint}},
        {
          mark: {type: "point", filled: true, size: 70},
          params: [{name: "near", select: {type: "point", on: "pointerover", clear: "pointerout", nearest: true}}],
          encoding: {...base, y: axis(chart.y, "mean"), tooltip: tips(named), opacity: {condition: {param: "near", empty: false, value: 1}, value: few ? 0.85 : 0}},
        },
      ],
    },
  };
}

function by_variant(chart, rows) {
  const x = chart.x.key, kind = chart.color;
  const there = (chart.order.length ? chart.order : unique(rows.map(row => row.variant))).filter(name => rows.some(row => row.variant === name));
  const kinds = kind === "variant" && chart.order.length ? chart.order : unique(rows.map(row => row[kind]));
  const seeds = rows.filter(row => known(row[x]));
  const means = grouped(seeds, "variant").map(group => {
    const all = mean(group.map(row => row[x]));
    const text = all.n > 1 ? `${short(all.mean)} [${short(all.mean - all.half)}, ${short(all.mean + all.half)}]` : short(all.mean);
    return {variant: group[0].variant, group: group[0][kind], mean: all.mean, low: all.mean - all.half, high: all.mean + all.half, n: all.n, text};
  });
  const sorted = means.map(row => row.mean).sort((a, b) => a - b), half = sorted.length / 2;
  const median = sorted.length % 2 ? sorted[Math.floor(half)] : (sorted[half - 1] + sorted[half]) / 2;
  const far = chart.x.log || !sorted.length ? Infinity : 2 * median;
  const beyond = row => far > 0 && row.mean > far;
  const away = new Set(means.filter(beyond).map(row => row.variant));
  const near = means.filter(row => !beyond(row));
  const dots = seeds.filter(row => !away.has(row.variant)).map(row => ({variant: row.variant, group: row[kind], x: row[x], seed: String(row.seed), text: short(row[x])}));
  const y = {field: "variant", type: "nominal", title: null, scale: {domain: there}, axis: {labelLimit: 210, grid: false, ticks: false, domain: false}};
  const color = colored(kinds, kinds.map((_, at) => tint(at)));
  const end = {titleAnchor: "end"};
  const said = {variant: "variant", text: `${title(chart.x)}, mean [95 % interval]`, n: "seeds"};
  return {
    groups: kind === "variant" ? [] : kinds.map((name, at) => ({name, color: tint(at)})),
    height: 60 + there.length * (there.length <= FEW / 2 ? 34 : 25),
    spec: {
      transform: [{filter: SEEN}],
      layer: [
        {data: {values: near.filter(row => row.n > 1)}, mark: {type: "rule", strokeWidth: 7, opacity: 0.3}, encoding: {y, color, x: axis(chart.x, "low", end), x2: {field: "high"}, tooltip: tips(said)}},
        {data: {values: near}, params: [zoom("x")], mark: {type: "tick", thickness: 3, size: 18}, encoding: {y, color, x: axis(chart.x, "mean", end), tooltip: tips(said)}},
        {data: {values: dots}, mark: {type: "circle", size: 48, opacity: 0.95, stroke: computed("var(--card)"), strokeWidth: 1}, encoding: {y, color, x: axis(chart.x, "x", end), tooltip: tips({variant: "variant", seed: "seed", text: title(chart.x)})}},
        {data: {values: means.filter(beyond).map(row => ({...row, arrow: `${short(row.mean)} →`}))}, mark: {type: "text", align: "right"}, encoding: {y, color, x: {value: "width"}, text: {field: "arrow"}, tooltip: tips(said)}},
      ],
    },
  };
}

function heatmap(chart, rows) {
  const [down, right, value] = [chart.row.key, chart.column.key, chart.value.key];
  const cells = grouped(rows, down, right).map(group => {
    const all = group.map(row => row[value]).filter(known), lost = group.length - all.length;
    const m = all.length ? mean(all).mean : null;
    return {row: String(group[0][down]), column: String(group[0][right]), mean: m, text: all.length ? (lost ? [m.toPrecision(2), `${lost}/${group.length} lost`] : m.toPrecision(2)) : "lost", said: short(m), runs: `${all.length} of ${group.length}`};
  });
  const means = cells.map(cell => cell.mean).filter(m => known(m) && (!chart.value.log || m > 0));
  const [low, high] = [Math.min(...means), Math.max(...means)];
  const dark = chart.value.log ? Math.sqrt(low * high) * (high / low) ** 0.175 : low + 0.675 * (high - low);
  const base = {
    x: {field: "column", type: "nominal", title: title(chart.column), sort: null, axis: {labelAngle: 0}},
    y: {field: "row", type: "nominal", title: title(chart.row), sort: null},
    tooltip: tips({row: title(chart.row), column: title(chart.column), said: title(chart.value), runs: "runs with a number"}),
  };
  return {
    groups: [],
    spec: {
      data: {values: cells},
      layer: [
        {mark: {type: "rect", stroke: computed("var(--card)"), strokeWidth: 2}, encoding: {...base, color: {condition: {test: "datum.mean === null", value: computed("var(--line)")}, field: "mean", type: "quantitative", title: title(chart.value), scale: {type: chart.value.log ? "log" : "linear", scheme: "yellowgreenblue"}, legend: {orient: "bottom", gradientLength: 220, titleLimit: 400}}}},
        {mark: {type: "text", fontSize: 11}, encoding: {...base, text: {field: "text"}, color: {condition: [{test: "datum.mean === null", value: computed("var(--ink)")}, {test: `datum.mean > ${dark}`, value: "#fafafa"}], value: "#111111"}}},
      ],
    },
  };
}

function pareto(chart, rows) {
  const [cost, quality] = [chart.cost.key, chart.quality.key];
  const kinds = unique(rows.map(row => row[chart.color])), shapes = unique(rows.map(row => row[chart.shape]));
  const points = grouped(rows, "variant").filter(group => group.every(row => known(row[quality]))).map(group => {
    const all = mean(group.map(row => row[quality])), x = mean(group.map(row => row[cost])).mean;
    const text = all.n > 1 ? `${short(all.mean)} [${short(all.mean - all.half)}, ${short(all.mean + all.half)}]` : short(all.mean);
    return {variant: group[0].variant, group: group[0][chart.color], shape: group[0][chart.shape], x, mean: all.mean, low: all.mean - all.half, high: all.mean + all.half, n: all.n, at: short(x), text};
  });
  const sign = chart.quality.more ? -1 : 1;
  const beats = (a, b) => a.x <= b.x && sign * a.mean <= sign * b.mean && (a.x < b.x || a.mean !== b.mean);
  for (const point of points) point.best = !points.some(other => beats(other, point));
  const color = colored(kinds, kinds.map((_, at) => tint(at)));
  const shape = {field: "shape", type: "nominal", scale: {domain: shapes, range: shapes.map((_, at) => MARKS[at % MARKS.length])}, legend: chart.shape === chart.color || shapes.length < 2 ? null : {title: null, orient: "bottom"}};
  const base = {x: axis(chart.cost, "x"), color};
  return {
    groups: kinds.map((name, at) => ({name, color: tint(at)})),
    spec: {
      data: {values: points},
      transform: [{filter: SEEN}],
      layer: [
        {transform: [{filter: "datum.best"}], mark: {type: "line", strokeWidth: 1.4, color: computed("var(--soft)")}, encoding: {x: base.x, y: axis(chart.quality, "mean")}},
        {mark: {type: "rule", strokeWidth: 3, opacity: 0.3}, transform: [{filter: "datum.n > 1"}], encoding: {...base, y: axis(chart.quality, "low"), y2: {field: "high"}}},
        {mark: {type: "point", filled: true}, params: [zoom("x", "y")], encoding: {...base, y: axis(chart.quality, "mean"), shape, size: {condition: {test: "datum.best", value: 130}, value: 70}, opacity: {condition: {test: "focus && datum.group !== focus", value: 0.12}, value: 0.9}, tooltip: tips({variant: "variant", at: title(chart.cost), text: `${title(chart.quality)}, mean [95 % interval]`, n: "seeds"})}},
      ],
    },
  };
}

const PLOTS = {lines, by_variant, heatmap, pareto};

function theme() {
  const ink = computed("var(--ink)"), soft = computed("var(--soft)"), line = computed("var(--line)");
  const font = getComputedStyle(document.querySelector(".files") ?? document.body).fontFamily;
  return {
    background: "transparent", font, aria: false,
    view: {stroke: null},
    axis: {labelColor: soft, titleColor: ink, gridColor: line, domainColor: soft, tickColor: soft, labelFontSize: 12, titleFontSize: 12.5, titleFontWeight: 500, labelOverlap: true},
    legend: {labelColor: ink, titleColor: ink, titleFontWeight: 500},
    text: {color: ink, fontSize: 12},
  };
}

/* Buttons that show and hide the runs of a chart, and point one out. */
function legend(chart, groups) {
  const state = chart.state;
  const bar = element("div", {className: "legend"});
  bar.setAttribute("role", "group");
  bar.setAttribute("aria-label", "Show or hide");
  for (const {name, color, dash} of groups) {
    const key = element("span", {className: "swatch"});
    key.style.setProperty("--tint", color);
    if (dash && dash[1]) key.classList.add("dashed");
    const button = element("button", {type: "button"}, key, String(name));
    button.setAttribute("aria-pressed", String(!state.hidden.has(name)));
    button.addEventListener("click", () => {
      if (!state.hidden.delete(name)) state.hidden.add(name);
      button.setAttribute("aria-pressed", String(!state.hidden.has(name)));
      chart.view.signal("focus", null).signal("hidden", [...state.hidden]).runAsync();
    });
    const focus = on => () => chart.view.signal("focus", on && !state.hidden.has(name) ? name : null).runAsync();
    for (const event of ["pointerenter", "focus"]) button.addEventListener(event, focus(true));
    for (const event of ["pointerleave", "blur"]) button.addEventListener(event, focus(false));
    bar.append(button);
  }
  return bar;
}

/* A choice of the variant from which differences are taken. */
function bases(chart, groups) {
  const choice = element("select", {}, element("option", {value: "", textContent: "values"}), ...groups.map(({name}) => element("option", {value: name, textContent: `less ${name}`})));
  choice.setAttribute("aria-label", "Values or differences");
  choice.value = chart.state.base ?? "";
  choice.addEventListener("change", async () => {
    chart.state.base = choice.value || null;
    await show(chart);
    chart.node.querySelector(".bar select").focus();
  });
  return choice;
}

/* Buttons that zoom about the middle, for those without a wheel. */
function zooms(chart) {
  const buttons = [];
  const axes = () => chart.view.signal("zoom_tuple_fields");
  const scaled = (range, log, factor) => {
    const [low, high] = log ? range.map(Math.log) : range, middle = (low + high) / 2;
    const out = [low, high].map(end => middle + (end - middle) * factor);
    return log ? out.map(Math.exp) : out;
  };
  const by = factor => () => {
    for (const {field, channel} of axes()) {
      const scale = chart.view.scale(channel);
      chart.view.signal(`zoom_${field}`, scaled(scale.domain(), Boolean(scale.base), factor));
    }
    chart.view.runAsync();
  };
  const reset = () => {
    for (const {field} of axes()) chart.view.signal(`zoom_${field}`, null);
    chart.view.runAsync();
  };
  for (const [text, label, act] of [["+", "Zoom in", by(0.6)], ["−", "Zoom out", by(1 / 0.6)], ["Reset", "Reset the zoom", reset]]) {
    const made = button(text, act, {title: `${label} (drag to move, Ctrl + wheel to zoom)`});
    made.setAttribute("aria-label", label);
    buttons.push(made);
  }
  return buttons;
}

/* Cells around the nearest points hold these points as their data, which their tooltips overlook. */
function mended(compiled) {
  for (const {name, encode} of compiled.marks) {
    if (name?.endsWith("_voronoi")) encode.update.tooltip.signal = encode.update.tooltip.signal.replaceAll("datum[", "datum.datum[");
  }
  return compiled;
}

async function show(figure) {
  const {data} = figure, still = figure.node.querySelector(".static");
  const rows = data.frame.data.map(row => Object.fromEntries(data.frame.columns.map((key, at) => [key, row[at]])));
  const {spec, groups, height} = PLOTS[data.plot](data, rows, figure.state);
  const place = element("div", {className: "plot"});
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", still.getAttribute("aria-label"));
  const live = element("div", {className: "live"});
  const bar = element("div", {className: "bar"});
  if (groups.length > 1) bar.append(legend(figure, groups));
  const side = element("div", {className: "zoom"});
  if (data.plot === "lines" && groups.length > 1 && data.frame.columns.includes("seed")) side.append(bases(figure, groups));
  if (data.plot !== "heatmap") side.append(...zooms(figure));
  bar.append(side);
  const canvas = element("div");
  canvas.setAttribute("aria-hidden", "true");
  place.append(canvas);
  live.append(bar, place);
  figure.node.querySelector(".live")?.remove();
  figure.node.querySelector(".card").append(live);
  figure.node.classList.add("drawn");
  const params = [{name: "hidden", value: [...figure.state.hidden]}, {name: "focus", value: null}];
  const full = {...spec, params, width: "container", height: height ?? 320, autosize: {type: "fit-x", contains: "padding"}, config: theme()};
  const shown = await vegaEmbed(canvas, full, {actions: false, ast: true, renderer: "svg", patch: mended, tooltip: {theme: "custom"}});
  figure.view = figure.node.view = shown.view;
}

const figures = [...document.querySelectorAll("figure.chart")].map(node => {
  const data = JSON.parse(node.querySelector("script").textContent);
  return {node, data, state: {hidden: new Set()}};
}).filter(figure => figure.data.plot in PLOTS);
const inSight = new IntersectionObserver(entries => {
  for (const entry of entries.filter(each => each.isIntersecting)) {
    inSight.unobserve(entry.target);
    const figure = figures.find(each => each.node === entry.target);
    show(figure).catch(error => {
      figure.node.classList.remove("drawn");
      console.error(figure.node.id, error);
    });
  }
}, {rootMargin: "500px"});
if (window.vegaEmbed) for (const figure of figures) inSight.observe(figure.node);
const again = () => figures.filter(figure => figure.view).forEach(show);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
addEventListener("themechange", again);
})();

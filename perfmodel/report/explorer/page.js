"use strict";
// The page around the engine: controls to a question, an answer to words, bars, curves and a map.

const byId = (id) => document.getElementById(id);
const MAP_BATCHES = [1, 2, 4, 8, 16, 32, 64, 128, 256], MAP_CONTEXTS = [256, 1024, 4096, 16384, 65536, 131072];
// Curves have two points an octave.
const CURVE_BATCHES = [...new Set([...Array(21).keys()].map((i) => Math.round(2 ** (i / 2))))], CURVE_CONTEXTS = CONTEXTS.filter((n, i) => n && i % 2);
const words = (term) => (term === "stream" ? "streaming" : term);
let engine, question, charts = {}, drawn = () => {};

function fill(select, options, chosen) {
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value, false, value === chosen)));
  select.value = chosen;
}
function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// --- controls

/** Sliders over a list of values: [id, list, words]. */
const LISTS = [
  ["batch", BATCHES, (n) => n.toLocaleString("en")], ["context", CONTEXTS, (n) => `${n.toLocaleString("en")} tokens`],
  ["draft", DRAFTS, (n) => `${n} ${n === 1 ? "token" : "tokens"}`], ["acceptance", ACCEPTANCES, percent],
];
function controls() {
  const { models, machines } = engine.data, plain = (list) => list.map((name) => [String(name), String(name)]);
  fill(byId("model"), plain(Object.keys(models)), question.model);
  fill(byId("machine"), plain(Object.keys(machines).filter((machine) => engine.possible(question.model, machine))), question.machine);
  const { software } = machines[question.machine];
  fill(byId("software"), Object.keys(software).map((name) => [name, name === "none" ? "its own" : name]), question.software);
  fill(byId("devices"), plain(engine.devices(question)), String(question.devices));
  const modes = engine.modes(question);
  for (const id of ["before", "after"]) fill(byId(id), plain(modes), question[id]);
  fill(byId("drafter"), engine.drafters(question.model).map((name) => [name, name || "nothing"]), question.drafter);
  document.querySelectorAll(".drafts").forEach((label) => (label.hidden = !question.drafter));
  const used = engine.parameters(question), matches = (patterns) => used.filter((path) => patterns.some((pattern) => pattern.test(path)));
  const first = matches(FIRST);
  byId("main-parameters").replaceChildren(...first.map(slider));
  byId("parameters").replaceChildren(...matches(FURTHER).filter((path) => !first.includes(path)).map(slider));
}
/** A slider over two decades around a parameter's value, in the middle where it stands as assumed. */
function slider(path) {
  const i = engine.place.get(path), [, unit] = engine.data.paths[i], [low, value, high] = engine.ends(question, i);
  const most = /^memory\.sustained|\.(share|overlap|hidden)$/.test(path) ? 1 : Infinity, centre = value || high || 1e-6;
  const label = element("label", `${path} `), shown = element("output"), input = element("input", undefined, { type: "range", min: -100, max: 100, step: 1 });
  const at = (position) => Number(Math.min(most, centre * 10 ** (position / 100)).toPrecision(4));
  const say = () => {
    const set = question.set[path], range = low < high && set === undefined ? ` (${quantity(low, unit)} to ${quantity(high, unit)})` : "";
    shown.replaceChildren(quantity(set ?? value, unit), element("small", range));
    input.setAttribute("aria-valuetext", shown.textContent);
  };
  input.value = question.set[path] === undefined ? 0 : Math.round(100 * Math.log10(Math.max(question.set[path], centre / 10) / centre));
  input.addEventListener("input", () => {
    if (+input.value === 0) delete question.set[path];
    else question.set[path] = at(+input.value);
    say();
    show();
  });
  say();
  label.append(shown, input);
  return label;
}

// --- the answer

function show() {
  const answer = engine.answer(question);
  for (const [id, list, said] of LISTS) {
    byId(id).value = nearest(list, question[id]);
    byId(`${id}-value`).textContent = said(question[id]);
    byId(id).setAttribute("aria-valuetext", said(question[id]));
  }
  verdict(answer);
  sides(answer);
  bars(answer);
  cancelAnimationFrame(show.later);
  clearTimeout(show.settled);
  show.later = requestAnimationFrame(() => { curves(); map(); drawn(); });
  // A browser keeps only so many changes of an address; the last one counts.
  show.settled = setTimeout(() => {
    byId("command").textContent = commandLine(engine, question);
    byId("python").textContent = python(engine, question);
    if (engine.data.shares !== false) history.replaceState(null, "", toAddress(question));
  }, 120);
}
function verdict(answer) {
  const [before] = answer.sides, largest = before.terms.indexOf(Math.max(...before.terms));
  const [text, notes] = byId("verdict").children, longest = engine.data.models[question.model].longest;
  text.textContent = `${question.after} brings ${digits(answer.speedup)}\u00a0× over ${question.before} (${digits(answer.low)} to ${digits(answer.high)}): ` +
    `most of the step before is ${words(engine.data.terms[largest])}, ${percent(before.terms[largest] / before.time)}.`;
  notes.textContent = [
    answer.fits ? `Fits: ${quantity(answer.needed, "B")} of ${quantity(answer.capacity, "B")} on each device.`
      : `Does not fit: ${quantity(answer.needed, "B")} needed on each device, ${quantity(answer.capacity, "B")} there; figures are as if it fitted.`,
    question.drafter ? `Drafts by ${question.drafter}: ${digits(answer.tokens)} tokens a step for each sequence.` : "",
    longest && question.context > longest ? `The model was made for ${longest.toLocaleString("en")} tokens.` : "",
  ].filter(Boolean).join(" ");
}
function sides(answer) {
  const rate = (seconds) => (question.batch * answer.tokens) / seconds;
  const rows = [
    ["a step", (s) => time(s.time), (s) => `${time(s.fast)} to ${time(s.slow)}`],
    ["tokens a second", (s) => digits(rate(s.time), 4), (s) => `${digits(rate(s.slow))} to ${digits(rate(s.fast))}`],
    ["of peak bandwidth", (s) => percent(answer.peak / s.time), (s) => `${percent(answer.peak / s.slow)} to ${percent(answer.peak / s.fast)}`],
    ["kernel calls", (s) => Math.round(s.calls).toLocaleString("en"), () => ""],
  ];
  answer.sides.forEach((side, i) => (byId(["before-head", "after-head"][i]).textContent = `${["before", "after"][i]}: ${side.mode}`));
  byId("sides").tBodies[0].replaceChildren(...rows.map(([name, value, range]) => {
    const row = element("tr");
    row.append(element("th", name, { scope: "row" }));
    for (const side of answer.sides) {
      const cell = element("td", value(side));
      if (range(side)) cell.append(element("small", range(side)));
      row.append(cell);
    }
    return row;
  }));
}
function bars(answer) {
  const most = Math.max(...answer.sides.map((side) => side.time)), key = element("div", undefined, { class: "key" }), { terms } = engine.data;
  const rows = answer.sides.map((side, i) => {
    const row = element("div", undefined, { class: "row" }), bar = element("div", undefined, { class: "bars", role: "img" });
    bar.setAttribute("aria-label", terms.map((term, k) => `${words(term)} ${time(side.terms[k])}`).join(", "));
    side.terms.forEach((term, k) => {
      const part = element("span", undefined, { class: terms[k], title: `${words(terms[k])} ${time(term)}` });
      part.style.width = `${(100 * term) / most}%`;
      if (term > 0) bar.append(part);
    });
    row.append(element("span", ["before", "after"][i]), bar, element("span", time(side.time)));
    return row;
  });
  terms.forEach((term, k) => {
    const each = element("span");
    each.append(element("i", undefined, { class: term }), `${words(term)} ${time(answer.sides[0].terms[k])} → ${time(answer.sides[1].terms[k])}`);
    key.append(each);
  });
  byId("terms").replaceChildren(...rows, key);
}

// --- curves and map

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
function curves() {
  curve("batch", CURVE_BATCHES);
  curve("context", CURVE_CONTEXTS);
}
function curve(axis, points) {
  const answer = engine.answers({ ...question, [axis]: points }), rate = (n, t) => ((axis === "batch" ? n : question.batch) * answer.tokens) / t;
  const lines = [points, ...answer.sides.flatMap((side) => ["slow", "time", "fast"].map((end) => points.map((n, k) => rate(n, side[end][k]))))];
  const holder = byId(`${axis}-chart`), fits = points.filter((_, k) => answer.needed[k] <= answer.capacity);
  holder.setAttribute("aria-label", `Tokens a second over the ${axis}, before and after, with bands; ${fits.length} of ${points.length} points fit into memory. ` +
    `From ${digits(lines[2][0])} before and ${digits(lines[5][0])} after to ${digits(lines[2].at(-1))} and ${digits(lines[5].at(-1))}.`);
  const chart = (charts[axis] ||= newChart(axis, holder));
  chart.last = fits.length === points.length ? null : fits.length ? fits.at(-1) : points[0];
  chart.setData(lines);
}
function newChart(axis, holder) {
  const ink = colour("--ink"), rule = colour("--rule"), axisOf = { stroke: ink, grid: { stroke: rule, width: 1 }, ticks: { stroke: rule }, font: "12px system-ui" };
  const short = (u, values) => values.map((v) => (v === null ? "" : v >= 1e6 ? `${v / 1e6}M` : v >= 1e4 ? `${v / 1e3}k` : v.toLocaleString("en")));
  const tokens = (u, values) => values.map((v) => (v === null ? "" : v >= 1024 ? `${v / 1024}k` : v));
  const series = [{ label: axis }], bands = [];
  ["before", "after"].forEach((name, i) => {
    const stroke = colour(`--${name}`), points = { show: false };
    series.push({ stroke, width: 0.75, points }, { stroke, width: 2.5, dash: i ? undefined : [7, 4], points }, { stroke, width: 0.75, points });
    bands.push({ series: [3 * i + 3, 3 * i + 1], fill: `${stroke}2b` });
  });
  return new uPlot({
    width: holder.clientWidth || 600, height: 260, series, bands, legend: { show: false }, cursor: { show: false },
    scales: { x: { time: false, distr: 3, log: 2 }, y: axis === "batch" ? { distr: 3 } : { range: (u, least, most) => [0, 1.05 * most] } },
    axes: [{ ...axisOf, values: axis === "batch" ? short : tokens, label: axis === "batch" ? "batch" : "context, tokens; 1k is 1,024" }, { ...axisOf, values: short, label: "tokens a second", size: 62 }],
    hooks: { draw: [full, names] },
  }, [[1, 2], ...Array(6).fill([1, 1])], holder);
}
/** Hatch what does not fit into memory. */
function full(chart) {
  if (chart.last === null || chart.last === undefined) return;
  const { ctx, bbox } = chart, left = Math.max(bbox.left, chart.valToPos(chart.last, "x", true)), right = bbox.left + bbox.width, pixel = devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, bbox.top, right - left, bbox.height);
  ctx.clip();
  ctx.strokeStyle = colour("--soft");
  ctx.globalAlpha = 0.45;
  ctx.beginPath();
  for (let x = left - bbox.height; x < right; x += 9 * pixel) ctx.moveTo(x, bbox.top + bbox.height), ctx.lineTo(x + bbox.height, bbox.top);
  ctx.stroke();
  ctx.globalAlpha = 1;
  if (right - left > 90 * pixel) write(ctx, "does not fit", right - 6 * pixel, bbox.top + bbox.height - 8 * pixel, colour("--ink"), "right");
  ctx.restore();
}
/** Name both curves where they begin. */
function names(chart) {
  const { ctx, bbox, data } = chart;
  ["after", "before"].forEach((name, i) => {
    const pixel = devicePixelRatio, y = chart.valToPos(data[i ? 2 : 5][0], "y", true) + (i ? 14 : -14) * pixel;
    write(ctx, name, bbox.left + 8 * pixel, Math.min(Math.max(y, bbox.top + 8 * pixel), bbox.top + bbox.height - 8 * pixel), colour(`--${name}`), "left");
  });
}
function write(ctx, text, x, y, ink, align) {
  Object.assign(ctx, { font: `${12 * devicePixelRatio}px system-ui`, textAlign: align, textBaseline: "middle", lineWidth: 4 * devicePixelRatio, strokeStyle: colour("--paper"), fillStyle: ink });
  ctx.strokeText(text, x, y);
  ctx.fillText(text, x, y);
}
function map() {
  const table = byId("map"), at = (axis) => MAP_BATCHES.flatMap((batch) => MAP_CONTEXTS.map((context) => [batch, context][axis]));
  const answer = engine.answers({ ...question, batch: at(0), context: at(1) }, false);
  if (!table.rows.length) {
    const head = element("tr");
    head.append(element("td", "batch \\ context"), ...MAP_CONTEXTS.map((n) => element("th", n < 1024 ? n : `${n / 1024}k`, { scope: "col" })));
    table.append(element("caption"), head, ...MAP_BATCHES.map((batch) => {
      const row = element("tr");
      row.append(element("th", batch, { scope: "row" }), ...MAP_CONTEXTS.map(() => element("td")));
      return row;
    }));
  }
  table.caption.textContent = `${question.after} over ${question.before}, ×; hatched: does not fit`;
  const near = nearest(MAP_BATCHES, question.batch) * MAP_CONTEXTS.length + nearest(MAP_CONTEXTS, question.context);
  table.querySelectorAll("tr + tr td").forEach((cell, k) => {
    const fits = answer.needed[k] <= answer.capacity, share = Math.min(1, Math.max(0, Math.log2(answer.speedup[k])));
    cell.textContent = answer.speedup[k].toFixed(2);
    cell.title = fits ? "" : "does not fit";
    cell.className = `${fits ? "" : "full"} ${k === near ? "chosen" : ""}`;
    cell.style.background = `color-mix(in srgb, var(--after) ${Math.round(45 * share)}%, transparent)`;
  });
}
function redraw() {
  for (const axis of Object.keys(charts)) charts[axis].destroy();
  charts = {};
  curves();
}

// --- start

async function start() {
  const bytes = Uint8Array.from(atob(byId("data").textContent.trim()), (c) => c.charCodeAt(0));
  const text = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  engine = new Engine(JSON.parse(text));
  byId("share").hidden = engine.data.shares === false;
  const begin = { ...firstQuestion(engine.data), ...(engine.data.question || {}) };
  question = fromAddress(begin, engine.data.shares === false ? "" : location.hash);
  const changed = () => { settle(engine, question); controls(); show(); };
  for (const [id, list] of LISTS) {
    Object.assign(byId(id), { min: 0, max: list.length - 1, step: 1 });
    byId(id).addEventListener("input", (event) => { question[id] = list[+event.target.value]; show(); });
  }
  for (const id of ["model", "machine", "software", "devices", "before", "after", "drafter"])
    byId(id).addEventListener("change", (event) => {
      const { machines } = engine.data, usual = question.software === machines[question.machine].usual;
      question[id] = id === "devices" ? +event.target.value : event.target.value;
      // Another machine has another usual software, and another software another mode of its own.
      if (id === "machine" && usual) question.software = "";
      if (id === "machine" || id === "software") question.before = "";
      changed();
    });
  byId("reset").addEventListener("click", () => { question.set = {}; changed(); });
  byId("question").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => { question = fromAddress(begin, location.hash); changed(); });
  addEventListener("resize", () => requestAnimationFrame(redraw));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  Object.assign(window, { explorer: { engine, ask: (given) => engine.answer(given), now: () => question, settled: (given) => (settle(engine, given), given), whenDrawn: (then) => (drawn = then) } });
  changed();
  explorer.ready = performance.now();
  document.documentElement.dataset.ready = "yes";
}
start();

"use strict";
// The page around the engine: choices and sliders to a question, an answer to words, bars, curves and a map.

const byId = (id) => document.getElementById(id);
const TERM_COLOURS = ["#56b4e9", "#009e73", "#e69f00", "#cc79a7", "#f0e442", "#999999"];
const BATCHES = [...Array(41).keys()].map((i) => Math.round(2 ** (i / 4))).map((n, i, all) => Math.max(n, i ? all[i - 1] : 1));
const CONTEXTS = [0, ...[...Array(44).keys()].map((i) => Math.round(2 ** (7 + i / 4) / 16) * 16)];
const SLIDERS = [/^modes\..*\.(boundary|bare|stage|prefetch|host|issue)$/, /^memory\.(bandwidth|sustained\..*)$/];
const MAP_BATCHES = [1, 2, 4, 8, 16, 32, 64, 128, 256], MAP_CONTEXTS = [256, 1024, 4096, 16384, 65536, 131072];
let engine, question, charts = {};

const nearest = (list, value) => list.reduce((best, each, i) => (Math.abs(each - value) < Math.abs(list[best] - value) ? i : best), 0);
const digits = (x, n = 3) => (x === 0 ? "0" : Math.abs(x) >= 1e4 ? Math.round(x).toLocaleString("en") : Number(x.toPrecision(n)).toLocaleString("en", { maximumSignificantDigits: n }));
const time = (s) => (s >= 1 ? `${digits(s)} s` : s >= 1e-3 ? `${digits(s * 1e3)} ms` : s >= 1e-6 || s === 0 ? `${digits(s * 1e6)} µs` : "under 1 µs");
const percent = (x) => `${digits(x * 100)} %`;
function quantity(value, unit) {
  if (unit === "s") return time(value);
  if (unit === "1") return digits(value);
  const [factor, prefix] = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]].find(([f]) => Math.abs(value) >= f) || [1, ""];
  return `${digits(value / factor)} ${prefix}${unit}`;
}
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

// --- the question

function first(data) {
  const [model, machine] = Object.keys(data.counts)[0].split("|");
  return { model, machine, devices: 1, batch: 1, context: 4096, before: "", after: "looped", set: {} };
}
function fromAddress(start) {
  const given = new URLSearchParams(location.hash.slice(1)), found = { ...start, set: {} };
  for (const [key, value] of given) {
    if (key.startsWith("set.")) found.set[key.slice(4)] = +value;
    else if (["devices", "batch", "context"].includes(key)) found[key] = +value;
    else if (key in found) found[key] = value;
  }
  return found;
}
function toAddress() {
  const { set, ...rest } = question, pairs = new URLSearchParams(rest);
  for (const [path, value] of Object.entries(set)) pairs.set(`set.${path}`, value);
  history.replaceState(null, "", `#${pairs}`);
}
/** Make a question one that the page can answer: what is not there becomes the nearest that is. */
function settle() {
  const { models, machines } = engine.data, whole = (value, least, most) => Math.min(most, Math.max(least, Math.round(value) || least));
  if (!models[question.model]) question.model = Object.keys(models)[0];
  if (!machines[question.machine] || !engine.devices(question.model, question.machine).length)
    question.machine = Object.keys(machines).find((name) => engine.devices(question.model, name).length);
  const numbers = engine.devices(question.model, question.machine);
  question.devices = numbers[nearest(numbers, question.devices)];
  const modes = engine.modes(question.model, question.machine, question.devices), own = machines[question.machine].before;
  if (!modes.includes(question.before)) question.before = modes.includes(own) ? own : modes[0];
  if (!modes.includes(question.after)) question.after = modes.includes("looped") ? "looped" : modes[modes.length - 1];
  question.batch = whole(question.batch, 1, 1e7);
  question.context = whole(question.context, 0, 1e9);
  const used = engine.parameters(question);
  for (const path of Object.keys(question.set)) if (!used.includes(path) || !(question.set[path] >= 0) || !isFinite(question.set[path])) delete question.set[path];
}
function controls() {
  const { models, machines } = engine.data;
  fill(byId("model"), Object.keys(models).map((name) => [name, name]), question.model);
  fill(byId("machine"), Object.keys(machines).filter((name) => engine.devices(question.model, name).length).map((name) => [name, name]), question.machine);
  fill(byId("devices"), engine.devices(question.model, question.machine).map((n) => [String(n), String(n)]), String(question.devices));
  const modes = engine.modes(question.model, question.machine, question.devices).map((mode) => [mode, mode]);
  fill(byId("before"), modes, question.before);
  fill(byId("after"), modes, question.after);
  const used = engine.parameters(question).filter((path) => SLIDERS.some((pattern) => pattern.test(path)));
  byId("parameters").replaceChildren(...used.map(slider));
}
/** A slider over two decades around a parameter's value, in the middle where it stands as assumed. */
function slider(path) {
  const i = engine.place.get(path), [, unit] = engine.data.paths[i], [low, value, high] = engine.data.machines[question.machine].values[i];
  const most = unit === "1" ? 1 : Infinity, centre = value || high || 1e-6;
  const label = element("label", `${path} `), shown = element("output"), input = element("input", undefined, { type: "range", min: -100, max: 100, step: 1 });
  const at = (position) => Math.min(most, centre * 10 ** (position / 100));
  const say = () => {
    const set = question.set[path];
    shown.textContent = set === undefined ? `${quantity(value, unit)}${low < high ? ` (${quantity(low, unit)} to ${quantity(high, unit)})` : ""}` : quantity(set, unit);
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
  for (const [id, list] of [["batch", BATCHES], ["context", CONTEXTS]]) {
    byId(id).value = nearest(list, question[id]);
    byId(`${id}-value`).textContent = question[id].toLocaleString("en");
    byId(id).setAttribute("aria-valuetext", question[id].toLocaleString("en"));
  }
  verdict(answer);
  sides(answer);
  bars(answer);
  elsewhere();
  toAddress();
  cancelAnimationFrame(show.later);
  show.later = requestAnimationFrame(() => { curves(); map(); });
}
function verdict(answer) {
  const largest = answer.sides[0].terms.indexOf(Math.max(...answer.sides[0].terms));
  const [text, notes] = byId("verdict").children;
  text.textContent = `${question.after} brings ${digits(answer.speedup)} × over ${question.before} (${digits(answer.low)} to ${digits(answer.high)}): ` +
    `most of the step before is ${words(engine.data.terms[largest])}, ${percent(answer.sides[0].terms[largest] / answer.sides[0].time)}.`;
  const longest = engine.data.models[question.model].longest;
  notes.textContent = [
    answer.fits ? `Fits: ${quantity(answer.needed, "B")} of ${quantity(answer.capacity, "B")} on each device.`
      : `Does not fit: ${quantity(answer.needed, "B")} needed on each device, ${quantity(answer.capacity, "B")} there; figures are as if it fitted.`,
    longest && question.context > longest ? `The model was made for ${longest.toLocaleString("en")} tokens.` : "",
  ].join(" ");
}
const words = (term) => (term === "stream" ? "streaming" : term);
function sides(answer) {
  const rows = [
    ["a step", (s) => time(s.time), (s) => `${time(s.fast)} to ${time(s.slow)}`],
    ["tokens a second", (s) => digits(question.batch / s.time, 4), (s) => `${digits(question.batch / s.slow)} to ${digits(question.batch / s.fast)}`],
    ["of peak bandwidth", (s) => percent(answer.peak / s.time), (s) => `${percent(answer.peak / s.slow)} to ${percent(answer.peak / s.fast)}`],
    ["kernel calls", (s) => s.calls.toLocaleString("en"), () => ""],
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
  const most = Math.max(...answer.sides.map((side) => side.time)), key = element("div", undefined, { class: "key" });
  const rows = answer.sides.map((side, i) => {
    const row = element("div", undefined, { class: "row" }), bar = element("div", undefined, { class: "bars", role: "img" });
    bar.setAttribute("aria-label", engine.data.terms.map((term, k) => `${words(term)} ${time(side.terms[k])}`).join(", "));
    side.terms.forEach((term, k) => {
      const part = element("span", undefined, { title: `${words(engine.data.terms[k])} ${time(term)}` });
      part.style.cssText = `width:${(100 * term) / most}%;background:${TERM_COLOURS[k]}`;
      if (term > 0) bar.append(part);
    });
    row.append(element("span", ["before", "after"][i]), bar, element("span", `${time(side.time)}`));
    return row;
  });
  engine.data.terms.forEach((term, k) => {
    const each = element("span"), mark = element("i");
    mark.style.background = TERM_COLOURS[k];
    each.append(mark, `${words(term)} ${time(answer.sides[0].terms[k])} → ${time(answer.sides[1].terms[k])}`);
    key.append(each);
  });
  byId("terms").replaceChildren(...rows, key);
}
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
function curves() {
  curve("batch", BATCHES.filter((n, i, all) => all.indexOf(n) === i && n <= 1024));
  curve("context", CONTEXTS.filter((n) => n >= 128));
}
function curve(axis, points) {
  const answers = points.map((n) => engine.answer({ ...question, [axis]: n })), rate = (n, t) => (axis === "batch" ? n : question.batch) / t;
  const lines = [points];
  answers[0].sides.forEach((_, i) => ["slow", "time", "fast"].forEach((end) => lines.push(answers.map((a, k) => rate(points[k], a.sides[i][end])))));
  const holder = byId(`${axis}-chart`), wide = holder.clientWidth || 600;
  const kept = answers.filter((a) => a.fits).length;
  holder.setAttribute("aria-label", `Tokens a second over the ${axis}, before and after, with bands; ${kept} of ${points.length} points fit into memory. ` +
    `From ${digits(lines[2][0])} before and ${digits(lines[5][0])} after to ${digits(lines[2].at(-1))} and ${digits(lines[5].at(-1))}.`);
  const series = [{ label: axis }];
  ["before", "after"].forEach((name) => {
    const stroke = colour(`--${name}`);
    series.push({ show: true, stroke: "transparent", label: `${name} low`, points: { show: false } }, { stroke, width: 2, label: name, dash: name === "before" ? [6, 4] : undefined, points: { show: false } },
      { stroke: "transparent", label: `${name} high`, points: { show: false } });
  });
  const ink = colour("--ink"), rule = colour("--rule"), axisOf = { stroke: ink, grid: { stroke: rule, width: 1 }, ticks: { stroke: rule }, font: "12px system-ui" };
  const short = (u, values) => values.map((v) => (v === null ? "" : v >= 1e6 ? `${v / 1e6}M` : v >= 1e4 ? `${v / 1e3}k` : v.toLocaleString("en")));
  const tokens = (u, values) => values.map((v) => (v === null ? "" : v >= 1024 ? `${v / 1024}k` : v));
  charts[axis]?.destroy();
  charts[axis] = new uPlot({
    width: wide, height: 260, series, legend: { show: false }, cursor: { show: false },
    scales: { x: { time: false, distr: 3, log: 2 }, y: { distr: axis === "batch" ? 3 : 1 } },
    axes: [{ ...axisOf, values: axis === "batch" ? short : tokens, label: axis === "batch" ? "batch" : "context, tokens; 1k is 1,024" }, { ...axisOf, values: short, label: "tokens a second", size: 62 }],
    bands: [{ series: [3, 1], fill: `${colour("--before")}33` }, { series: [6, 4], fill: `${colour("--after")}33` }],
  }, lines, holder);
}
function map() {
  const head = element("tr");
  head.append(element("th", "batch \\ context", { scope: "col" }), ...MAP_CONTEXTS.map((n) => element("th", n.toLocaleString("en"), { scope: "col" })));
  const near = [MAP_BATCHES[nearest(MAP_BATCHES, question.batch)], MAP_CONTEXTS[nearest(MAP_CONTEXTS, question.context)]];
  const rows = MAP_BATCHES.map((batch) => {
    const row = element("tr");
    row.append(element("th", batch, { scope: "row" }));
    for (const context of MAP_CONTEXTS) {
      const answer = engine.answer({ ...question, batch, context }, false), share = Math.min(1, Math.max(0, Math.log2(answer.speedup)));
      const cell = element("td", answer.speedup.toFixed(2), { title: answer.fits ? "" : "does not fit" });
      cell.style.background = `color-mix(in srgb, var(--after) ${Math.round(45 * share)}%, transparent)`;
      if (!answer.fits) cell.className = "full";
      if (batch === near[0] && context === near[1]) cell.classList.add("chosen");
      row.append(cell);
    }
    return row;
  });
  byId("map").replaceChildren(element("caption", `${question.after} over ${question.before}, ×; struck out: does not fit`), head, ...rows);
}
function elsewhere() {
  const { model, machine, devices, batch, context, before, after, set } = question, keys = Object.entries(set).map(([path, value]) => [path, `${+value.toPrecision(6)}`, engine.data.paths[engine.place.get(path)][1]]);
  byId("command").textContent = [`perfmodel estimate ${model} ${machine}`, `--devices ${devices} --batch ${batch} --context ${context} --before ${before} --after ${after}`,
    ...keys.map(([path, value, unit]) => `--set ${path}=${value}${unit === "1" ? "" : unit}`)].join(" ");
  byId("python").textContent = `from perfmodel import estimate\nestimate("${model}", "${machine}", devices=${devices}, batch=${batch}, context=${context}, before="${before}", after="${after}"` +
    (keys.length ? `, parameters={${keys.map(([path, value]) => `"${path}": ${value}`).join(", ")}}` : "") + ")";
}

// --- start

async function start() {
  const bytes = Uint8Array.from(atob(byId("data").textContent.trim()), (c) => c.charCodeAt(0));
  const text = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
  engine = new Engine(JSON.parse(text));
  question = fromAddress({ ...first(engine.data), ...(engine.data.question || {}) });
  const changed = () => { settle(); controls(); show(); };
  for (const id of ["model", "machine", "before", "after"]) byId(id).addEventListener("change", (event) => { question[id] = event.target.value; changed(); });
  byId("devices").addEventListener("change", (event) => { question.devices = +event.target.value; changed(); });
  for (const [id, list] of [["batch", BATCHES], ["context", CONTEXTS]]) byId(id).addEventListener("input", (event) => { question[id] = list[+event.target.value]; show(); });
  byId("reset").addEventListener("click", () => { question.set = {}; changed(); });
  byId("question").addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("resize", () => requestAnimationFrame(curves));
  window.addEventListener("hashchange", () => { question = fromAddress(question); changed(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", curves);
  changed();
  document.documentElement.dataset.ready = "yes";
  Object.assign(window, { explorer: { engine, ask: (given) => engine.answer(given) } });
}
start();

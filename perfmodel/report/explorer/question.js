"use strict";
// The question of the page: what its controls offer, its address, and its words on the command line and in Python.

const BATCHES = [...new Set([...Array(49).keys()].map((i) => Math.round(2 ** (i / 4))))];
const CONTEXTS = [0, ...[...Array(45).keys()].map((i) => Math.round(2 ** (7 + i / 4) / 16) * 16)];
const DRAFTS = [1, 2, 3, 4, 5, 6, 7, 8], ACCEPTANCES = [...Array(20).keys()].map((i) => i / 20);
// Sliders that people reach for first, and those behind them.
const FIRST = [/^modes\..*\.(boundary|stage|prefetch|host)$/, /^memory\.sustained\.(?!kv|activations)/];
const FURTHER = [/^modes\..*\.(bare|ramp|issue|matrix|fill|exchange)$/, /^memory\.bandwidth$/, /^memory\.sustained\./, /^reach\./, /^link\.bandwidth$/, /^drafts\./];
const NUMBERS = ["devices", "batch", "context", "draft", "acceptance"];

const nearest = (list, value) => list.reduce((best, each, i) => (Math.abs(each - value) < Math.abs(list[best] - value) ? i : best), 0);
const digits = (x, n = 3) => (x === 0 ? "0" : Math.abs(x) >= 1e4 ? Math.round(x).toLocaleString("en") : Number(x.toPrecision(n)).toLocaleString("en", { maximumSignificantDigits: n }));
const time = (s) => (s >= 1 ? `${digits(s)}\u00a0s` : s >= 1e-3 ? `${digits(s * 1e3)}\u00a0ms` : s >= 1e-6 || s === 0 ? `${digits(s * 1e6)}\u00a0µs` : `${digits(s * 1e9)}\u00a0ns`);
const percent = (x) => `${digits(x * 100)}\u00a0%`;
function quantity(value, unit) {
  if (unit === "s") return time(value);
  if (unit === "1") return digits(value);
  const [factor, prefix] = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""]].find(([f]) => Math.abs(value) >= f) || [1, ""];
  return `${digits(value / factor)}\u00a0${prefix}${unit}`;
}

function firstQuestion(data) {
  const [model] = Object.keys(data.models), [machine] = Object.keys(data.machines);
  return { model, machine, software: "", devices: 1, batch: 1, context: 4096, before: "", after: "looped", drafter: "", draft: 0, acceptance: 0.7, set: {} };
}
/** The question that the page's address holds, else as it starts. */
function fromAddress(start, address) {
  const found = { ...start, set: { ...start.set } };
  for (const [key, value] of new URLSearchParams(address.slice(1))) {
    if (key.startsWith("set.")) found.set[key.slice(4)] = +value;
    else if (NUMBERS.includes(key)) found[key] = +value;
    else if (key in found) found[key] = value;
  }
  return found;
}
function toAddress({ set, drafter, draft, acceptance, ...rest }) {
  const pairs = new URLSearchParams(drafter ? { ...rest, drafter, draft, acceptance } : rest);
  for (const [path, value] of Object.entries(set)) pairs.set(`set.${path}`, value);
  return `#${pairs}`;
}
/** Make a question one that the page can answer: what is not there becomes the nearest that is. */
function settle(engine, question) {
  const { models, machines } = engine.data, whole = (value, least, most) => Math.min(most, Math.max(least, Math.round(value) || least));
  const some = (list, wanted, ...others) => [wanted, ...others].find((each) => list.includes(each)) ?? list[0];
  question.model = some(Object.keys(models), question.model);
  const possible = Object.keys(machines).filter((machine) => engine.possible(question.model, machine));
  question.machine = some(possible, question.machine);
  const { software, usual } = machines[question.machine];
  question.software = some(Object.keys(software), question.software, usual);
  question.drafter = some(engine.drafters(question.model), question.drafter, "");
  const numbers = engine.devices(question);
  question.devices = numbers[nearest(numbers, question.devices)];
  const modes = engine.modes(question);
  question.before = some(modes, question.before, software[question.software].before);
  question.after = some(modes, question.after, "looped", modes[modes.length - 1]);
  question.batch = whole(question.batch, 1, 1e6);
  question.context = whole(question.context, 0, 1e7);
  question.draft = question.drafter ? whole(question.draft || 3, 1, 32) : 0;
  question.acceptance = Math.min(0.999, Math.max(0, question.acceptance)) || 0;
  const used = engine.parameters(question);
  for (const [path, value] of Object.entries(question.set)) if (!used.includes(path) || !(value >= 0) || !isFinite(value)) delete question.set[path];
}
/** The question as options: [name, value, whether the value is a text]. */
function options(engine, question) {
  const { devices, batch, context, before, after, software, drafter, draft, acceptance } = question;
  const usual = engine.data.machines[question.machine].usual, fixed = engine.data.fixed?.options || {};
  return [
    ["devices", devices], ["batch", batch], ["context", context], ["before", before, true], ["after", after, true],
    ...(software === usual ? [] : [["software", software, true]]),
    ...(drafter ? [["draft", draft], ["drafter", drafter, true], ["acceptance", acceptance]] : []),
    ...Object.entries(fixed).map(([name, value]) => [name, value, true]),
  ];
}
function commandLine(engine, question) {
  const given = options(engine, question).map(([name, value]) => `--${name.replaceAll("_", "-")} ${value}`);
  return [`perfmodel estimate ${question.model} ${question.machine}`, ...given, ...settings(engine, question).map(([path, value, unit]) => `--set ${path}=${value}${unit}`)].join(" ");
}
function python(engine, question) {
  const given = options(engine, question).map(([name, value, text]) => `${name}=${text ? JSON.stringify(value) : value}`), set = settings(engine, question);
  const parameters = set.length ? [`parameters={${set.map(([path, value, unit]) => `"${path}": ${unit || typeof value === "string" ? JSON.stringify(`${value}${unit}`) : value}`).join(", ")}}`] : [];
  return `from perfmodel import estimate\nestimate(${[JSON.stringify(question.model), JSON.stringify(question.machine), ...given, ...parameters].join(", ")})`;
}
/** What is set: [path, value, unit], with what stands fast in the page. */
function settings(engine, question) {
  const set = Object.entries(question.set).map(([path, value]) => [path, value, engine.data.paths[engine.place.get(path)][1]]);
  const fast = Object.entries(engine.data.fixed?.parameters || {}).filter(([path]) => !(path in question.set));
  const written = (value, unit) => (unit === "s" ? [Number((value * 1e6).toPrecision(12)), "us"] : [value, unit === "1" ? "" : unit]);
  return [...fast.map(([path, value]) => [path, value, ""]), ...set.map(([path, value, unit]) => [path, ...written(value, unit)])];
}

if (typeof module !== "undefined") module.exports = { commandLine, firstQuestion, fromAddress, python, settle, toAddress };

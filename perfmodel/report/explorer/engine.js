"use strict";
// Reads the recordings that perfmodel/numbers/compact.py writes, and answers questions from them. No formula stands here:
// what a machine costs, what a step takes, and how intervals are put together, are recordings of the program's own equations.

const OPERATIONS = "asmdfpxnglei";
const LANES = 128; // points at once: what they need stays in the processor's cache

/** A recording as numbers: for each line its operation and the places of its operands in one block of memory. */
function decode(text) {
  const [body, results] = [text.slice(0, text.lastIndexOf("r")), text.slice(text.lastIndexOf("r") + 1)];
  const lines = body.match(/[a-z][^a-z]*/g) || [];
  let last = -1, constants = 0;
  for (const found of text.matchAll(/\.([0-9A-Z]+)/g)) last = Math.max(last, parseInt(found[1], 36));
  // Operands are first counted from the lines: arguments stay, constants and lines follow them.
  const operand = (written, line) =>
    written === "" ? ["k", constants++] : written[0] === "." ? ["x", parseInt(written.slice(1), 36)] : ["v", line - parseInt(written, 36)];
  const read = lines.map((line, n) => [OPERATIONS.indexOf(line[0]), ...line.slice(1).split(",").map((part) => operand(part, n))]);
  const out = results.split(",").map((part) => operand(part, lines.length));
  const start = { x: 0, k: last + 1, v: last + 1 + constants };
  const place = ([kind, n]) => start[kind] + n, size = start.v + read.length;
  const program = {
    operations: new Uint8Array(read.length), left: new Int32Array(read.length), right: new Int32Array(read.length),
    out: out.map(place), constants: start.k, lines: start.v, memory: new Float64Array(size * LANES), varies: new Uint8Array(size),
  };
  read.forEach(([operation, a, b], n) => {
    program.operations[n] = operation;
    program.left[n] = place(a);
    program.right[n] = b ? place(b) : place(a);
  });
  return program;
}

/** One operation on `width` lanes from o on; an operand that is the same in all lanes has a step of 0. */
function operate(operation, memory, o, a, i, b, j, width) {
  const end = o + width;
  switch (operation) {
    case 0: for (; o < end; o++, a += i, b += j) memory[o] = memory[a] + memory[b]; break;
    case 1: for (; o < end; o++, a += i, b += j) memory[o] = memory[a] - memory[b]; break;
    case 2: for (; o < end; o++, a += i, b += j) memory[o] = memory[a] * memory[b]; break;
    case 3: for (; o < end; o++, a += i, b += j) memory[o] = memory[a] / memory[b]; break;
    case 4: for (; o < end; o++, a += i, b += j) memory[o] = Math.floor(memory[a] / memory[b]); break;
    case 5: for (; o < end; o++, a += i, b += j) memory[o] = Math.pow(memory[a], memory[b]); break;
    case 6: for (; o < end; o++, a += i, b += j) memory[o] = memory[a] >= memory[b] ? memory[a] : memory[b]; break;
    case 7: for (; o < end; o++, a += i, b += j) memory[o] = memory[a] <= memory[b] ? memory[a] : memory[b]; break;
    case 8: for (; o < end; o++, a += i, b += j) memory[o] = memory[a] > memory[b] ? 1 : 0; break;
    case 9: for (; o < end; o++, a += i) memory[o] = Math.log(memory[a]); break;
    case 10: for (; o < end; o++, a += i) memory[o] = Math.exp(memory[a]); break;
    default: for (; o < end; o++, a += i) memory[o] = memory[a];
  }
}

/** Run a decoded recording over `lanes` points. Each argument and each result is a number, the same for all, or one a lane. */
function run(program, given, constants, lanes) {
  const { memory, varies, operations, left, right, lines, out } = program;
  for (let i = 0; i < program.constants; i++) varies[i] = typeof given[i] === "number" ? 0 : 1;
  for (let i = 0; i < constants.length; i++) memory[(program.constants + i) * LANES] = constants[i];
  for (let n = 0; n < operations.length; n++) varies[lines + n] = varies[left[n]] | varies[right[n]];
  const results = out.map((place) => (varies[place] ? new Float64Array(lanes) : 0));
  for (let start = 0; start < lanes; start += LANES) {
    const width = Math.min(LANES, lanes - start);
    for (let i = 0; i < program.constants; i++)
      if (varies[i]) memory.set(given[i].subarray(start, start + width), i * LANES);
      else memory[i * LANES] = given[i];
    for (let n = 0; n < operations.length; n++) {
      const a = left[n], b = right[n], o = lines + n;
      if (varies[o] || !start) operate(operations[n], memory, o * LANES, a * LANES, varies[a], b * LANES, varies[b], varies[o] ? width : 1);
    }
    out.forEach((place, k) => {
      if (varies[place]) results[k].set(memory.subarray(place * LANES, place * LANES + width), start);
      else results[k] = memory[place * LANES];
    });
  }
  return results;
}

const at = (numbers, i) => (typeof numbers === "number" ? numbers : numbers[i]);

/** All questions of a page: data as perfmodel/report/explorer/tables.py gives it. */
class Engine {
  constructor(data) {
    this.data = data;
    this.programs = [];
    this.known = {};
    this.place = new Map(data.paths.map(([path], i) => [path, i]));
  }

  run([script, constants], given, lanes) {
    return run((this.programs[script] ||= decode(this.data.scripts[script])), given, this.data.constants[constants], lanes);
  }

  software(question) {
    return this.data.machines[question.machine]?.software[question.software];
  }

  /** The recordings of one side of a question, and what they take; nothing where it cannot be asked. */
  side(question, mode) {
    const { plans, costs, steps, coefficients, parameters } = this.data, found = this.software(question)?.modes[mode];
    const plan = found && plans[`${question.model}|${question.devices}|${question.drafter}`]?.[found[0]];
    const cost = plan && costs[`${found[1]}|${plan[2]}`];
    return cost && { costs: cost, paths: parameters[cost[3]], step: steps[`${plan[0]}|${cost[2]}`], coefficients: coefficients[plan[1]], stages: plan[3] };
  }

  modes(question) {
    return Object.keys(this.software(question)?.modes || {}).filter((mode) => this.side(question, mode));
  }

  /** What a model can be asked with: the numbers of devices at a question's machine, its drafters, and whether on a machine at all. */
  devices(question) {
    return this.choices(question.model, 1).map(Number).sort((a, b) => a - b).filter((devices) => this.modes({ ...question, devices }).length);
  }
  drafters(model) {
    return this.choices(model, 2);
  }
  possible(model, machine) {
    const { software, usual } = this.data.machines[machine];
    return this.devices({ model, machine, software: usual in software ? usual : Object.keys(software)[0], drafter: "" }).length > 0;
  }
  choices(model, part) {
    const known = (this.known[model] ||= Object.keys(this.data.plans).map((key) => /^(.*)\|(\d+)\|(.*)$/s.exec(key).slice(1)).filter(([name]) => name === model));
    return [...new Set(known.map((key) => key[part]))];
  }

  /** Low, value and high of a parameter of a question, by its place. */
  ends(question, place) {
    const software = this.software(question);
    return software.values[place] || this.data.draft_costs[software.drafts[this.data.models[question.model].formats]][place];
  }

  /** The paths of the parameters that either side of a question uses. */
  parameters(question) {
    return [...new Set([question.before, question.after].flatMap((mode) => this.side(question, mode)?.paths || []))].map((i) => this.data.paths[i][0]);
  }

  /** What moves together: for each group its parameters' places, with their slow and fast ends. */
  groups(question, exactly) {
    const groups = new Map();
    for (const i of new Set([question.before, question.after].flatMap((mode) => this.side(question, mode).paths))) {
      const [low, value, high] = this.ends(question, i), [, , own, slower, kernels] = this.data.paths[i];
      if (low >= high || exactly.has(i)) continue;
      const group = kernels ? `${kernels} ${low} ${value} ${high}` : own; // kernels of one software, launched in two ways
      if (!groups.has(group)) groups.set(group, []);
      groups.get(group).push(slower > 0 ? [i, high, low] : [i, low, high]);
    }
    return [...groups.values()];
  }

  /** Parameters of a question as it stands and with what is uncertain at its ends: of each the numbers that it takes.
   *  First all at their value, then each group slow and fast, at last all groups slow, and all fast. */
  positions(question, exactly, groups) {
    const many = groups.length ? 2 * groups.length + 3 : 1, numbers = new Map(exactly);
    groups.forEach((group, g) => group.forEach(([i, slow, fast]) => {
      const taken = new Float64Array(many).fill(this.ends(question, i)[1]);
      taken[1 + 2 * g] = taken[many - 2] = slow;
      taken[2 + 2 * g] = taken[many - 1] = fast;
      numbers.set(i, taken);
    }));
    return { many, numbers };
  }

  /** The six terms, the time and the kernel calls of one side, at each point and there at each position. */
  times(question, mode, positions, batch, context, points) {
    const side = this.side(question, mode), { many, numbers } = positions;
    const given = side.paths.map((i) => (numbers.has(i) ? numbers.get(i) : this.ends(question, i)[1]));
    const costs = this.run(side.costs, [question.draft, side.stages, ...given], many);
    const spread = (each) => (typeof each === "number" || points === 1 ? each : Float64Array.from({ length: points * many }, (_, k) => each[k % many]));
    const workload = [batch, context].map((each) => (typeof each === "number" || many === 1 ? each : Float64Array.from({ length: points * many }, (_, k) => each[Math.floor(k / many)])));
    return this.run(side.step, [...workload, question.draft, ...side.coefficients, ...costs.map(spread)], points * many);
  }

  /** What widens the ratio of two modes beside the parameters: nothing, the noise of a row, the spread of sources too. */
  beside(software, modes) {
    if (!software.beyond.length || modes[0] === modes[1]) return 0;
    if (modes.every((mode) => this.data.launches.includes(mode))) return software.beyond[1];
    return Math.max(...modes.map((mode) => Math.hypot(...this.beyond(software, mode))));
  }

  /** What widens the time of a mode beside the parameters: the spread of sources, the noise of a row. */
  beyond(software, mode) {
    const [spread, ...noise] = software.beyond;
    return software.beyond.length ? [software.spreads[mode] ?? spread, ...noise] : [];
  }

  /** The answers to a question at several batches or contexts: {name: numbers, one a point}.
   *  question: {model, machine, software, devices, drafter, draft, acceptance, batch, context, before, after, set: {path: number}};
   *  batch and context may be arrays. */
  answers(question, intervals = true) {
    const [batch, context] = [question.batch, question.context].map((each) => (typeof each === "number" ? each : Float64Array.from(each)));
    const points = batch.length || context.length || 1, list = (numbers) => (typeof numbers === "number" ? new Float64Array(points).fill(numbers) : numbers);
    const exactly = new Map(Object.entries(question.set || {}).map(([path, number]) => [this.place.get(path), number]));
    const machine = this.data.machines[question.machine], software = this.software(question), modes = [question.before, question.after];
    const known = (path, otherwise) => exactly.get(this.place.get(path)) ?? otherwise;
    const independence = this.place.get("drafts.independence"), held = independence !== undefined && question.drafter ? this.ends(question, independence)[1] : 1;
    const counts = [batch, context, question.draft, known("memory.bandwidth", machine.bandwidth), known("drafts.independence", held)];
    const [bytes, flops, needed, peak] = this.run(this.data.counts[`${question.model}|${question.devices}|${question.drafter}|${machine.kept}`], counts, points).map(list);
    const [tokens] = question.drafter ? this.run(this.data.accepted, [question.acceptance, question.draft], 1) : [1];
    const groups = intervals ? this.groups(question, exactly) : [], positions = this.positions(question, exactly, groups), { many } = positions;
    const found = modes.map((mode) => this.times(question, mode, positions, batch, context, points));
    const pick = (numbers, end) => Float64Array.from({ length: points }, (_, p) => at(numbers, p * many + end));
    const sides = found.map((numbers, i) => {
      const terms = numbers.slice(0, 6).map((term) => pick(term, 0));
      return { mode: modes[i], terms, time: terms[0].map((_, p) => terms.reduce((sum, term) => sum + term[p], 0)), calls: at(numbers[7], 0) };
    });
    const answer = { points, tokens, bytes, flops, needed, peak, capacity: machine.capacity, sides, speedup: sides[0].time.map((time, p) => time / sides[1].time[p]) };
    if (!intervals) return answer;
    const end = (e) => found.map((numbers) => pick(numbers[6], e)), value = end(0), given = [...value, ...sides.map((side) => side.time)];
    const filled = Math.max(8, 8 * Math.ceil(groups.length / 8));
    for (let g = 0; g < filled; g++) given.push(...(g < groups.length ? [...end(1 + 2 * g), ...end(2 + 2 * g)] : [...value, ...value]));
    given.push(...(groups.length ? [...end(many - 2), ...end(many - 1)] : [...value, ...value]), ...modes.flatMap((mode) => this.beyond(software, mode)), this.beside(software, modes), peak);
    const [slow0, fast0, slow1, fast1, low, high] = this.run(this.data.combining[`${filled}|${software.beyond.length}`], given, points).map(list);
    Object.assign(sides[0], { slow: slow0, fast: fast0 });
    Object.assign(sides[1], { slow: slow1, fast: fast1 });
    return Object.assign(answer, { low, high });
  }

  /** The answer to a question at one batch and context. */
  answer(question, intervals = true) {
    const all = this.answers(question, intervals), one = (numbers) => numbers && numbers[0];
    const sides = all.sides.map((side) => ({ ...side, terms: side.terms.map(one), time: one(side.time), slow: one(side.slow), fast: one(side.fast) }));
    const figures = Object.fromEntries(["bytes", "flops", "needed", "peak", "speedup", "low", "high"].map((name) => [name, one(all[name])]));
    return { ...all, ...figures, sides, fits: figures.needed <= all.capacity };
  }
}

if (typeof module !== "undefined") module.exports = { Engine, decode, run };

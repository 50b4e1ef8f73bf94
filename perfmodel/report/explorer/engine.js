"use strict";
// Reads the recordings that perfmodel/numbers/compact.py writes, and answers a question from them. No formula stands here:
// what a step takes, and how intervals are put together, are both recordings of the program's own equations.

const OPERATIONS = "asmdfpxnglei";

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
  const out = results === "" && !lines.length ? [] : results.split(",").map((part) => operand(part, lines.length));
  const start = { x: 0, k: last + 1, v: last + 1 + constants };
  const place = ([kind, n]) => start[kind] + n;
  const program = {
    operations: new Uint8Array(read.length), left: new Int32Array(read.length), right: new Int32Array(read.length),
    out: out.map(place), constants: start.k, lines: start.v, memory: new Float64Array(start.v + read.length),
  };
  read.forEach(([operation, a, b], n) => {
    program.operations[n] = operation;
    program.left[n] = place(a);
    program.right[n] = b ? place(b) : 0;
  });
  return program;
}

/** Run a decoded recording: an array of its results. */
function run(program, given, constants) {
  const { memory, operations, left, right, lines } = program;
  for (let i = 0; i < program.constants; i++) memory[i] = given[i];
  memory.set(constants, program.constants);
  for (let n = 0; n < operations.length; n++) {
    const a = memory[left[n]], b = memory[right[n]];
    let value;
    switch (operations[n]) {
      case 0: value = a + b; break;
      case 1: value = a - b; break;
      case 2: value = a * b; break;
      case 3: value = a / b; break;
      case 4: value = Math.floor(a / b); break;
      case 5: value = Math.pow(a, b); break;
      case 6: value = a >= b ? a : b; break;
      case 7: value = a <= b ? a : b; break;
      case 8: value = a > b ? 1 : 0; break;
      case 9: value = Math.log(a); break;
      case 10: value = Math.exp(a); break;
      default: value = a;
    }
    memory[lines + n] = value;
  }
  return program.out.map((place) => memory[place]);
}

/** All questions of a page: data as perfmodel/report/explorer/recordings.py gives it. */
class Engine {
  constructor(data) {
    this.data = data;
    this.programs = [];
    this.place = new Map(data.paths.map(([path], i) => [path, i]));
  }

  program(i) {
    return (this.programs[i] ||= decode(this.data.scripts[i]));
  }

  side(question, mode) {
    return this.data.sides[`${question.model}|${question.machine}|${question.devices}|${mode}`];
  }

  /** The numbers of devices that a model can be shared between on a machine. */
  devices(model, machine) {
    const start = `${model}|${machine}|`;
    return Object.keys(this.data.counts).filter((key) => key.startsWith(start)).map((key) => +key.slice(start.length)).sort((a, b) => a - b);
  }

  modes(model, machine, devices) {
    return this.data.machines[machine].modes.filter((mode) => this.side({ model, machine, devices }, mode));
  }

  /** The paths of the parameters that either side of a question uses. */
  parameters(question) {
    const used = [question.before, question.after].flatMap((mode) => this.data.parameters[this.side(question, mode)[2]]);
    return [...new Set(used)].map((i) => this.data.paths[i][0]);
  }

  /** Terms and time of one side; moved: numbers of parameters by place, in place of their value. */
  times(question, mode, moved) {
    const [script, constants, list] = this.side(question, mode);
    const values = this.data.machines[question.machine].values;
    const given = [question.batch, question.context];
    for (const i of this.data.parameters[list]) given.push(moved.has(i) ? moved.get(i) : values[i][1]);
    return run(this.program(script), given, this.data.constants[constants]);
  }

  /** Uncertain parameters of a question in the groups that move together, with their slow and fast ends. */
  groups(question, exactly) {
    const { paths, machines, parameters } = this.data, values = machines[question.machine].values, groups = new Map();
    for (const mode of [question.before, question.after])
      for (const i of parameters[this.side(question, mode)[2]]) {
        const [low, , high] = values[i], [, , own, slower, kernels] = paths[i];
        if (low >= high || exactly.has(i)) continue;
        const group = kernels ? `${kernels} ${values[i]}` : own; // kernels of one software, launched in two ways
        if (!groups.has(group)) groups.set(group, [new Map(), new Map()]);
        const [slow, fast] = groups.get(group);
        slow.set(i, slower > 0 ? high : low);
        fast.set(i, slower > 0 ? low : high);
      }
    return [...groups.entries()];
  }

  /** The answer to a question {model, machine, devices, batch, context, before, after, set: {path: number}}. */
  answer(question, intervals = true) {
    const exactly = new Map(Object.entries(question.set || {}).map(([path, number]) => [this.place.get(path), number]));
    const machine = this.data.machines[question.machine];
    const modes = [question.before, question.after];
    const both = (moved) => modes.map((mode) => this.times(question, mode, moved));
    const bandwidth = exactly.get(this.place.get("memory.bandwidth")) ?? machine.bandwidth;
    const [script, constants] = this.data.counts[`${question.model}|${question.machine}|${question.devices}`];
    const [bytes, flops, needed, peak] = run(this.program(script), [question.batch, question.context, bandwidth], this.data.constants[constants]);
    const value = both(exactly);
    const totals = value.map((side) => side.slice(0, 6).reduce((sum, term) => sum + term));
    const answer = {
      bytes, flops, needed, peak, fits: needed <= machine.capacity, capacity: machine.capacity, speedup: totals[0] / totals[1],
      sides: modes.map((mode, i) => ({ mode, calls: this.side(question, mode)[3], terms: value[i].slice(0, 6), time: totals[i] })),
    };
    if (!intervals) return answer;
    const groups = this.groups(question, exactly), given = [value[0][6], value[1][6], ...totals], all = [new Map(exactly), new Map(exactly)];
    for (const [, ends] of groups) {
      ends.forEach((end, k) => end.forEach((number, i) => all[k].set(i, number)));
      for (const end of ends) for (const side of both(new Map([...exactly, ...end]))) given.push(side[6]);
    }
    for (const end of all) for (const side of both(end)) given.push(side[6]);
    const [combining, numbers] = this.data.combining[`${groups.length}|${machine.beyond}`];
    const [slow0, fast0, slow1, fast1, low, high] = run(this.program(combining), given, this.data.constants[numbers]);
    const fastest = (fast) => (machine.beyond && fast < peak ? peak : fast);
    Object.assign(answer.sides[0], { slow: slow0, fast: fastest(fast0) });
    Object.assign(answer.sides[1], { slow: slow1, fast: fastest(fast1) });
    return Object.assign(answer, { low, high });
  }
}

if (typeof module !== "undefined") module.exports = { Engine, decode, run };

// One SE block drawn step by step from the numbers of one image; nothing here computes a gate or asks the server.

const PACE = 5000, TERMS = 10, PARTS = 3, HEIGHT = 300, MAP = 226;
const SVG = "http://www.w3.org/2000/svg";
const ICONS = {
  back: "M15 4 6 12l9 8z", on: "m9 4 9 8-9 8z", play: "M7 3v18l14-9z", pause: "M6 4h4v16H6zm8 0h4v16h-4z",
  full: "M4 4h6v2H6v4H4zm10 0h6v6h-2V6h-4zM4 14h2v4h4v2H4zm14 0h2v6h-6v-2h4z",
};

// --- numbers and colours ---------------------------------------------------------------------------------------------

const text = (value, digits = 3) => {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  const short = size && (size < 1e-3 || size >= 1e5) ? value.toExponential(1) : String(Number(value.toPrecision(digits)));
  return short.replaceAll("-", "−");
};
const most = (values) => values.reduce((high, value) => Math.max(high, Math.abs(value)), 0) || 1;
const sum = (values) => values.reduce((total, value) => total + value, 0);
const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

const scaleOf = (stops) => (share) => {
  const at = clamp(share, 0, 1);
  const next = Math.max(1, stops.findIndex(([place]) => place >= at));
  const [[low, from], [high, to]] = [stops[next - 1], stops[next]];
  const part = (at - low) / (high - low), ends = [rgb(from), rgb(to)];
  return ends[0].map((value, index) => Math.round(value + part * (ends[1][index] - value)));
};

const paint = (values, width, colour) => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width, values.length / width];
  const pixels = canvas.getContext("2d").createImageData(canvas.width, canvas.height);
  values.forEach((value, at) => pixels.data.set([...colour(value), 255], 4 * at));
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  return canvas.toDataURL();
};

// --- elements --------------------------------------------------------------------------------------------------------

const draw = (name, settings = {}, ...inside) => {
  const element = document.createElementNS(SVG, name);
  Object.entries(settings).forEach(([key, value]) => element.setAttribute(key, value));
  element.append(...inside);
  return element;
};
const label = (words, x, y, settings = {}) => draw("text", { x, y, ...settings }, words);

// Letters of formulas: HTML in the fonts that Streamlit's own formulas bring, since a browser without a mathematics font
// sets MathML's indices and accents wrong.
const i = (name) => `<i>${name}</i>`;
const o = (sign) => `<span class="sign">${sign}</span>`;
const n = (value, digits) => `<span class="number">${typeof value === "string" ? value : text(value, digits)}</span>`;
const sub = (name, index) => `<span class="letter">${name}<sub>${index}</sub></span>`;
const sup = (name, power) => `<span class="letter">${name}<sup>${power}</sup></span>`;
const bold = (name) => `<b>${name}</b>`;
const frac = (top, bottom) => `<span class="fraction"><span>${top}</span><span>${bottom}</span></span>`;
const tilde = (letter, name) => `<span class="tilde" role="img" aria-label="${name} tilde">${letter}</span>`;
const mark = (name, inside) => `<span data-mark="${name}">${inside}</span>`;
const maths = (...parts) => `<div class="maths">${parts.map((part) => `<span class="term">${part}</span>`).join(" ")}</div>`;

// --- sums: what is shown adds up to the number that is shown ------------------------------------------------------------

// Digits behind the point with which a number has four that count.
const decimals = (value) => clamp(3 - Math.floor(Math.log10(Math.abs(value) || 1)), 0, 6);
const fixed = (value, digits) => (Number(value.toFixed(digits)) + 0).toFixed(digits).replace("-", "−");
const withSign = (value, digits) => (fixed(value, digits).startsWith("−") ? "" : "+") + fixed(value, digits);

// The first terms of a sum, all others in one, and the bias, rounded to one number of digits; what rounding leaves over is
// in the term of the others.
const addUp = (total, bias, shown, others) => {
  const digits = decimals(total), round = (value) => Number(value.toFixed(digits));
  const terms = [...shown.map((term) => ({ ...term, value: round(term.value) })), ...(others ? [{ mark: "rest", name: `${others} more`, others: true }] : []), { mark: "bias", name: "bias", value: round(bias) }];
  const known = sum(terms.filter((term) => !term.others).map((term) => term.value));
  const rest = terms.find((term) => term.others);
  if (rest) rest.value = round(total) - known;
  return { digits, terms, total: fixed(total, digits) };
};
const spell = (left, { digits, terms, total }, result) =>
  `<div class="sum maths"><span class="whole">${left}</span>${terms.map((term) =>
    `<span data-mark="${term.mark}"><span class="number">${withSign(term.value, digits)}</span><small>${term.name}</small></span>`).join("")}` +
  `<span class="whole" data-mark="${result}">=&nbsp;<span class="number">${total}</span></span></div>`;

// --- what stands beside each step: the equation, the equation with this channel's numbers, and what to look for -------

// Gates are no shares of one whole; said where half of their range is 0.5.
const crowd = (d) => d.range[0] === 0 && d.range[1] === 1
  ? ` ${d.gates.filter((gate) => gate > .5).length} of ${d.channels} gates are above 0.5 at once; a softmax would allow at most one.` : "";

const STEPS = {
  input: {
    name: () => "U", size: (d) => `${d.channels} × ${d.size.join(" × ")}`,
    words: (d) => [
      maths(bold("U") + o("=") + sub(bold("F"), "tr") + "(" + bold("X") + ")"),
      maths(sub(i("u"), d.channel) + o("∈") + sup('<span class="board">ℝ</span>', d.size.join(" × "))),
      `What the layers before make of the image: ${d.channels} maps. This one is channel ${d.channel}.`,
    ],
    note: (d) => `Above 0 the map is ${d.names[1]}, below 0 ${d.names[0]}. Point at the map to read it.`,
  },
  squeeze: {
    name: () => "Squeeze", size: (d) => `1 × 1 × ${d.channels}`,
    words: (d) => [
      maths(sub(i("z"), i("c")) + o("=") + (d.averaged
        ? frac("1", i("H") + i("W")) + `<span class="total"><span>∑</span><small>${i("i")}, ${i("j")}</small></span>` +
          sub(i("u"), i("c")) + `(${i("i")}, ${i("j")})`
        : sub(bold("F"), "sq") + "(" + sub(i("u"), i("c")) + ")")),
      maths(mark(`z${d.channel}`, sub(i("z"), d.channel)) + o("="),
        ...(d.averaged ? [frac(mark("map", n(d.z[d.channel] * d.map.length)), n(`${d.map.length}`)) + o("=")] : []),
        mark(`z${d.channel}`, n(d.z[d.channel], 4))),
      d.averaged ? "Each map becomes one number, its mean. Spatial position is discarded."
        : "Each map becomes one number. In this block it is not the mean of the map but another summary.",
    ],
    note: () => "Point at a bar to see its channel's map; click to open that channel.",
  },
  reduce: {
    name: () => "FC · W₁", size: (d) => `1 × 1 × ${d.before.length}`,
    words: (d, unit) => {
      const shown = d.inputs[unit].map(([at, weight]) => ({ mark: `z${at}`, name: `z${at}`, value: weight * d.z[at] }));
      return [
        maths(bold("a") + o("=") + sub(i("W"), "1") + bold("z") + o("+") + sub(bold("b"), "1")),
        spell(mark(`h${unit}`, sub(i("a"), unit)) + o("="), addUp(d.before[unit], d.biases[unit], shown, d.channels - shown.length), `h${unit}`),
        `All ${d.channels} numbers are weighed into ${d.before.length}. Here unit ${unit}, its largest terms first.`,
      ];
    },
    note: (d) => `Lines: the largest terms of one hidden unit; ${d.names[1]} adds, ${d.names[0]} subtracts. Point at a bar for another unit.`,
  },
  delta: {
    name: (d) => d.delta, size: (d) => `${d.hidden.filter((value) => value > 0).length} of ${d.hidden.length} on`,
    words: (d, unit) => [
      maths(bold("h") + o("=") + i("δ") + "(" + bold("a") + ")"),
      maths(mark(`h${unit}`, sub(i("h"), unit)) + o("="),
        (d.delta === "ReLU" ? "max(0, " : `${d.delta}(`) + mark(`h${unit}`, n(d.before[unit], 4)) + ")",
        o("=") + mark(`h${unit}`, n(d.hidden[unit], 4))),
      `${d.hidden.filter((value) => value > 0).length} of ${d.hidden.length} hidden units are above 0 for this image. ` +
        (d.delta === "ReLU" ? "The others are 0 and change no channel." : "δ makes the others small or negative."),
    ],
    note: () => "Above: before δ. Below: after it. Dashed bars are off.",
  },
  expand: {
    name: () => "FC · W₂", size: (d) => `1 × 1 × ${d.channels}`,
    words: (d, unit) => {
      const first = d.terms.slice(0, PARTS);
      if (!first.some((term) => term.unit === unit)) first.push(d.terms.find((term) => term.unit === unit));
      const shown = first.map((term) => ({ mark: `h${term.unit}`, name: `h${term.unit}`, value: term.value }));
      return [
        maths(bold("g") + o("=") + sub(i("W"), "2") + bold("h") + o("+") + sub(bold("b"), "2")),
        spell(mark("logit", sub(i("g"), d.channel)) + o("="), addUp(d.logits[d.channel], d.bias, shown, d.terms.length - shown.length), "logit"),
        `Each hidden unit that is on pushes channel ${d.channel} up or down, by its weight in row ${d.channel} of W₂.`,
      ];
    },
    note: (d) => `Each bar starts where the one above ends: the largest terms, the rest in one, the bias, and the ${d.argument} they sum to.`,
  },
  sigma: {
    name: (d) => d.sigma, size: (d) => `${d.channels} gates`,
    words: (d) => [
      maths(bold("s") + o("=") + i("σ") + "(" + bold("g") + ")"),
      maths(mark("gate", sub(i("s"), d.channel)) + o("="),
        d.sigma === "Sigmoid" ? frac("1", "1" + o("+") + sup(i("e"), `−(${mark("logit", n(d.logits[d.channel], 4))})`))
          : `${d.sigma}(` + mark("logit", n(d.logits[d.channel], 4)) + ")",
        o("=") + mark("gate", n(d.gates[d.channel], 4))),
      (d.sigma === "Sigmoid" ? "The sigmoid holds every gate between 0 and 1. A pre-sigmoid value of 0 gives 0.5: neither up nor down."
        : `${d.sigma} makes a gate of each pre-activation.`) + crowd(d),
    ],
    note: () => "The large point is this channel, the small ones all others of the block.",
  },
  gate: {
    name: () => "Excitation", size: (d) => `${d.channels} gates`,
    words: (d) => [
      maths(bold("s") + o("=") + sub(bold("F"), "ex") + "(" + bold("z") + ")"),
      maths(mark("gate", sub(i("s"), d.channel)) + o("="), mark("gate", n(d.gates[d.channel], 4))),
      "This block makes its gates in another way than by the paper's two layers: only what goes in and what comes out is shown.",
    ],
    note: () => "Every gate of the block. Point at a bar to see its channel's map; click to open that channel.",
  },
  scale: {
    name: () => "Scale", size: (d) => `${d.channels} × ${d.size.join(" × ")}`,
    words: (d) => [
      maths(sub(tilde(bold("x"), "x"), i("c")) + o("=") + (d.gain === 1 ? "" : d.gain + o("·")) + sub(i("s"), i("c")) + o("·") + sub(bold("u"), i("c"))),
      maths(sub(tilde(bold("x"), "x"), d.channel) + o("="), (d.gain === 1 ? "" : d.gain + o("·")) + mark("gate", n(d.gates[d.channel], 4)) + o("·") + mark("map", sub(bold("u"), d.channel))),
      "The whole map is multiplied by its gate: the same at every place, another for every image." +
        (d.gain === 1 ? "" : ` This network multiplies by ${d.gain} once more, so that a gate of ${1 / d.gain} leaves the map unchanged.`),
    ],
    note: () => "Both maps have one scale: all that changes is the gate. Point at a place to read it.",
  },
};

// --- the pictures ----------------------------------------------------------------------------------------------------

class Picture {
  constructor(view, width) {
    [this.view, this.d, this.width] = [view, view.d, width];
    this.svg = draw("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: "img" });
    this.reach = {};
  }

  add(...elements) { this.svg.append(...elements); return elements[0]; }

  signed(share) { const [r, g, b] = this.view.colour((share + 1) / 2); return `rgb(${r},${g},${b})`; }

  gated(value) { const [low, high] = this.d.range; return this.signed(clamp(2 * (value - low) / (high - low) - 1, -1, 1)); }

  map(values, x, y, side, name) {
    const [height, width] = this.d.grid, span = most(this.d.map), unit = side / Math.max(height, width);
    const href = paint(values.map((value) => value / span), width, (share) => this.view.colour((share + 1) / 2));
    const settings = { x, y, width: unit * width, height: unit * height };
    this.add(draw("image", { href, ...settings, preserveAspectRatio: "none" }), draw("rect", { class: "frame", ...settings, "data-mark": "map" }));
    const target = this.add(draw("rect", { class: "target", ...settings, style: "cursor: crosshair" }));
    target.onpointermove = (event) => {
      const box = target.getBoundingClientRect();
      const column = clamp(Math.floor((event.clientX - box.left) / box.width * width), 0, width - 1);
      const row = clamp(Math.floor((event.clientY - box.top) / box.height * height), 0, height - 1);
      const value = this.d.map[row * width + column], gate = this.d.gain * this.d.gates[this.d.channel];
      this.view.light("map", `Row ${row}, column ${column}: u = ${text(value, 4)}` +
        (name === "scale" ? `, times ${text(gate, 4)} is ${text(value * gate, 4)}.` : "."));
    };
    target.onpointerleave = () => this.view.light();
  }

  key(x, y, width) {
    const span = most(this.d.map), shares = Array.from({ length: 64 }, (_, at) => at / 63);
    this.add(draw("image", { href: paint(shares, 64, this.view.colour), x, y, width, height: 8, preserveAspectRatio: "none" }));
    [[-span, "start", 0], [0, "middle", 0.5], [span, "end", 1]].forEach(([value, anchor, at]) =>
      this.add(label(text(value), x + at * width, y + 24, { class: "quiet", "text-anchor": anchor })));
  }

  // Bars from 0, one a value: single shapes while they can be told apart, one path beyond.
  bars(values, { y, height, kind, colour, off = () => false, own = -1, span = most(values), x = 0, width = this.width }) {
    const step = width / values.length, floor = Math.max(-1, Math.min(0, Math.min(...values) / span)), zero = y + height / (1 - floor);
    const place = (value) => zero - value / span * height / (1 - floor);
    const shape = (at) => ({ x: x + at * step, y: Math.min(zero, place(values[at])), width: Math.max(step - (step > 4 ? 1.5 : 0), 0.7), height: Math.max(Math.abs(place(values[at]) - zero), 0.7) });
    this.add(draw("path", { class: "axis", d: `M${x} ${zero}H${x + width}` }));
    values.forEach((value, at) => {
      const element = draw("rect", { ...shape(at), fill: colour(value, at), class: off(value) ? "off" : "" });
      if (values.length <= 256) element.dataset.mark = `${kind}${at}`;
      this.add(element);
    });
    const pointer = this.add(draw("rect", { class: "frame", visibility: "hidden", style: "stroke: var(--st-text-color); stroke-width: 1.5" }));
    this.reach[kind] = (at) => {
      pointer.setAttribute("visibility", at === undefined ? "hidden" : "visible");
      if (at !== undefined) Object.entries({ x: x + (at + .5) * step - Math.max(step, 3) / 2 - 1, width: Math.max(step, 3) + 2, y: y - 2, height: height + 4 }).forEach(([key, value]) => pointer.setAttribute(key, value));
    };
    if (own >= 0) this.add(draw("path", { d: `M${x + (own + .5) * step} ${y + height + 4}l5 9h-10z`, fill: "var(--st-primary-color)" }));
    const target = this.add(draw("rect", { class: "target", x, y, width, height: height + 12 }));
    const find = (event) => { const box = target.getBoundingClientRect(); return clamp(Math.floor((event.clientX - box.left) / box.width * values.length), 0, values.length - 1); };
    // A click tells its place in whole pixels, which may hold several values: what was pointed at is meant.
    let aim;
    target.onpointerdown = target.onpointermove = (event) => this.view.touch(kind, aim = find(event));
    target.onpointerleave = () => this.view.light();
    if (kind === "z") target.onclick = () => this.view.open(aim);
    return { x: (at) => x + (at + .5) * step, zero, place };
  }

  input() {
    const side = Math.min(MAP, (this.width - 40) / 2), x = (this.width - 2 * side - 40) / 2, y = 30;
    this.add(draw("image", { href: this.d.photo, x, y, width: side, height: side }), label("the image X", x, y - 10, { class: "quiet" }));
    this.map(this.d.map, x + side + 40, y, side, "input");
    this.add(label(`its channel ${this.d.channel} here`, x + side + 40, y - 10, { class: "quiet" }));
    this.key(x + side + 40, y + side + 14, side);
  }

  squeeze() {
    const d = this.d, side = Math.min(120, this.width / 3);
    this.map(d.map, 0, 4, side, "squeeze");
    this.add(label(d.averaged ? "mean" : "summary", side + 34, 4 + side / 2 - 10, { class: "quiet", "text-anchor": "middle" }),
      draw("path", { class: "axis", d: `M${side + 10} ${4 + side / 2}h48m-8 -5l8 5l-8 5`, style: "stroke: var(--quiet); stroke-width: 1.5" }),
      label(text(d.z[d.channel], 4), side + 72, 12 + side / 2, { class: "big", "data-mark": `z${d.channel}` }));
    this.strip("z", d.z, 175, 100, `z: all ${d.channels} channels, by index`);
  }

  strip(kind, values, y, height, words) {
    const span = most(values);
    this.add(label(words, 0, y - 12, { class: "quiet" }), label(`largest ${text(span)}`, this.width, y - 12, { class: "quiet", "text-anchor": "end" }));
    return this.bars(values, { y, height, kind, own: this.d.channel, colour: (value) => this.signed(value < 0 ? Math.min(-.45, value / span) : Math.max(.45, value / span)) });
  }

  gate() {
    const d = this.d;
    this.strip("z", d.z, 30, 85, `z: what goes in`);
    this.add(label("s: what comes out, the gates by index", 0, 160, { class: "quiet" }));
    this.bars(d.gates, { y: 172, height: 100, kind: "s", own: d.channel, span: Math.max(1, most(d.gates)), colour: () => "var(--quiet)" });
  }

  units(values, y, height, words, span = most(values)) {
    this.add(label(words, 0, y - 8, { class: "quiet" }));
    return this.bars(values, { y, height, kind: "h", span, off: (value) => value < 0, colour: (value) => this.signed(value < 0 ? -.6 : .3 + .7 * value / span) });
  }

  reduce() {
    const d = this.d, z = this.strip("z", d.z, 26, 70, `z: all ${d.channels} channels`);
    const a = this.units(d.before, 196, 92, `a: ${d.before.length} hidden units before δ`);
    const lines = this.add(draw("g", { fill: "none" }));
    this.link = (unit) => {
      const high = Math.abs(d.inputs[unit][0][1] * d.z[d.inputs[unit][0][0]]) || 1;
      lines.replaceChildren(...d.inputs[unit].map(([at, weight]) => {
        const term = weight * d.z[at], [from, to] = [z.x(at), a.x(unit)];
        return draw("path", { d: `M${from} 110C${from} 150 ${to} 134 ${to} 172`, stroke: this.signed(term < 0 ? -.6 : .6), "stroke-width": .8 + 3.5 * Math.abs(term) / high });
      }));
      this.reach.h(unit);
    };
    this.link(this.view.unit);
  }

  delta() {
    const d = this.d, span = most(d.before);
    this.units(d.before, 30, 116, "a: before δ", span);
    const top = most(d.hidden);
    this.add(label("h = δ(a): after it", 0, 182, { class: "quiet" }));
    this.bars(d.hidden, { y: 192, height: 96, kind: "after", span: top, colour: (value) => this.signed(value > 0 ? .3 + .7 * value / top : -.6) });
    this.link = (unit) => { this.reach.h(unit); this.reach.after(unit); };
    this.link(this.view.unit);
  }

  expand() {
    const d = this.d, first = d.terms.slice(0, TERMS);
    const shown = first.map((term) => ({ ...term, mark: `h${term.unit}`, head: `h${term.unit}`, name: `${text(term.weight)} · ${text(d.hidden[term.unit])}` }));
    const { digits, terms: rows } = addUp(d.logits[d.channel], d.bias, shown, d.terms.length - shown.length);
    let total = 0;
    const ends = rows.map((row) => [total, total += row.value]);
    const all = [0, ...ends.flat()], [low, high] = [Math.min(...all), Math.max(...all)];
    const left = 172, right = this.width - 58, place = (value) => left + (value - low) / (high - low || 1) * (right - left), height = (HEIGHT - 8) / (rows.length + 1);
    this.add(draw("path", { class: "axis", d: `M${place(0)} 0V${HEIGHT - 8}` }));
    [...rows, { name: d.argument, value: total, mark: "logit", whole: true }].forEach((row, at) => {
      const [from, to] = row.whole ? [0, total] : ends[at], y = at * height;
      if (row.head) this.add(label(row.head, 0, y + height / 2 + 5, { "data-mark": row.mark, style: "font-weight: 600" }));
      this.add(label(row.name, row.head ? 40 : 0, y + height / 2 + 5, { "data-mark": row.mark, ...(row.whole ? { style: "font-weight: 600" } : {}) }),
        draw("rect", { x: Math.min(place(from), place(to)), y: y + 3, width: Math.max(Math.abs(place(to) - place(from)), 1.5), height: height - 6, rx: 1, fill: this.signed(row.value < 0 ? -.65 : .65), "data-mark": row.mark, class: "grow", style: `animation-delay: ${60 * at}ms` }),
        label(withSign(row.value, digits), Math.max(place(from), place(to)) + 6, y + height / 2 + 5, { "data-mark": row.mark }));
      if (!row.whole) this.add(draw("path", { class: "axis", d: `M${place(to)} ${y + 3}v${height}` }));
      const target = this.add(draw("rect", { class: "target", x: 0, y, width: this.width, height, style: "cursor: default" }));
      target.onpointerenter = () => (row.head ? this.view.touch("h", Number(row.head.slice(1))) : this.view.light(row.mark));
      target.onpointerleave = () => this.view.light();
    });
  }

  sigma() {
    const d = this.d, [xs, ys] = d.curve, left = 44, right = this.width - 12, top = 26, bottom = HEIGHT - 44;
    const high = Math.max(...ys, 1), low = Math.min(...ys, 0);
    const x = (value) => left + (value - xs[0]) / (xs.at(-1) - xs[0]) * (right - left), y = (value) => bottom - (value - low) / (high - low) * (bottom - top);
    const path = (points) => points.map(([a, b], at) => `${at ? "L" : "M"}${x(a).toFixed(1)} ${y(b).toFixed(1)}`).join("");
    [low, (low + high) / 2, high].forEach((value) => this.add(draw("path", { class: "axis", d: `M${left} ${y(value)}H${right}` }), label(text(value), left - 8, y(value) + 5, { "text-anchor": "end", class: "quiet" })));
    [Math.ceil(xs[0] / 2) * 2, 0, Math.floor(xs.at(-1) / 2) * 2].forEach((value) => this.add(label(text(value), x(value), bottom + 20, { "text-anchor": "middle", class: "quiet" })));
    this.add(draw("path", { class: "axis", d: `M${x(0)} ${top}V${bottom}` }), label(`${d.argument} g`, right, bottom + 38, { "text-anchor": "end", class: "quiet" }),
      label("gate s", 8, 10, { class: "quiet" }),
      draw("path", { d: path(xs.map((value, at) => [value, ys[at]])), fill: "none", stroke: "var(--quiet)", "stroke-width": 2 }),
      draw("path", { d: d.logits.map((value, at) => `M${x(value).toFixed(1)} ${y(d.gates[at]).toFixed(1)}h0`).join(""), stroke: "var(--st-text-color)", "stroke-opacity": d.channels > 512 ? .2 : .35, "stroke-width": 6, "stroke-linecap": "round" }));
    const [logit, gate] = [d.logits[d.channel], d.gates[d.channel]];
    this.add(draw("path", { d: `M${x(logit)} ${bottom}V${y(gate)}H${left}`, fill: "none", stroke: "var(--st-primary-color)", "stroke-width": 1.5, "stroke-dasharray": "4 4" }),
      draw("circle", { cx: x(logit), cy: y(gate), r: 8, fill: "var(--st-primary-color)", "data-mark": "gate" }));
    const end = x(logit) > this.width - 130;
    this.add(label(`s = ${text(gate, 4)}`, x(logit) + (end ? -14 : 14), y(gate) + (end ? -12 : 22), { "data-mark": "gate", "text-anchor": end ? "end" : "start", style: "font-weight: 600; font-size: 15px" }));
  }

  scale() {
    const d = this.d, gap = clamp(this.width / 5, 84, 110), side = Math.min(MAP, (this.width - gap) / 2), x = (this.width - 2 * side - gap) / 2, y = 30;
    this.map(d.map, x, y, side, "scale");
    this.map(d.map.map((value) => value * d.gain * d.gates[d.channel]), x + side + gap, y, side, "scale");
    this.add(label("before: u", x, y - 10, { class: "quiet" }), label("after: s · u", x + side + gap, y - 10, { class: "quiet" }),
      label(`× ${d.gain === 1 ? "" : `${d.gain} · `}${text(d.gates[d.channel])}`, x + side + gap / 2, y + side / 2, { "text-anchor": "middle", style: "font-size: 16px; font-weight: 600", "data-mark": "gate" }),
      draw("path", { class: "axis", d: `M${x + side + 16} ${y + side / 2 + 16}h${gap - 32}m-8 -5l8 5l-8 5`, style: "stroke: var(--quiet); stroke-width: 1.5" }));
    this.key(x, y + side + 14, side);
  }
}

// --- the view --------------------------------------------------------------------------------------------------------

class View {
  constructor({ data, parentElement, setTriggerValue }, memory) {
    [this.d, this.send, this.memory] = [data, setTriggerValue, memory];
    this.root = parentElement.querySelector(".microscope");
    this.colour = scaleOf(data.colours);
    const inside = data.before ? ["reduce", "delta", "expand", "sigma"] : ["gate"];
    this.steps = ["input", "squeeze", ...inside, "scale"];
    memory.step = Math.min(memory.step, this.steps.length - 1);
    if (data.before) {
      data.terms = data.weights.map((weight, unit) => ({ unit, weight, value: weight * data.hidden[unit] })).sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
      this.unit = data.terms[0].unit;
    }
    this.frame();
    this.show();
    this.observer = new ResizeObserver(() => { if (this.box.clientWidth !== this.drawn) this.show(); });
    this.observer.observe(this.box);
  }

  frame() {
    this.root.innerHTML = `<div class="head"><div class="controls"></div>
        <div class="flow" role="group" aria-label="Steps of the block" style="--steps: ${this.steps.length}">
          <div class="bypass"><span>U goes on unchanged, to be scaled</span></div></div></div>
      <div class="stage"><div class="picture"></div><div class="words" aria-live="polite"></div><p class="note"></p></div>`;
    this.root.style.setProperty("--pace", `${PACE}ms`);
    [this.box, this.words, this.note, this.controls, this.flow] = [".picture", ".words", ".note", ".controls", ".flow"].map((name) => this.root.querySelector(name));
    this.nodes = this.steps.map((step, at) => this.node(step, at));
    this.flow.append(...this.nodes);
    this.buttons = [["Step back", ICONS.back, () => this.go(this.memory.step - 1)], ["Play", ICONS.play, () => this.play(!this.timer)], ["Step forward", ICONS.on, () => this.go(this.memory.step + 1)]].map(([name, icon, act]) => this.button(name, icon, act));
    const full = this.button("Full screen", ICONS.full, () => this.fill());
    full.hidden = !document.fullscreenEnabled;
    this.controls.append(...this.buttons, full, Object.assign(document.createElement("span"), { className: "where" }));
    this.controls.title = "← → step · ↑ ↓ hidden unit · space plays · F full screen";
    this.root.onfullscreenchange = () => this.enlarge();
    this.enlarge();
    this.words.onpointerover = (event) => { const part = event.target.closest("[data-mark]"); if (part) this.touchMark(part.dataset.mark); };
    this.words.onpointerleave = () => this.light();
    this.root.onkeydown = (event) => this.press(event);
  }

  node(step, at) {
    const button = Object.assign(document.createElement("button"), { type: "button", onclick: () => this.go(at) });
    const { name, size } = STEPS[step];
    button.innerHTML = `<span class="glyph"></span><span class="name"></span><span class="size"></span><span class="bar"><i></i></span>`;
    button.querySelector(".name").innerHTML = step === "scale" ? `Scale → ${tilde("X", "X")}` : name(this.d);
    button.querySelector(".size").textContent = size(this.d);
    button.querySelector(".glyph").append(this.glyph(step));
    return button;
  }

  // The shapes of the paper's figure, in the colours of this image's numbers.
  glyph(step) {
    const d = this.d, svg = draw("svg", { width: 64, height: 64, viewBox: "0 0 64 64", "aria-hidden": "true" }), picture = new Picture(this, 64);
    if (step === "input" || step === "scale") {
      const gate = step === "scale" ? d.gain * d.gates[d.channel] : 1, span = most(d.map);
      [16, 12, 8, 4].forEach((shift) => svg.append(draw("rect", { x: 8 + shift, y: 20 - shift, width: 40, height: 40, fill: "var(--st-secondary-background-color)", stroke: "var(--quiet)" })));
      svg.append(draw("image", { href: paint(d.map.map((value) => value * gate / span), d.grid[1], (share) => this.colour((share + 1) / 2)), x: 8, y: 20, width: 40, height: 40, preserveAspectRatio: "none", style: "image-rendering: pixelated" }),
        draw("rect", { x: 8, y: 20, width: 40, height: 40, fill: "none", stroke: "var(--quiet)" }));
      return svg;
    }
    const [values, count] = { squeeze: [d.z, 16], reduce: [d.before, 8], delta: [d.hidden, 8], expand: [d.logits, 16], sigma: [d.gates, 16], gate: [d.gates, 16] }[step];
    const side = 60 / 16, top = 2 + (16 - count) * side / 2, span = most(values), gates = step === "sigma" || step === "gate";
    // A part of the values, evenly taken: a strip has no room for all.
    Array.from({ length: count }, (_, at) => values[Math.floor(at * values.length / count)]).forEach((value, at) =>
      svg.append(draw("rect", { x: 25, y: top + at * side, width: 14, height: side, fill: gates ? picture.gated(value) : picture.signed(value / span), stroke: "var(--quiet)", "stroke-width": .6 })));
    return svg;
  }

  button(name, icon, act) {
    const button = Object.assign(document.createElement("button"), { type: "button", title: name, onclick: act });
    button.setAttribute("aria-label", name);
    button.append(draw("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, draw("path", { d: icon })));
    return button;
  }

  get step() { return this.steps[this.memory.step]; }

  show() {
    const { step: at } = this.memory;
    this.nodes.forEach((node, place) => {
      node.classList.toggle("ahead", place > at);
      node.toggleAttribute("aria-current", place === at);
      if (place === at) node.setAttribute("aria-current", "step");
    });
    this.drawn = this.box.clientWidth;
    this.picture = new Picture(this, Math.max(this.drawn, 240));
    this.picture[this.step]();
    this.picture.svg.setAttribute("aria-label", `${STEPS[this.step].name(this.d)} of channel ${this.d.channel}`);
    this.box.replaceChildren(this.picture.svg);
    this.root.querySelector(".where").textContent = `Step ${at + 1} of ${this.steps.length}`;
    [this.buttons[0].disabled, this.buttons[2].disabled] = [at === 0, at === this.steps.length - 1];
    this.write();
    this.light();
  }

  write() {
    const parts = STEPS[this.step].words(this.d, this.unit);
    const [sentence] = parts.splice(-1);
    this.words.innerHTML = `${parts.join("")}<p></p>`;
    this.words.querySelector("p").textContent = sentence;
  }

  fill() {
    if (this.isFull) document.exitFullscreen(); else this.root.requestFullscreen().then(() => this.root.focus());
  }

  get isFull() { return this.root.matches(":fullscreen"); }

  // A projector's whole screen: all of it larger, type too.
  enlarge() { this.root.style.zoom = this.isFull ? clamp(Math.min(innerWidth / 980, innerHeight / 540), 1, 3) : ""; }

  go(at) {
    if (at < 0 || at >= this.steps.length) return;
    this.memory.step = at;
    // The same nodes again would not begin their animation again.
    [this.box, this.words].forEach((part) => { part.style.animation = "none"; part.offsetWidth; part.style.animation = ""; });
    this.show();
    if (this.timer) this.play(true);
  }

  play(on) {
    clearTimeout(this.timer);
    const last = this.steps.length - 1;
    if (on && !this.timer && this.memory.step === last) { this.memory.step = 0; this.show(); }
    this.timer = on ? setTimeout(() => (this.memory.step < last ? this.go(this.memory.step + 1) : this.play(false)), PACE) : undefined;
    this.root.classList.toggle("playing", on);
    const name = on ? "Pause" : "Play";
    this.buttons[1].setAttribute("aria-label", name);
    this.buttons[1].title = name;
    this.buttons[1].querySelector("path").setAttribute("d", on ? ICONS.pause : ICONS.play);
  }

  press(event) {
    const shift = { ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1 }[event.key], turn = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (shift) this.go(this.memory.step + shift);
    else if (turn && this.picture.link || turn && this.step === "expand") {
      const order = this.d.terms.map((term) => term.unit);
      this.touch("h", order[(order.indexOf(this.unit) + turn + order.length) % order.length]);
    } else if (event.key === " ") this.play(!this.timer);
    else if (event.key === "f" && !event.ctrlKey && !event.metaKey && !event.altKey) this.fill();
    else return;
    event.preventDefault();
  }

  touchMark(name) {
    const [, kind, at] = /^([a-z]+?)(\d*)$/.exec(name);
    if (at) this.touch(kind, Number(at)); else this.light(name);
  }

  touch(kind, at) {
    const d = this.d;
    if (kind === "z" || kind === "s") {
      this.light(`${kind}${at}`, `Channel ${at}: z = ${text(d.z[at], 4)}, gate ${text(d.gates[at], 4)}. ` + (at === d.channel ? "It is the open one." : kind === "z" ? "Click the bar to open it." : "") + this.weigh(kind, at), at);
      this.picture.reach[kind]?.(at);
      return;
    }
    const changed = at !== this.unit;
    this.unit = at;
    if (changed) { this.write(); this.picture.link?.(at); }
    this.light(`h${at}`, `Hidden unit ${at}: ${text(d.before[at], 4)} before δ, ${text(d.hidden[at], 4)} after. Its weight on channel ${d.channel} is ${text(d.weights[at])}, so it adds ${text(d.weights[at] * d.hidden[at])} to the logit.`);
  }

  weigh(kind, at) {
    const input = kind === "z" && this.step === "reduce" && this.d.inputs[this.unit].find(([channel]) => channel === at);
    return input ? ` Its weight for hidden unit ${this.unit} is ${text(input[1])}, so it adds ${text(input[1] * this.d.z[at])}.` : "";
  }

  light(name, words, thumb) {
    this.root.querySelectorAll(".lit").forEach((part) => part.classList.remove("lit"));
    ["z", "s"].forEach((kind) => this.picture.reach[kind]?.());
    if (name) this.root.querySelectorAll(`[data-mark="${name}"]`).forEach((part) => part.classList.add("lit"));
    this.note.textContent = words ?? STEPS[this.step].note(this.d);
    if (thumb !== undefined) this.note.prepend(Object.assign(document.createElement("img"), { src: this.thumb(thumb), alt: `Map of channel ${thumb}` }));
  }

  thumb(channel) {
    const { side, codes } = this.d.thumbs, size = side * side;
    this.codes ??= Int8Array.from(atob(codes), (sign) => sign.charCodeAt(0));
    return paint(Array.from(this.codes.subarray(channel * size, (channel + 1) * size)), side, (code) => this.colour((code / 127 + 1) / 2));
  }

  open(channel) { if (channel !== this.d.channel) this.send("channel", channel); }

  stop() { this.play(false); this.observer.disconnect(); }
}

// Streamlit calls this anew for every change of the data: the step stays, and playing goes on.
const memories = new WeakMap();

export default function (component) {
  const memory = memories.get(component.parentElement) ?? { step: 0 };
  const playing = Boolean(memory.view?.timer);
  memory.view?.stop();
  memory.view = new View(component, memory);
  if (playing) memory.view.play(true);
  memories.set(component.parentElement, memory);
  return () => memory.view.stop();
}

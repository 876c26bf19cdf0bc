// The gate map, painted on one canvas: a row a block, a cell a channel. Nothing here computes a gate.

const HEAD = 36, FOOT = 44, ABOVE = 210, LEAST = 13, SPLIT = 0.75, GAP = 0.045, EDGE = 8, SIZE = 12;
const MISSING = 65535, COLOURS = 127;

// --- numbers and words -----------------------------------------------------------------------------

const unpack = ({ low, step, codes }) => {
  const bytes = Uint8Array.from(atob(codes), (sign) => sign.charCodeAt(0));
  return Float64Array.from(new Uint16Array(bytes.buffer), (code) => code === MISSING ? NaN : low + step * code);
};

const digits = (value) => {
  if (!Number.isFinite(value)) return "not a number";
  const size = Math.abs(value);
  const text = size && (size < 0.001 || size >= 1e5) ? value.toExponential(2)
    : value.toFixed(size < 10 ? 3 : size < 1000 ? 2 : 0);
  return text.replace("-", "−");
};

const shorten = (context, text, width) => {
  if (context.measureText(text).width <= width) return text;
  let end = text.length;
  while (end && context.measureText(`${text.slice(0, end)}…`).width > width) end -= 1;
  return `${text.slice(0, end)}…`;
};

// A page that is shown to a class is enlarged.
const zoomOf = (element) => element.currentCSSZoom ?? 1;

// --- the picture ----------------------------------------------------------------------------------

class GateMap {
  constructor(root) {
    this.root = root;
    [this.canvas, this.list, this.cell, this.tip] =
      ["canvas", ".rows", ".cell", ".tip"].map((name) => root.querySelector(name));
    this.width = 0;
    this.list.addEventListener("pointermove", (event) => this.point(event));
    this.list.addEventListener("pointerleave", () => this.touch(null));
    this.list.addEventListener("click", (event) => this.open(event.target.dataset.at));
    this.list.addEventListener("keydown", (event) => this.press(event));
    this.list.addEventListener("blur", () => this.touch(null));
    root.querySelector(".camera").addEventListener("click", () => this.save());
    // It answers before the frame is painted, so the first picture does not wait for another one.
    new ResizeObserver(([entry]) => {
      this.width = entry.contentRect.width;
      this.show();
    }).observe(root);
  }

  update(data, send) {
    const { rows, values, keys } = data;
    this.data = data;
    this.send = send;
    this.values = unpack(values);
    this.colours = Uint32Array.from({ length: COLOURS }, (_, at) => pixel(blend(data.colours.scale, at / (COLOURS - 1))));
    const sorting = keys ? unpack(keys) : this.values;
    // As high as the window allows, so that all rows stand on one screen.
    const room = window.innerHeight / zoomOf(this.root) - ABOVE - HEAD - FOOT;
    this.line = Math.max(LEAST, Math.min(data.line, Math.floor(room / rows.at(-1).place)));
    let first = 0;
    this.rows = rows.map((row) => {
      const channels = Uint32Array.from({ length: row.channels }, (_, at) => first + at);
      const key = (at) => Number.isNaN(sorting[at]) ? -Infinity : sorting[at];
      if (data.sorted) channels.sort((one, other) => key(other) - key(one) || one - other);
      first += row.channels;
      return { ...row, channels, first: first - row.channels, top: HEAD + (row.place - 1) * this.line };
    });
    this.height = HEAD + rows.at(-1).place * this.line + FOOT;
    this.root.style.height = `${this.height}px`;
    this.tabulate();
    this.touch(null);
    this.show();
  }

  // What a screen reader meets, and what takes clicks: a list with a row a block, over the picture.
  tabulate() {
    this.list.replaceChildren(...this.rows.map((row, at) => {
      const element = document.createElement("div");
      element.className = "row";
      element.id = `row-${at}`;
      element.dataset.at = at;
      element.style.cssText = `top: ${row.top}px; height: ${this.line}px`;
      element.setAttribute("role", "option");
      element.setAttribute("aria-selected", row.path === this.data.selected);
      element.setAttribute("aria-label", `${row.block}: ${row.channels} channels, ${this.mean(row)}`);
      return element;
    }));
  }

  mean(row) {
    return `mean ${this.data.value} ${digits(row.mean)} ± ${digits(row.spread)}`;
  }

  show() {
    if (!this.width || !this.data) return;
    const scale = window.devicePixelRatio * zoomOf(this.root);
    this.canvas.width = Math.round(this.width * scale);
    this.canvas.height = Math.round(this.height * scale);
    this.paint(this.canvas.getContext("2d"), scale);
  }

  paint(context, scale) {
    this.scale = scale;
    this.context = context;
    context.setTransform(scale, 0, 0, scale, 0, 0);
    this.family = getComputedStyle(this.root).fontFamily;
    this.measure();
    this.rows.forEach((row) => this.paintRow(row));
    this.data.stages.forEach((stage) => this.paintHeading(stage));
    this.paintBar();
    this.paintAxes();
    this.paintMeans();
    const open = this.rows.find((row) => row.path === this.data.selected);
    if (open) this.frame(open);
  }

  measure() {
    this.context.font = `${SIZE}px ${this.family}`;
    const widest = Math.max(...this.rows.map((row) => this.context.measureText(row.block).width));
    const label = Math.min(widest, this.width / 4);
    const left = label + 8, whole = this.width - EDGE - left;
    const [end, start] = [SPLIT - GAP / 2, SPLIT + GAP / 2].map((share) => left + share * whole);
    this.heat = { label, left, width: end - left };
    this.side = { left: start, width: whole + left - start };
    this.bottom = this.height - FOOT;
  }

  colourOf(value) {
    const { span: [low, high], colours } = this.data, { step } = this.data.values;
    if (value < low - step) return pixel(parse(colours.clipped[0]));
    if (value > high + step) return pixel(parse(colours.clipped[1]));
    return this.colours[Math.round((COLOURS - 1) * Math.min(1, Math.max(0, (value - low) / (high - low))))];
  }

  // One pixel shows the one channel at its middle, which is also the one that is named there.
  paintRow(row) {
    const { context, scale, heat } = this;
    const width = Math.round(heat.width * scale), height = Math.round((this.line - 2) * scale);
    const picture = context.createImageData(width, height), pixels = new Uint32Array(picture.data.buffer);
    const crosses = [];
    for (let at = 0; at < width; at += 1) {
      const value = this.values[row.channels[Math.floor((at + 0.5) / width * row.channels.length)]];
      if (Number.isNaN(value)) crosses.push(heat.left + at / scale);
      else pixels[at] = this.colourOf(value);
    }
    for (let line = 1; line < height; line += 1) pixels.copyWithin(line * width, 0, width);
    context.putImageData(picture, Math.round(heat.left * scale), Math.round((row.top + 1) * scale));
    this.paintCrosses(row, crosses);
    this.write(shorten(context, row.block, heat.label), heat.left - 8, this.middle(row), "right");
  }

  paintCrosses(row, places) {
    const { context } = this, y = this.middle(row);
    let last = -Infinity;
    context.strokeStyle = this.data.colours.missing;
    context.lineWidth = 2;
    for (const x of places) {
      if (x - last < 8) continue;
      last = x;
      context.beginPath();
      [[-3, -3, 3, 3], [-3, 3, 3, -3]].forEach(([a, b, c, d]) => {
        context.moveTo(x + a, y + b);
        context.lineTo(x + c, y + d);
      });
      context.stroke();
    }
  }

  middle(row) { return row.top + this.line / 2; }

  write(text, x, y, align = "left", weight = 400) {
    const { context } = this;
    context.font = `${weight} ${SIZE}px ${this.family}`;
    context.fillStyle = this.data.colours.ink;
    context.textAlign = align;
    context.textBaseline = "middle";
    context.fillText(text, x, y);
  }

  paintHeading({ place, words: [name, blocks] }) {
    const { context, heat } = this, y = HEAD + (place - 0.45) * this.line;
    this.write(name, heat.left, y, "left", 600);
    const start = heat.left + context.measureText(`${name}  `).width;
    context.font = `${SIZE}px ${this.family}`;
    this.write(shorten(context, blocks, this.width - start), start, y);
  }

  paintBar() {
    const { context, heat, data } = this, width = 0.4 * heat.width, [low, high] = data.span;
    if (data.texts.length > 1) this.write(data.value, heat.left - 8, 8, "right");
    else this.write(data.texts[0], heat.left + width + 8, 8);
    for (let at = 0; at < COLOURS; at += 1) {
      const colour = data.texts.length > 1 ? at / (COLOURS - 1) : -low / (high - low);
      context.fillStyle = `rgb(${blend(data.colours.scale, colour)})`;
      context.fillRect(heat.left + at / COLOURS * width, 4, width / COLOURS + 0.5, 8);
    }
    if (data.texts.length < 2) return;
    const aligns = ["left", "center", "right"];
    data.texts.forEach((text, at) => this.write(text.replace("-", "−"), heat.left + at / 2 * width, 22, aligns[at]));
  }

  paintAxes() {
    const { heat, side, data } = this, { ends: [low, high], ticks } = data.means;
    const narrow = heat.width < 260;
    for (let share = 0; share <= 100; share += narrow ? 50 : 20) {
      // On a phone it ran into the 0 of the next axis: "1000".
      const align = narrow && share === 100 ? "right" : "center";
      this.write(`${share}`, heat.left + share / 100 * heat.width, this.bottom + 11, align);
    }
    this.write(shorten(this.context, data.axis, heat.width), heat.left + heat.width / 2, this.bottom + 31, "center");
    ticks.forEach((tick) => {
      const text = `${Number(tick.toPrecision(3))}`.replace("-", "−"), half = this.context.measureText(text).width / 2;
      // A number at the end of the axis would be cut at the frame.
      const x = Math.min(this.width - half, side.left + (tick - low) / (high - low || 1) * side.width);
      this.write(text, x, this.bottom + 11, "center");
    });
    this.write("mean ± std", side.left + side.width / 2, this.bottom + 31, "center");
  }

  paintMeans() {
    const { context, side, data } = this, { ends: [low, high], rule } = data.means;
    const x = (value) => side.left + (value - low) / (high - low || 1) * side.width;
    const line = (places, colour, width, dashes = []) => {
      [context.strokeStyle, context.lineWidth] = [colour, width];
      context.setLineDash(dashes);
      context.beginPath();
      places.forEach(([left, top], at) => context[at ? "lineTo" : "moveTo"](left, top));
      context.stroke();
      context.setLineDash([]);
    };
    for (const row of this.rows) {
      const y = this.middle(row);
      // Not across the headings, which it would cross out.
      line([[x(rule), row.top], [x(rule), row.top + this.line]], data.colours.faint, 1, [2, 3]);
      line([[x(row.mean - row.spread), y], [x(row.mean + row.spread), y]], data.colours.faint, 1.5);
      context.fillStyle = data.colours.ink;
      context.beginPath();
      context.arc(x(row.mean), y, Math.min(4.5, this.line / 3), 0, 2 * Math.PI);
      context.fill();
    }
  }

  frame(row) {
    const { context, heat } = this;
    context.strokeStyle = this.data.colours.ink;
    context.lineWidth = 2;
    context.strokeRect(heat.left, row.top, heat.width, this.line);
    const place = row.channels.indexOf(row.first + this.data.channel);
    if (place < 0) return;
    // The open channel: a pin that is wider than its cell, and seen on any colour.
    const x = heat.left + (place + 0.5) / row.channels.length * heat.width;
    [[this.data.colours.page, 3, 3], [this.data.colours.ink, 1.5, 4]].forEach(([colour, half, out]) => {
      context.fillStyle = colour;
      context.fillRect(x - half, row.top - out, 2 * half, this.line + 2 * out);
    });
  }

  // --- pointing, keys, files ---------------------------------------------------------------------

  point(event) {
    const at = event.target.dataset.at;
    if (at === undefined) return this.touch(null);
    const x = (event.clientX - this.root.getBoundingClientRect().left) / zoomOf(this.root);
    const share = (x - this.heat.left) / this.heat.width;
    const row = this.rows[at];
    const place = share >= 0 && share < 1 ? Math.floor(share * row.channels.length) : null;
    return this.touch({ at: Number(at), place });
  }

  touch(touched) {
    this.touched = touched;
    this.cell.hidden = !touched || touched.place === null;
    this.tip.hidden = !touched;
    if (!touched) return;
    const { heat, data } = this, row = this.rows[touched.at], { place } = touched;
    const words = [["b", row.block]];
    const size = heat.width / row.channels.length, left = heat.left + (place ?? 0) * size;
    if (place !== null) {
      const channel = row.channels[place], wide = Math.max(size, 5);
      words.push(["span", `channel ${channel - row.first}: ${data.value} ${digits(this.values[channel])}`]);
      this.cell.style.cssText =
        `left: ${left + size / 2 - wide / 2}px; top: ${row.top}px; width: ${wide}px; height: ${this.line}px`;
    }
    words.push(["span", this.mean(row)], ["span", `click to open the ${place === null ? "block" : "channel"}`]);
    this.tip.replaceChildren(...words.map(([name, text]) => Object.assign(document.createElement(name), { textContent: text })));
    const below = row.top + this.line + 6, high = this.tip.offsetHeight;
    this.tip.style.top = `${below + high > this.height ? row.top - high - 6 : below}px`;
    const middle = place === null ? this.side.left : left + size / 2;
    this.tip.style.left = `${Math.max(0, Math.min(this.width - 190, middle - 60))}px`;
  }

  press(event) {
    const last = this.rows.length - 1, open = this.rows.findIndex((row) => row.path === this.data.selected);
    const { at, place } = this.touched ?? { at: Math.max(0, open), place: null };
    const end = this.rows[at].channels.length - 1;
    const clamp = (value, most) => Math.max(0, Math.min(most, value));
    const down = this.touched ? { ArrowDown: 1, ArrowUp: -1 }[event.key] : { ArrowDown: 0, ArrowUp: 0 }[event.key];
    const along = { ArrowRight: 1, ArrowLeft: -1, PageDown: 10, PageUp: -10, Home: -end, End: end }[event.key];
    if (down !== undefined) {
      const next = clamp(at + down, last), share = place === null ? null : (place + 0.5) / (end + 1);
      this.touch({ at: next, place: share === null ? null : Math.floor(share * this.rows[next].channels.length) });
    } else if (along !== undefined) this.touch({ at, place: place === null ? 0 : clamp(place + along, end) });
    else if (event.key === "Enter" || event.key === " ") this.open(at);
    else if (event.key === "Escape") this.touch(null);
    else return;
    if (this.touched) this.list.setAttribute("aria-activedescendant", `row-${this.touched.at}`);
    event.preventDefault();
  }

  open(at) {
    if (at === undefined) return;
    const row = this.rows[at], place = this.touched?.at === Number(at) ? this.touched.place : null;
    this.send("place", { block: row.path, channel: place === null ? null : row.channels[place] - row.first });
  }

  save() {
    save("gates", this.data.colours.page, [this.width, this.height], (context, scale) => this.paint(context, scale));
    this.show();
  }
}

// Streamlit calls this anew for every change of the data.
const maps = new WeakMap();

export default function ({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".gate-map");
  if (!maps.has(root)) maps.set(root, new GateMap(root));
  maps.get(root).update(data, setTriggerValue);
}

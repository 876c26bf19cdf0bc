// Channels of the open block before and after scaling: a column a channel, a canvas a map, a pixel a value.

const COLOURS = 127;

// The codes are -1 to 127: clipped, the scale from end to end, clipped.
const palette = ({ scale, clipped: [low, high] }) => {
  const inner = Array.from({ length: COLOURS }, (_, at) => blend(scale, at / (COLOURS - 1)));
  return Uint32Array.from([parse(low), ...inner, parse(high)], pixel);
};

const make = (name, place, options) => {
  const element = Object.assign(document.createElement(name), options);
  element.style.gridArea = place;
  return element;
};

class ChannelMaps {
  constructor(root) {
    this.grid = root.querySelector(".maps");
    this.grid.addEventListener("click", (event) => this.choose(event.target.dataset.channel));
    root.querySelector(".camera").addEventListener("click", () => this.save());
  }

  update(data, key, send) {
    Object.assign(this, { data, key, send, colours: palette(data.colours) });
    const [height, width] = data.shape, size = height * width;
    const codes = Int8Array.from(atob(data.codes), (sign) => sign.charCodeAt(0));
    this.texts = data.rows.map((text, row) => make("span", `${row + 2} / 1`, { className: "row", textContent: text }));
    this.maps = [];
    const buttons = data.channels.map((channel, column) => {
      const words = `#${channel}\ns = ${data.gates[column]}`;
      this.texts.push(make("span", `1 / ${column + 2}`, { className: "head", textContent: words }));
      data.rows.forEach((_, row) => {
        const map = make("canvas", `${row + 2} / ${column + 2}`, { height, width });
        const first = (2 * column + row) * size;
        this.paint(map.getContext("2d"), codes.subarray(first, first + size));
        this.maps.push(map);
      });
      const button = make("button", `1 / ${column + 2} / 4`, { type: "button", title: `click to open channel ${channel}` });
      button.dataset.channel = channel;
      button.setAttribute("aria-pressed", channel === data.open);
      button.setAttribute("aria-label", `Channel ${channel}, gate ${data.gates[column]}: open it`);
      return button;
    });
    this.fill([...this.texts, ...this.maps, ...buttons]);
  }

  // The keyboard stays where it was.
  fill(elements) {
    const focused = this.grid.getRootNode().activeElement?.dataset.channel;
    this.grid.style.setProperty("--channels", this.data.channels.length);
    this.grid.replaceChildren(...elements);
    if (focused) this.grid.querySelector(`[data-channel="${focused}"]`)?.focus();
  }

  paint(context, codes) {
    const picture = context.createImageData(context.canvas.width, context.canvas.height);
    new Uint32Array(picture.data.buffer).set(Array.from(codes, (code) => this.colours[code + 1]));
    context.putImageData(picture, 0, 0);
  }

  choose(channel) {
    if (channel !== undefined) this.send("channel", Number(channel));
  }

  save() {
    const whole = this.grid.getBoundingClientRect();
    const place = (element) => {
      const { x, y, width, height } = element.getBoundingClientRect();
      return [x - whole.x, y - whole.y, width, height];
    };
    save(this.key, this.data.colours.page, [whole.width, whole.height], (context, scale) => {
      context.scale(scale, scale);
      context.imageSmoothingEnabled = false;
      this.maps.forEach((map) => context.drawImage(map, ...place(map)));
      this.texts.forEach((text) => this.write(context, text, place(text)));
    });
  }

  write(context, element, [x, y, width, height]) {
    const { font, color, lineHeight } = getComputedStyle(element), lines = element.textContent.split("\n");
    Object.assign(context, { font, fillStyle: color, textAlign: "center", textBaseline: "middle" });
    context.save();
    context.translate(x + width / 2, y + height / 2);
    if (element.className === "row") context.rotate(-Math.PI / 2);
    lines.forEach((line, at) => context.fillText(line, 0, (at - (lines.length - 1) / 2) * parseFloat(lineHeight)));
    context.restore();
  }
}

const views = new WeakMap();

export default function ({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".channel-maps");
  if (!views.has(root)) views.set(root, new ChannelMaps(root));
  views.get(root).update(data, data.name, setTriggerValue);
}

// What the canvases of the page share: colours of a scale, and pictures to keep.

const parse = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
// Pixels are written as whole numbers, least significant byte first: red, green, blue, opacity.
const pixel = ([red, green, blue]) => (255 << 24 | blue << 16 | green << 8 | red) >>> 0;

const blend = (scale, share) => {
  const next = Math.max(1, scale.findIndex(([place]) => place >= share));
  const [[low, from], [high, to]] = [scale[next - 1], scale[next]];
  const [start, end] = [parse(from), parse(to)];
  return start.map((part, at) => Math.round(part + (end[at] - part) * (share - low) / (high - low)));
};

// A picture of twice the size on the screen, on the colour of the page.
const save = (name, page, [width, height], paint) => {
  const canvas = document.createElement("canvas"), context = canvas.getContext("2d"), scale = 2;
  [canvas.width, canvas.height] = [width * scale, height * scale];
  context.fillStyle = page;
  context.fillRect(0, 0, canvas.width, canvas.height);
  paint(context, scale);
  canvas.toBlob((blob) => {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: `se_viz-${name}.png` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  });
};

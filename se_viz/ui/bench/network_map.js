// A network as a row of stages that wraps: plain elements, so that every box is a button and every width works.

const make = (name, className, text, ...inside) => {
  const element = Object.assign(document.createElement(name), { className, textContent: text });
  element.append(...inside);
  return element;
};

const describe = (box) => {
  const marks = [box.opened && "open", box.chosen && "in the design", box.bypassed && "all gates 1"].filter(Boolean);
  return [`${box.label}: ${box.channels} channels`, box.size, ...marks].filter(Boolean).join(", ");
};

const draw = (box, send) => {
  const button = make("button", ["box", box.chosen && "chosen", box.bypassed && "bypassed"].filter(Boolean).join(" "), String(box.channels));
  Object.assign(button.style, { minWidth: `${box.width}px`, height: `${box.height}px` });
  button.title = describe(box);
  button.setAttribute("aria-label", describe(box));
  if (box.opened) button.setAttribute("aria-current", "true");
  button.onclick = () => send("block", box.name);
  return button;
};

export default function ({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".network-map");
  const focused = root.contains(document.activeElement) || parentElement.activeElement ? [...root.querySelectorAll(".box")].indexOf(parentElement.activeElement ?? document.activeElement) : -1;
  const stages = data.stages.map((stage) => make("section", "stage", "",
    make("div", "name", stage.name), make("div", "size", stage.size),
    make("div", "boxes", "", ...stage.boxes.map((box) => draw(box, setTriggerValue)))));
  const [input, answer] = data.ends.map((words) => make("div", "end", words));
  root.replaceChildren(input, ...stages, answer);
  // A click draws all boxes anew: the keyboard goes on from the same one.
  root.querySelectorAll(".box")[focused]?.focus();
}

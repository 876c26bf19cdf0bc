// Leads to the passage that a link of another page asked for, once for each time it was followed.
const PATIENCE = 3000;

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector("div");
  if (!data.passage || root.dataset.passage === data.passage) return;
  root.dataset.passage = data.passage;
  // Pictures above it take their room one after another: it stays in sight until they all have, or somebody scrolls.
  const observer = new ResizeObserver(() => document.getElementById(data.passage)?.scrollIntoView());
  const stop = () => observer.disconnect();
  ["wheel", "touchmove", "keydown", "pointerdown"].forEach((kind) => addEventListener(kind, stop, { once: true, passive: true }));
  observer.observe(document.querySelector('[data-testid="stMainBlockContainer"]'));
  setTimeout(stop, PATIENCE);
  return stop;
}

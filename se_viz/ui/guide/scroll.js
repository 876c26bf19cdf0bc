// Leads to the passage that a link of another page asked for, once for each time it was followed.
const PATIENCE = 3000;

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector("div");
  const passage = data.passage ?? decodeURIComponent(location.hash.slice(1));
  if (!passage || root.dataset.passage === passage) return;
  root.dataset.passage = passage;
  // Pictures above it take their room one after another: it stays in sight until they all have, or somebody scrolls.
  const observer = new ResizeObserver(() => document.getElementById(passage)?.scrollIntoView());
  const stop = () => observer.disconnect();
  ["wheel", "touchmove", "keydown", "pointerdown"].forEach((kind) => addEventListener(kind, stop, { once: true, passive: true }));
  observer.observe(document.querySelector('[data-testid="stMainBlockContainer"]'));
  setTimeout(stop, PATIENCE);
  return stop;
}

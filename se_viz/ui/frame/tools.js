async function copy(text) {
  // Where the app is served without TLS to other machines, browsers have no clipboard to write to.
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = document.createElement("textarea");
  field.value = text;
  document.body.append(field);
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  if (!copied) throw new Error();
}

const headings = () => [...document.querySelectorAll('[data-testid="stMain"] :is(h2, h3)')];
const links = () => [...document.querySelectorAll('[data-testid="stSidebarNavLink"]')];

// A phone's navigation lay over the page that had been chosen in it.
function closeNavigation(event) {
  if (innerWidth > 768 || !event.target.closest?.('[data-testid="stSidebarNavLink"]')) return;
  setTimeout(() => document.querySelector('[data-testid="stSidebarCollapseButton"] button')?.click(), 0);
}

// Clickers for slides send these keys.
function turnPage(event) {
  const step = { PageDown: 1, PageUp: -1 }[event.key];
  if (!step || !document.documentElement.dataset.presenting) return;
  if (event.target.closest?.("input, textarea, select, [role=listbox], [role=slider]")) return;
  const here = links().findIndex((link) => link.getAttribute("aria-current") === "page");
  const next = links()[here + step];
  if (!next) return;
  event.preventDefault();
  next.click();
}

// Streamlit leaves a new page as far down as the last one was, with the photo and its answer above the window.
function beginAtTop(page) {
  if (window.seVizPage && window.seVizPage !== page) document.querySelector('[data-testid="stMain"]').scrollTo(0, 0);
  window.seVizPage = page;
}

export default function ({ parentElement, data, setTriggerValue }) {
  beginAtTop(data.page);
  const root = parentElement.querySelector(".tools");
  const [copying, presenting, jumping] = root.querySelectorAll("button"), list = root.querySelector("ul"), status = root.querySelector("[role=status]");
  copying.onclick = async () => {
    const own = new URLSearchParams(location.search).get("photo") === data.own;
    try {
      await copy(location.href);
      status.textContent = own ? data.words.own : data.words.copied;
    } catch {
      status.textContent = data.words.failed;
    }
    setTimeout(() => { status.textContent = ""; }, 6000);
  };
  presenting.textContent = data.presenting ? "End" : "Present";
  presenting.title = data.words.present;
  presenting.setAttribute("aria-pressed", data.presenting);
  presenting.onclick = () => setTriggerValue("present", !data.presenting);
  document.documentElement.dataset.presenting = data.presenting ? "yes" : "";
  const show = (open) => {
    list.hidden = !open;
    jumping.setAttribute("aria-expanded", open);
  };
  jumping.onclick = () => {
    list.replaceChildren(...headings().map((heading) => {
      const button = Object.assign(document.createElement("button"), { textContent: heading.textContent.trim() });
      button.onclick = () => {
        show(false);
        heading.scrollIntoView();
      };
      const item = document.createElement("li");
      item.append(button);
      return item;
    }));
    show(list.hidden);
  };
  // Once a window, and for good: where the heading moves in the page, the new one begins before the old one ends.
  if (window.seVizListens) return;
  window.seVizListens = true;
  document.addEventListener("click", closeNavigation);
  document.addEventListener("keydown", turnPage);
}

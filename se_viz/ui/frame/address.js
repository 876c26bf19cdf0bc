// The address bar holds what the page shows. The entry of the browser's history is replaced, so that "back" leads to the last page and
// not through every setting.
export default function ({ data }) {
  const last = location.pathname.split("/").filter(Boolean).pop() ?? "";
  const here = data.pages.includes(last) ? last : "";
  // Another page was chosen meanwhile, or a newer run was faster.
  if (here !== data.page || data.number < (window.seVizAddress ?? 0)) return;
  window.seVizAddress = data.number;
  const others = [...new URLSearchParams(location.search)].filter(([name]) => data.others.includes(name));
  const query = [data.query, new URLSearchParams(others).toString()].filter(Boolean).join("&");
  history.replaceState(history.state, "", location.pathname + (query && `?${query}`) + location.hash);
}

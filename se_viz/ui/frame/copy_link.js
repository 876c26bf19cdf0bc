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

export default function ({ parentElement, data }) {
  const root = parentElement.querySelector(".copy-link");
  const button = root.querySelector("button"), status = root.querySelector("[role=status]");
  button.onclick = async () => {
    const own = new URLSearchParams(location.search).get("photo") === data.own;
    try {
      await copy(location.href);
      status.textContent = own ? data.words.own : data.words.copied;
    } catch {
      status.textContent = data.words.failed;
    }
    setTimeout(() => { status.textContent = ""; }, 6000);
  };
}

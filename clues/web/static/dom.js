// Elements, and how values are written. Text goes in as text, never as HTML: any of it may come from a job.

export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(element.style, value);
    else if (name === "data") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...flat(children));
  return element;
}

function flat(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : visible(String(child))));
}

// Controls and marks that turn text around would let a job's text pass for ours.
// eslint-disable-next-line no-control-regex
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;
export function visible(text) {
  return text.replace(UNSEEN, (mark) => "\\u" + mark.charCodeAt(0).toString(16).padStart(4, "0"));
}

// Puts new children in, and the focus back to where it was.
export function fill(parent, ...children) {
  const key = parent.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  parent.replaceChildren(...flat(children));
  if (key) parent.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}

export const link = (href, text, attributes) => h("a", { href, ...attributes }, text);

export function to(view, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given).toString();
  return `#/${view}${text ? "?" + text : ""}`;
}

export const jobLink = (hash, text) => hash ? link(to("job", { hash }), text ?? hash.slice(0, 8), { class: "mono", title: hash, data: { key: "job" + hash } }) : h("span", { class: "dim" }, "–");

const NUMBER = new Intl.NumberFormat("en");
export const number = (value) => (value === null || value === undefined ? "–" : NUMBER.format(value));

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 0) return "-" + duration(-seconds);
  if (seconds === 0) return "0";
  if (seconds < 0.01) return (seconds * 1000).toFixed(1) + "ms";
  if (seconds < 0.9995) return (seconds * 1000).toFixed(0) + "ms";
  if (seconds < 60) return seconds.toFixed(seconds < 10 ? 2 : 1) + "s";
  const whole = Math.floor(seconds), two = (value) => String(value).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)}h${two(Math.floor((whole % 3600) / 60))}m`;
  return `${Math.floor(whole / 86400)}d${two(Math.floor((whole % 86400) / 3600))}h`;
}

// As `duration`, for ages: nobody reads milliseconds there.
export function age(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  return seconds < 60 ? Math.floor(seconds) + "s" : duration(seconds);
}

export function moment(seconds) {
  if (seconds === null || seconds === undefined) return h("span", { class: "dim" }, "–");
  const at = new Date(seconds * 1000);
  if (Number.isNaN(at.getTime())) return h("span", { class: "dim" }, "–");
  const today = at.toDateString() === new Date().toDateString();
  const text = today ? at.toLocaleTimeString("en-GB") : at.toLocaleString("sv-SE");
  return h("time", { datetime: at.toISOString(), title: at.toISOString() }, text);
}

export const bytes = (size) => (size === null || size === undefined ? "" : NUMBER.format(Math.round(size / 1048576)) + " MiB");

export const chip = (state) => h("span", { class: "chip " + state }, state);

export const empty = (title, ...hint) => h("div", { class: "empty" }, h("p", { class: "title" }, title), h("p", { class: "dim" }, ...hint));

export function table(heads, rows, attributes) {
  return h("div", { class: "scroll", tabindex: "-1" }, h("table", attributes,
    h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col", class: head.class }, head.text ?? head)))),
    h("tbody", {}, rows)));
}

export const num = (text) => ({ text, class: "num" });

export function backtrace(lines, most = 40) {
  const shown = h("pre", { class: "backtrace", tabindex: "0", "aria-label": "Backtrace" });
  const cut = (text) => (text.length > 4000 ? text.slice(0, 4000) + " …" : text);
  shown.textContent = lines.slice(0, most).map(cut).map(visible).join("\n");
  const size = lines.reduce((sum, line) => sum + line.length + 1, 0);
  if (lines.length <= most && lines.every((line) => line.length <= 4000)) return shown;
  const all = h("button", { type: "button", onclick: () => { shown.textContent = lines.map(visible).join("\n"); all.remove(); shown.focus(); } },
    `Show all ${number(lines.length)} lines (${size > 99999 ? (size / 1048576).toFixed(1) + " MB" : number(size) + " characters"})`);
  return [shown, all];
}

export function json(text, label) {
  const most = 20000;
  const shown = h("pre", { class: "json", tabindex: "0", "aria-label": label });
  shown.textContent = visible(text.slice(0, most));
  if (text.length <= most) return shown;
  const all = h("button", { type: "button", onclick: () => { shown.textContent = visible(text); all.remove(); } }, `Show all ${number(text.length)} characters`);
  return [shown, all];
}

export function toast(text, kind = "") {
  const shown = h("div", { class: "toast " + kind }, text);
  document.getElementById("toasts").append(shown);
  setTimeout(() => shown.remove(), 6000);
}

export function copyButton(text) {
  return h("button", { type: "button", class: "quiet small", title: "Copy " + text, onclick: async () => {
    await navigator.clipboard.writeText(text);
    toast("Copied.");
  } }, "copy");
}

// Asks before something is changed that can't be changed back; gives whether to go on.
export function ask(title, text, action) {
  return new Promise((resolve) => {
    const dialog = h("dialog", { "aria-labelledby": "ask" },
      h("form", { method: "dialog" },
        h("h2", { id: "ask" }, title), h("p", {}, text),
        h("p", { class: "actions" },
          h("button", { value: "no", autofocus: true }, "Cancel"), h("button", { value: "yes", class: "danger" }, action))));
    dialog.addEventListener("close", () => { resolve(dialog.returnValue === "yes"); dialog.remove(); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

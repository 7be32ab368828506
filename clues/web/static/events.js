// Events as they come.

import { chip, duration, empty, fill, h, jobLink, number } from "./dom.js";

const TYPES = ["enqueued", "dequeued", "started", "finished", "failed", "destroyed"];
const MOST = 400; // rows that are kept

export async function events(main, context) {
  const chosen = new Set((context.query.types ?? "").split(",").filter(Boolean));
  const text = h("input", { type: "search", placeholder: "Class, queue, hash, any text", "aria-label": "Only events that hold", value: context.query.text ?? "" });
  const types = h("div", { class: "switch", role: "group", "aria-label": "Types" }, TYPES.map((type) =>
    h("button", { type: "button", "aria-pressed": String(chosen.has(type)), onclick: (event) => {
      chosen.has(type) ? chosen.delete(type) : chosen.add(type);
      event.target.setAttribute("aria-pressed", String(chosen.has(type)));
      listen();
    } }, type)));
  const pause = h("button", { type: "button", "aria-pressed": "false", onclick: () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    if (!paused) flush();
  } }, "Pause");
  const about = h("span", { class: "dim", role: "status" });
  const rows = h("ol", { class: "rows events", "aria-label": "Events, the newest first" });
  const nothing = h("div");
  fill(main, h("div", { class: "head" }, h("h1", {}, "Live events"), about), h("div", { class: "filters" }, types, text, pause,
    h("button", { type: "button", onclick: () => { rows.replaceChildren(); seen = missed = 0; say(); } }, "Clear")), nothing, h("section", { class: "card flush" }, rows));
  let retrying = 0, source = null, paused = false, held = [], seen = 0, missed = 0, state = "connecting…";

  function say() {
    about.textContent = [state, seen ? `${number(seen)} events` : "", missed ? `${number(missed)} not shown, too many at once` : "", paused && held.length ? `${number(held.length)} wait` : ""].filter(Boolean).join(" · ");
    fill(nothing, rows.children.length || paused ? null : empty(context.state?.history.files.length ? "Nothing has happened yet" : "There is no event log to follow", context.state?.history.files.length ? "Events appear here as they are written." : "Name one: clues web /var/log/clues.log"));
    rows.parentElement.hidden = !rows.children.length;
  }
  function flush() {
    const focused = rows.contains(document.activeElement);
    rows.prepend(...held.slice(-MOST).reverse().map(drawEvent));
    held = [];
    for (const extra of [...rows.children].slice(MOST)) if (!focused || !extra.contains(document.activeElement)) extra.remove();
    say();
  }
  function listen() {
    context.remember({ types: [...chosen].join(","), text: text.value });
    rows.replaceChildren();
    held = [];
    connect("");
  }
  // The stream begins with the last events; after a broken connection they are here already.
  function connect(again) {
    if (context.signal.aborted) return;
    source?.close();
    source = new EventSource("api/stream?" + new URLSearchParams({ types: [...chosen].join(","), text: text.value, again }));
    source.onopen = () => { state = "live"; say(); };
    source.onerror = () => {
      state = "not connected, trying again";
      say();
      source.close();
      clearTimeout(retrying);
      retrying = setTimeout(() => connect("1"), 2000);
    };
    source.onmessage = (message) => {
      const told = JSON.parse(message.data);
      seen += told.events.length;
      missed += told.missed;
      held.push(...told.events);
      if (held.length > 5 * MOST) held = held.slice(-MOST);
      paused ? say() : flush();
    };
    say();
  }
  let typing = 0;
  text.addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(listen, 300); });
  context.signal.addEventListener("abort", () => { clearTimeout(retrying); source?.close(); });
  listen();
}

function drawEvent(event) {
  const detail = event.type === "failed" ? [h("span", { class: "bad" }, event.exception ?? ""), " ", event.message ?? ""]
    : event.type === "finished" ? `ran ${duration(event.run_time)}` : event.type === "dequeued" ? `waited ${duration(event.queue_time)}` : "";
  return h("li", {}, h("time", { class: "mono dim", title: event.at }, event.at.slice(11, 23)), chip(event.retrying ? "retrying" : event.type),
    h("strong", {}, event.class ?? "?"), h("span", { class: "dim" }, event.queue ?? ""), jobLink(event.hash),
    event.attempt > 1 ? h("span", { class: "dim small" }, `attempt ${event.attempt}`) : null, h("span", { class: "text" }, detail), h("span", { class: "dim small host" }, event.host ?? ""));
}

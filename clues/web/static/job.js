// One job's life: each attempt's events and the time between them, its fields, its error, the jobs that it enqueued.

import { backtrace, chip, copyButton, duration, empty, fill, h, jobLink, json, link, to } from "./dom.js";
import { quoted } from "./overview.js";

export async function job(main, context) {
  const hash = context.query.hash ?? "";
  let drawn = "";
  async function look(everywhere = "") {
    let found;
    try {
      found = await context.get("job", { hash, everywhere });
    } catch (error) {
      if (error.status !== 404 && error.status !== 409) throw error;
      return missing(error.message, everywhere);
    }
    const now = JSON.stringify(found);
    if (now !== drawn) draw(found);
    drawn = now;
    return found;
  }
  function missing(message, everywhere) {
    drawn = "";
    fill(main, h("div", { class: "head" }, h("h1", { class: "mono" }, hash)), empty("This job is not known", message, "."),
      everywhere || !context.state?.history.files.length ? null : h("p", { class: "actions center" }, h("button", { type: "button", onclick: (event) => { event.target.disabled = true; event.target.textContent = "Looking through the whole log…"; context.attempt(() => look("1")); } }, "Look through the whole log")));
    return null;
  }
  function draw(found) {
    const last = found.attempts.at(-1);
    fill(main, h("div", { class: "head" }, h("h1", {}, found.class ?? "?"), chip(last.state), h("span", { class: "mono hash" }, found.hash), copyButton(found.hash)),
      h("p", { class: "dim facts-line" }, "queue ", h("strong", {}, found.queue ?? "?"), found.system ? [" · ", found.system] : "", found.job_id ? [" · id ", h("span", { class: "mono" }, found.job_id)] : "",
        found.parent ? [" · enqueued by ", jobLink(found.parent)] : "", found.attempts.length > 1 ? ` · ${found.attempts.length} attempts` : "",
        " · ", link(to("", { class: found.class }), "this class"), " · ", link(to("jobs", { q: quoted("class", found.class ?? "") }), "its jobs")),
      found.attempts.map((attempt) => drawAttempt(attempt, found.attempts.length > 1)),
      found.descendants.length ? descendants(found) : null,
      h("section", { class: "card" }, h("h2", {}, "Arguments"), json(found.args, "Arguments")));
  }
  const first = await look();
  if (first) context.every(3000, () => look());
}

function drawAttempt(attempt, several) {
  const fields = Object.entries(attempt.fields);
  return h("section", { class: "card attempt" },
    h("div", { class: "treehead" }, h("h2", {}, several ? `Attempt ${attempt.attempt}` : "Timeline"), several ? chip(attempt.state) : null, parts(attempt)),
    h("ol", { class: "steps" }, attempt.steps.map((step) => h("li", { class: step.type },
      h("span", { class: "gap mono dim" }, step.gap === null ? "" : `+${step.exact ? duration(step.gap) : Math.round(step.gap) + "s"}`),
      h("span", { class: "dot" }), h("span", { class: "what" }, step.type === "failed" && attempt.state === "retrying" ? "failed, to be retried" : step.type),
      h("time", { class: "mono dim" }, step.at.replace("T", " ")), h("span", { class: "dim small mono" }, [step.host, step.process].filter(Boolean).join(" · ")),
      h("details", {}, h("summary", { class: "small dim" }, "metadata"), json(step.metadata, "Metadata"))))),
    attempt.failure ? h("div", { class: "failure" }, h("h3", { class: "bad" }, attempt.failure.exception, attempt.failure.reason ? h("span", { class: "chip failed" }, attempt.failure.reason) : null,
      attempt.failure.reporter ? h("span", { class: "dim small" }, ` told by the ${attempt.failure.reporter}`) : null), h("p", { class: "message" }, attempt.failure.message.slice(0, 5000)), attempt.failure.backtrace.length ? backtrace(attempt.failure.backtrace) : null) : null,
    fields.length ? h("dl", { class: "facts" }, fields.map(([name, value]) => [h("dt", {}, name, attempt.added.includes(name) ? h("span", { class: "dim small", title: "the job added it" }, " +") : null), h("dd", { class: "mono" }, link(to("jobs", { q: quoted(name, plain(value)) }), plain(value).slice(0, 500), { title: "Jobs that have the same" }))])) : null);
}

// A text without its quotes; all else as JSON has it.
function plain(value) {
  try {
    const read = JSON.parse(value);
    return typeof read === "string" ? read : value;
  } catch {
    return value;
  }
}

// How much of the attempt was waiting, how much was work.
function parts(attempt) {
  const waited = attempt.queue_time ?? 0, ran = attempt.run_time ?? 0, whole = waited + ran;
  if (!whole) return null;
  const part = (kind, seconds) => {
    const shown = h("span", { class: "part " + kind, title: `${kind} ${duration(seconds)}` });
    shown.style.flexGrow = Math.max(seconds / whole, 0.004);
    return shown;
  };
  return h("div", { class: "parts" }, h("div", { class: "partsbar", "aria-hidden": "true" }, attempt.queue_time === null ? null : part("waited", waited), attempt.run_time === null ? null : part("ran", ran)),
    h("span", { class: "small" }, attempt.queue_time === null ? "" : `waited ${duration(waited)}`, attempt.queue_time !== null && attempt.run_time !== null ? ", " : "", attempt.run_time === null ? "" : `ran ${duration(ran)}`));
}

function descendants(found) {
  const own = found.attempts.flatMap((attempt) => attempt.steps.map((step) => step.moment)).filter((at) => at !== null);
  const begin = Math.min(...own, ...found.descendants.map((one) => one.attempts[0].enqueued ?? Infinity));
  const end = Math.max(...own, ...found.descendants.map((one) => one.last ?? 0));
  const span = Math.max(end - begin, 0.001);
  const bar = (kind, from, until) => {
    const shown = h("span", { class: "gantt " + kind });
    shown.style.left = `${100 * Math.max(from - begin, 0) / span}%`;
    shown.style.width = `max(2px, ${100 * Math.max(until - from, 0) / span}%)`;
    return shown;
  };
  const track = (job) => h("span", { class: "track" }, job.attempts.map((one) => {
    const from = one.enqueued ?? one.started ?? one.last, work = one.started ?? (one.ended !== null && one.run_time !== null ? one.ended - one.run_time : null);
    return [bar("waited", from, work ?? one.ended ?? one.last), work === null ? null : bar("ran " + one.state, work, one.ended ?? one.last)];
  }));
  const spans = found.descendants.map((one) => {
    const name = h("span", { class: "name" }, chip(one.state), link(to("job", { hash: one.hash }), one.class ?? "?", { data: { key: "d" + one.hash } }), h("span", { class: "dim small" }, one.queue ?? "", one.attempt > 1 ? ` ×${one.attempt}` : ""));
    name.style.paddingLeft = `${(one.depth - 1) * 1.1}rem`;
    return h("li", {}, name, track(one), h("span", { class: "num small mono" }, duration(one.run_time)));
  });
  return h("section", { class: "card" }, h("h2", {}, `Enqueued by it: ${found.descendants.length} ${found.descendants.length === 1 ? "job" : "jobs"}`, h("span", { class: "dim small" }, ` within ${duration(span)}`)), h("ol", { class: "rows nested" }, spans));
}

// The jobs that run now, the longest first.

import { age, empty, fill, h, jobLink, json, moment, num, number, table } from "./dom.js";

const MOST = 500;

export async function running(main, context) {
  const about = h("span", { class: "dim" });
  const place = h("div");
  fill(main, h("div", { class: "head" }, h("h1", {}, "Running now"), about), place);
  let open = false; // arguments are being read: then nothing is drawn over them
  place.addEventListener("toggle", () => { open = place.querySelector("details[open]") !== null; }, true);
  await context.every(2000, async () => {
    const { running: rows } = await context.get("running");
    fill(about, rows.length ? `${number(rows.length)} jobs${rows.length > MOST ? `, the longest ${MOST} are shown` : ""}` : "");
    if (open) return;
    fill(place, rows.length ? h("section", { class: "card" }, table(["Class", "Queue", num("For"), "Since", "Where", "Job", "Arguments"], rows.slice(0, MOST).map((row) => h("tr", { class: row.alive ? "" : "dead" },
      h("td", { class: "main" }, h("strong", {}, row.class ?? "?"), row.further ? h("span", { class: "dim" }, ` +${row.further} held`) : null),
      h("td", {}, row.queue), h("td", { class: "num" + (row.seconds > 600 ? " warn" : "") }, age(row.seconds)), h("td", {}, moment(row.since)),
      h("td", { class: "mono small", title: row.worker }, `${row.host}${row.process ? " · " + row.process : ""}`, row.alive ? null : h("span", { class: "chip failed" }, "dead")),
      h("td", {}, jobLink(row.hash)), h("td", { class: "text" }, h("details", {}, h("summary", { class: "mono" }, row.args.replace(/\s+/g, " ").slice(0, 100)), json(row.args, "Arguments")))))))
      : empty("No job runs", "What a worker takes appears here, with how long it has run."));
  });
}

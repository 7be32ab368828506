(() => {
  "use strict";
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const root = document.documentElement;
  const charts = [];

  const seconds = (value) => {
    if (value == null) return "–";
    if (value < 0.01) return +(value * 1000).toPrecision(3) + "ms";
    if (value < 1) return Math.round(value * 1000) + "ms";
    if (value < 60) return +value.toPrecision(3) + "s";
    if (value < 3600) return Math.floor(value / 60) + "m" + String(Math.floor(value % 60)).padStart(2, "0") + "s";
    return Math.floor(value / 3600) + "h" + String(Math.floor((value % 3600) / 60)).padStart(2, "0") + "m";
  };
  const count = (value) => (value == null ? "–" : value.toLocaleString("en"));
  const colour = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();
  const faint = (name) => colour(name) + "33";

  const iso = (at) => new Date(at * 1000).toISOString().replace("T", " ").slice(0, 19);
  // The time of day, and under it the date where it is another than before.
  const times = (_, splits, __, ___, step) =>
    splits.map((at, place) => {
      const date = iso(at).slice(0, 10), time = iso(at).slice(11, step < 60 ? 19 : 16);
      const same = place > 0 && iso(splits[place - 1]).slice(0, 10) === date;
      return step >= 86400 ? date : same ? time : time + "\n" + date;
    });

  const axis = (more) => ({
    stroke: colour("quiet"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 },
    font: "12px system-ui, sans-serif", ...more,
  });

  const draw = (name, lines, format, logarithmic) => {
    const target = document.getElementById("chart-" + name);
    if (!target || !figures.starts.length) return;
    const options = {
      width: target.clientWidth, height: 220, tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      cursor: { sync: { key: "time" }, points: { size: 7 } },
      scales: { y: logarithmic ? { distr: 3 } : { range: (_, low, high) => [0, (high || 1) * 1.05] } },
      axes: [axis({ space: 90, values: times }), axis({ size: 64, values: (_, values) => values.map((value) => (value == null ? "" : format(value))) })],
      series: [
        { label: "UTC", value: (_, at) => (at == null ? "–" : iso(at)) },
        ...lines.map(([label, tint, fill]) => ({
          label, stroke: colour(tint), fill: fill ? faint(tint) : undefined, width: 1.8, points: { show: figures.starts.length < 40 },
          value: (_, value) => format(value), ...(fill ? { paths: uPlot.paths.stepped({ align: 1 }) } : {}),
        })),
      ],
    };
    // Zeros have no logarithm.
    const data = figures[name].map((line) => (logarithmic ? line.map((value) => (value > 0 ? value : value == null ? null : 1e-6)) : line));
    charts.push(new uPlot(options, [figures.starts, ...data], target));
  };

  const drawAll = () => {
    while (charts.length) charts.pop().destroy();
    draw("ended", [["finished", "good", true], ["failed", "bad", true], ["retried", "warn", true]], count, false);
    const percentiles = [["p50", "p50"], ["p95", "p95"], ["p99", "p99"]];
    draw("run", percentiles, seconds, true);
    draw("wait", percentiles, seconds, true);
  };

  const dark = matchMedia("(prefers-color-scheme: dark)");
  document.getElementById("theme").addEventListener("click", () => {
    const now = root.dataset.theme || (dark.matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    drawAll();
  });
  dark.addEventListener("change", drawAll);
  let waiting = 0;
  addEventListener("resize", () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(drawAll);
  });
  drawAll();
})();

// Draws what a JSON address answers: {series:[{label,unit,axis,color,dashed}], t:[s], v:[[..]], bands:[{kind,from,to,text}]}.
// A gap is a gap: null breaks the line, and where nothing was seen the area is hatched and labelled.
(() => {
  "use strict";

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const zoneDate = (seconds, zone) => {
    const parts = new Intl.DateTimeFormat("en-GB", {
      timeZone: zone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
    }).formatToParts(new Date(seconds * 1000));
    const value = Object.fromEntries(parts.map((part) => [part.type, Number(part.value)]));
    return new Date(value.year, value.month - 1, value.day, value.hour, value.minute, value.second);
  };

  const hatch = (context) => {
    const tile = document.createElement("canvas");
    const ratio = window.devicePixelRatio || 1;
    tile.width = tile.height = Math.round(7 * ratio);
    const pen = tile.getContext("2d");
    pen.strokeStyle = css("--hatch");
    pen.lineWidth = ratio;
    pen.beginPath();
    pen.moveTo(0, tile.height);
    pen.lineTo(tile.width, 0);
    pen.stroke();
    return context.createPattern(tile, "repeat");
  };

  const visible = (plot, band) => {
    const { bbox } = plot;
    const left = Math.max(bbox.left, plot.valToPos(band.from, "x", true));
    const right = Math.min(bbox.left + bbox.width, plot.valToPos(band.to, "x", true));
    return right < bbox.left || left > bbox.left + bbox.width || right - left < 1 ? null : { left, right };
  };

  const shade = (bands) => (plot) => {
    const { ctx, bbox } = plot;
    const ratio = window.devicePixelRatio || 1;
    ctx.save();
    for (const band of bands) {
      const at = visible(plot, band);
      if (!at) continue;
      const redirected = band.kind === "redirected";
      ctx.fillStyle = redirected ? css("--violet-soft") : band.kind === "curtailed" ? css("--curtail") : hatch(ctx);
      ctx.globalAlpha = redirected ? 0.7 : 1;
      ctx.fillRect(at.left, bbox.top, at.right - at.left, bbox.height);
      ctx.globalAlpha = 1;
      if (!redirected) continue;
      ctx.strokeStyle = css("--violet");
      ctx.setLineDash([4 * ratio, 3 * ratio]);
      ctx.beginPath();
      ctx.moveTo(at.left, bbox.top);
      ctx.lineTo(at.left, bbox.top + bbox.height);
      ctx.stroke();
      ctx.setLineDash([]);
    }
    ctx.restore();
  };

  // Above the lines and on their own ground, so that nothing runs through them; a phone has them in the caption.
  const labels = (bands, narrow) => (plot) => {
    if (narrow) return;
    const { ctx, bbox } = plot;
    const ratio = window.devicePixelRatio || 1;
    const inks = { redirected: css("--violet"), curtailed: css("--amber") };
    ctx.save();
    ctx.font = `${11 * ratio}px Inter, sans-serif`;
    ctx.textAlign = "left";
    ctx.textBaseline = "alphabetic";
    let row = 0;
    let lastRight = -1;
    for (const band of bands) {
      const at = visible(plot, band);
      if (!at || !band.text) continue;
      const width = ctx.measureText(band.text).width;
      const x = Math.min(at.left + 6 * ratio, bbox.left + bbox.width - width - 6 * ratio);
      row = x < lastRight ? row + 1 : 0;
      lastRight = x + width;
      const y = bbox.top + bbox.height * 0.62 + row * 17 * ratio;
      ctx.fillStyle = css("--card");
      ctx.globalAlpha = 0.88;
      ctx.fillRect(x - 3 * ratio, y - 12 * ratio, width + 6 * ratio, 16 * ratio);
      ctx.globalAlpha = 1;
      ctx.fillStyle = inks[band.kind] || css("--quiet");
      ctx.fillText(band.text, x, y);
    }
    ctx.restore();
  };

  const short = (value) => Number(value).toLocaleString("en-US");

  function options(data, box, zone) {
    const axis = (scale, side, label) => ({
      scale, side, stroke: css("--quiet"), font: "12px Inter, sans-serif", size: 56,
      grid: { show: side === 3, stroke: css("--line-soft"), width: 1 },
      ticks: { show: false }, values: (_, ticks) => ticks.map(short), label: undefined,
    });
    const second = data.series.some((item) => item.axis === 2);
    const floor = (_, low, high) => [0, Math.max(high === null || high <= 0 ? 1 : high * 1.08, 0.1)];
    return {
      width: box.clientWidth, height: box.clientHeight,
      tzDate: (seconds) => zoneDate(seconds, zone),
      cursor: { points: { size: 6 }, drag: { x: false, y: false } },
      legend: { show: false },
      padding: [12, second ? 0 : 14, 0, 0],
      scales: { x: { time: true, range: () => [data.from, data.to] }, y: { range: floor }, y2: { range: floor } },
      axes: [
        { stroke: css("--quiet"), font: "12px Inter, sans-serif", grid: { show: false }, ticks: { show: false }, space: 70,
          values: [[86400, "{D} {MMM}", null, null, null, null, null, null, 1], [3600, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1], [60, "{HH}:{mm}", "\n{D} {MMM}", null, "\n{D} {MMM}", null, null, null, 1], [1, "{HH}:{mm}:{ss}", null, null, null, null, null, null, 1]] },
        axis("y", 3), ...(second ? [axis("y2", 1)] : []),
      ],
      series: [{}, ...data.series.map((item) => ({
        label: item.label, scale: item.axis === 2 ? "y2" : "y", stroke: css(item.color), width: item.dashed ? 1.5 : 2,
        dash: item.dashed ? [5, 4] : undefined, spanGaps: false, points: { show: false },
      }))],
      hooks: { drawClear: [shade(data.bands)], draw: [labels(data.bands, box.clientWidth < 500)], setCursor: [(plot) => tell(plot, data, box, zone)] },
    };
  }

  function tell(plot, data, box, zone) {
    const output = box.querySelector(".tip");
    if (!output) return;
    const index = plot.cursor.idx;
    if (index === null || index === undefined) { output.hidden = true; return; }
    const at = new Intl.DateTimeFormat("en-GB", { timeZone: zone, day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }).format(new Date(data.t[index] * 1000));
    const values = data.series.map((item, place) => {
      const value = data.v[place][index];
      return `${item.label}: ${value === null ? "no data" : `${value.toLocaleString("en-US", { maximumFractionDigits: 1 })} ${item.unit}`}`;
    });
    output.textContent = [at, ...values].join(" · ");
    output.hidden = false;
  }

  const plots = new Map();

  async function load(box) {
    let data;
    try {
      const answer = await fetch(box.dataset.chart, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      data = await answer.json();
    } catch (error) {
      const note = box.querySelector(".loading");
      if (note) { note.hidden = false; note.textContent = "The chart could not be loaded. It is tried again in a minute."; }
      box.dataset.state = "failed";
      return;
    }
    plots.get(box)?.destroy();
    const note = box.querySelector(".loading");
    const empty = !data.v.some((values) => values.some((value) => value !== null));
    if (note) { note.hidden = !empty; note.textContent = "No readings in this range yet."; }
    box.dataset.state = empty ? "empty" : "drawn";
    if (!data.t.length) { plots.delete(box); return; }
    const zone = box.dataset.zone || "UTC";
    const plot = new uPlot(options(data, box, zone), [data.t, ...data.v], box);
    plots.set(box, plot);
    box.plotData = data;
    const caption = box.parentElement.querySelector("[data-caption]");
    if (caption) caption.textContent = data.caption || "";
  }

  const start = () => document.querySelectorAll("[data-chart]").forEach((box) => {
    if (plots.has(box) || !box.clientWidth) return;
    load(box);
    const seconds = Number(box.dataset.refresh || 0);
    if (seconds) setInterval(() => { if (!document.hidden) load(box); }, seconds * 1000);
  });
  const redraw = () => plots.forEach((plot, box) => {
    plot.destroy();
    plots.set(box, new uPlot(options(box.plotData, box, box.dataset.zone || "UTC"), [box.plotData.t, ...box.plotData.v], box));
  });
  let waiting;
  window.addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(redraw, 150); });
  new MutationObserver(redraw).observe(document.documentElement, { attributes: true, attributeFilter: ["data-bs-theme"] });
  document.addEventListener("htmx:afterSettle", start);
  start();
})();

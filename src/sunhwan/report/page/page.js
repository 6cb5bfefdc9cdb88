"use strict";
// Draws the page's charts and listens to its buttons, its keys and the reader's theme.

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const shades = read("shades");
const charts = read("charts").map((views) => ({ views, view: 0, hidden: new Set() }));
const place = (number) => document.getElementById(`chart-${number}`);
const systemDark = matchMedia("(prefers-color-scheme: dark)");
const coarse = matchMedia("(pointer: coarse)").matches;
const root = document.documentElement;
let printing = false;

const isDark = () => !printing && (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);
const shade = (name) => shades[name][isDark() ? 1 : 0];
const group = (trace) => trace.legendgroup || trace.name;

// A trace names its colour in `meta`; here it gets the theme's shade of it.
function coloured(trace) {
  const color = shade(trace.meta);
  const shown = { ...trace, meta: undefined };
  if (trace.type === "heatmap") {
    shown.colorscale = [[0, shade("raised")], [1, color]];
  } else if (trace.fill) {
    shown.fillcolor = color + "38";
    shown.line = { ...trace.line, width: 0, color };
  } else {
    shown.line = { ...trace.line, color };
    shown.marker = { ...trace.marker, color };
    if (trace.error_y) shown.error_y = { ...trace.error_y, color: shade("ink"), thickness: 2 };
  }
  return shown;
}

function layoutOf(view) {
  const [ink, quiet, faint] = ["ink", "quiet", "faint"].map(shade);
  const axis = { gridcolor: faint, linecolor: quiet, zerolinecolor: faint, automargin: true };
  const font = { family: getComputedStyle(root).fontFamily, size: 13, color: ink };
  return {
    autosize: true, margin: { l: 56, r: 12, t: 8, b: 40 }, hovermode: "x unified", dragmode: coarse ? false : "zoom",
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, font,
    hoverlabel: { bgcolor: shade("raised"), bordercolor: quiet, font },
    ...view.layout,
    height: undefined, width: printing ? 640 : undefined,
    xaxis: { ...axis, ...view.layout.xaxis }, yaxis: { ...axis, ...view.layout.yaxis },
  };
}

function draw(number) {
  const chart = charts[number];
  const view = chart.views[chart.view];
  place(number).style.height = `${view.layout.height || 320}px`;
  const data = view.data.map((trace) => ({ ...coloured(trace), visible: !chart.hidden.has(group(trace)) }));
  return Plotly.react(place(number), data, layoutOf(view), { displayModeBar: false, responsive: true });
}

function sample(trace) {
  const dash = { dash: "6 4", dot: "2 3", dashdot: "6 3 2 3" }[trace.line && trace.line.dash] || "none";
  const thick = trace.fill || trace.type === "bar" ? 10 : 2.5;
  const alpha = trace.fill ? 0.4 : 1;
  if (trace.mode === "markers") {
    const shape = trace.marker && trace.marker.symbol === "square" ? '<rect x="8" y="2" width="8" height="8"' : '<circle cx="12" cy="6" r="4"';
    return `<svg width="24" height="12" aria-hidden="true">${shape} fill="${shade(trace.meta)}"/></svg>`;
  }
  return `<svg width="24" height="12" aria-hidden="true"><line x1="1" x2="23" y1="6" y2="6" stroke-width="${thick}"
    stroke="${shade(trace.meta)}" stroke-opacity="${alpha}" stroke-dasharray="${dash}"/></svg>`;
}

function legend(number) {
  const chart = charts[number];
  const box = document.querySelector(`.legend[data-chart="${number}"]`);
  const named = chart.views[chart.view].data.filter((trace) => trace.showlegend !== false && trace.name);
  box.hidden = named.length < 2;
  box.replaceChildren(...(named.length < 2 ? [] : named).map((trace) => {
    const button = document.createElement("button");
    button.type = "button";
    button.innerHTML = sample(trace);
    button.append(trace.name);
    button.setAttribute("aria-pressed", String(!chart.hidden.has(group(trace))));
    button.addEventListener("click", () => {
      const name = group(trace);
      if (!chart.hidden.delete(name)) chart.hidden.add(name);
      button.setAttribute("aria-pressed", String(!chart.hidden.has(name)));
      draw(number);
    });
    return button;
  }));
}

function drawAll() {
  return Promise.all(charts.map((_, number) => { legend(number); return draw(number); }));
}

// Arrows move by a fifth, + and - zoom by a third, 0 shows all.
function key(event) {
  const [move, zoom] = { ArrowLeft: [-0.2, 1], ArrowRight: [0.2, 1], "+": [0, 2 / 3], "=": [0, 2 / 3], "-": [0, 1.5] }[event.key] || [];
  const box = event.currentTarget;
  const axis = box._fullLayout && box._fullLayout.xaxis;
  if (!axis || axis.type === "category" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "0") {
    event.preventDefault();
    Plotly.relayout(box, { "xaxis.autorange": true, "yaxis.autorange": true });
  } else if (zoom) {
    event.preventDefault();
    const [low, high] = axis.range.map(axis.r2l);
    const [middle, half] = [(low + high) / 2 + move * (high - low), (zoom * (high - low)) / 2];
    Plotly.relayout(box, { "xaxis.range": [middle - half, middle + half].map(axis.l2r) });
  }
}

function named() {
  document.getElementById("theme").textContent = isDark() ? "Light" : "Dark";
}

document.getElementById("theme").hidden = false;
document.getElementById("theme").addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  named();
  drawAll();
});
systemDark.addEventListener("change", () => { named(); drawAll(); });
addEventListener("beforeprint", () => { printing = true; drawAll(); });
addEventListener("afterprint", () => { printing = false; drawAll(); });
for (const select of document.querySelectorAll("select[data-chart]")) {
  select.addEventListener("change", () => {
    const number = Number(select.dataset.chart);
    charts[number].view = Number(select.value);
    legend(number);
    draw(number);
  });
}
charts.forEach((_, number) => place(number).addEventListener("keydown", key));
named();
drawAll().then(() => { root.dataset.drawn = String(charts.length); });

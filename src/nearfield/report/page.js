(async () => {
  "use strict";
  // plotly is most of the page, so it is packed; its element runs, as its hash is in the policy
  const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent), (one) => one.charCodeAt(0));
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const script = document.createElement("script");
  script.textContent = await new Response(unpacked).text();
  document.head.append(script);
  script.remove();

  const figures = JSON.parse(document.getElementById("figures").textContent);
  const root = document.documentElement;

  // Colours are names of the palette in the style sheet ("$accent"), only ever under a key that ends in "color".
  const paint = (value, key, style) => {
    if (Array.isArray(value)) return value.map((item) => paint(item, key, style));
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, paint(v, k, style)]));
    const named = typeof value === "string" && value[0] === "$" && /color$/.test(key);
    return named ? style.getPropertyValue("--" + value.slice(1)).trim() : value;
  };

  const draw = (widest) => {
    const style = getComputedStyle(root);
    for (const node of document.querySelectorAll("[data-plot]")) {
      const figure = figures[node.dataset.plot];
      const width = Math.min(node.clientWidth, node.closest(".pair") ? (widest - 32) / 2 : widest);
      const { data, layout } = paint({ data: figure.data, layout: figure.layout }, "", style);
      const font = { ...layout.font, family: style.getPropertyValue("--sans"), size: width < 480 ? 12 : 13 };
      Plotly.react(node, data, { ...layout, font, width, height: figure.height }, { displayModeBar: false, doubleClick: false, showTips: false });
    }
  };
  const redraw = () => draw(Infinity);
  redraw();

  // On a phone a row is a block of lines, each with its column's title; rows below a rowspan lack the first cell.
  for (const table of document.querySelectorAll("table")) {
    const titles = [...table.querySelectorAll("thead th")].map((head) => head.textContent);
    for (const row of table.querySelectorAll("tbody tr")) {
      [...row.cells].forEach((cell, at) => { cell.dataset.label = titles[at + titles.length - row.cells.length]; });
    }
  }

  let waiting = 0;
  let last = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth === last) return;
    last = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(redraw, 80);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  // On paper: light, every example open, plots no wider than a page.
  let closed = [];
  addEventListener("beforeprint", () => {
    root.dataset.print = "";
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((node) => { node.open = true; });
    draw(620);
  });
  addEventListener("afterprint", () => {
    delete root.dataset.print;
    closed.forEach((node) => { node.open = false; });
    redraw();
  });
  root.dataset.drawn = "";
})();

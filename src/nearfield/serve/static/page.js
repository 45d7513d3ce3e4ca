"use strict";
const get = (id) => document.getElementById(id);
const STORAGES = ["float32", "int8", "binary"];
let contracts = [];
let last = null;

async function ask(path, body) {
  const headers = { "Content-Type": "application/json" };
  if (get("key").value) headers.Authorization = `Bearer ${get("key").value}`;
  const options = body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers };
  const answer = await fetch(path, options);
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error?.message ?? said.error ?? answer.statusText);
  return said;
}

function element(kind, text, attributes = {}) {
  const made = document.createElement(kind);
  if (text !== undefined) made.textContent = text; // never markup: texts come from data
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function row(cells, kind = "td") {
  const made = element("tr");
  for (const cell of cells) made.append(cell instanceof Node ? cell : element(kind, cell));
  return made;
}

// What is left of a vector that is cut to its first dimensions and stored.
function stored(vector, dims, storage) {
  const cut = vector.slice(0, dims);
  if (storage === "binary") return cut.map((value) => (value > 0 ? 1 : -1));
  if (storage === "float32") return cut;
  const scale = Math.max(...cut.map(Math.abs)) / 127 || 1;
  return cut.map((value) => Math.round(value / scale));
}

function cosine(a, b) {
  let dot = 0, first = 0, second = 0;
  for (let at = 0; at < a.length; at++) {
    dot += a[at] * b[at];
    first += a[at] * a[at];
    second += b[at] * b[at];
  }
  return dot / Math.sqrt(first * second || 1);
}

async function compare() {
  get("matrix-error").textContent = "";
  const texts = get("texts").value.split("\n").filter((line) => line.trim());
  const names = [get("first").value, get("second").value].filter(Boolean);
  try {
    last = await Promise.all(names.map(async (name) => {
      const body = { model: `${name}:${get("role").value}`, input: texts };
      const made = await ask("/v1/embeddings", body);
      return { name, texts, vectors: made.data.map((item) => item.embedding) };
    }));
    get("dims").max = get("dims").value = Math.max(...last.map((one) => one.vectors[0].length));
    draw();
  } catch (error) {
    get("matrix-error").textContent = error.message;
  }
}

function draw() {
  if (!last) return;
  const dims = Number(get("dims").value);
  get("dims-out").textContent = dims;
  get("matrices").replaceChildren(...last.map(({ name, texts, vectors }) => {
    const kept = vectors.map((vector) => stored(vector, dims, get("storage").value));
    const table = element("table");
    table.append(row(["", ...texts.map((_, at) => at + 1)], "th"));
    texts.forEach((text, at) => {
      const cells = kept.map((other) => {
        const near = cosine(kept[at], other);
        const strength = Math.round(Math.max(0, near) * 70);
        const style = `background: color-mix(in srgb, var(--accent) ${strength}%, transparent)`;
        return element("td", near.toFixed(3), { style });
      });
      table.append(row([element("th", `${at + 1} ${text}`, { scope: "row", title: text }), ...cells]));
    });
    const figure = element("figure");
    figure.append(element("figcaption", name), table);
    return figure;
  }));
}

async function search(event) {
  event?.preventDefault();
  get("search-error").textContent = "";
  get("search-dims-out").textContent = get("search-dims").value;
  if (!get("query").value.trim()) return;
  const body = {
    query: get("query").value, k: Number(get("k").value), explain: get("explain").checked,
    dim: Number(get("search-dims").value), storage: get("search-storage").value,
  };
  try {
    const { results } = await ask("/search", body);
    const table = get("hits");
    table.replaceChildren(row(["rank", "moved", "score", "id", "text", "made of"], "th"));
    for (const hit of results) {
      const moved = hit.whole === null ? "new" : hit.whole - hit.rank;
      const sign = moved > 0 ? `▲ ${moved}` : moved < 0 ? `▼ ${-moved}` : moved === 0 ? "–" : moved;
      const parts = (hit.matches ?? []).map((match) => `${match.query} ${match.score.toFixed(2)}`);
      table.append(row([hit.rank, sign, hit.score.toFixed(4), hit.id,
        `${hit.title} ${hit.text}`.slice(0, 300), parts.join(", ")]));
    }
  } catch (error) {
    get("search-error").textContent = error.message;
  }
}

let before = null;
async function live() {
  try {
    const text = await (await fetch("/metrics")).text();
    const sum = (name) => [...text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, "gm"))]
      .reduce((total, match) => total + Number(match[1]), 0);
    const now = { at: performance.now(), tokens: sum("nearfield_tokens_total"), asked: sum("nearfield_requests_total") };
    const seconds = before ? (now.at - before.at) / 1000 : 1;
    const rate = before ? Math.round((now.tokens - before.tokens) / seconds) : 0;
    get("live").textContent = `${rate} tokens/s, ${sum("nearfield_waiting")} waiting, ${now.asked} requests`;
    before = now;
  } catch {
    get("live").textContent = "the server does not answer";
  }
}

async function start() {
  const said = await ask("/contracts");
  contracts = said.contracts;
  for (const select of document.querySelectorAll(".models")) {
    const kept = select.querySelector("option[value='']");
    select.replaceChildren(...(kept ? [kept] : []), ...contracts.map((one) => element("option", one.model)));
  }
  const fields = ["model", "kind", "dim", "max_tokens", "pooling", "similarity", "prompts", "matryoshka_dims"];
  get("contracts").replaceChildren(row(fields, "th"), ...contracts.map((one) => row(fields.map(
    (field) => (typeof one[field] === "object" ? JSON.stringify(one[field]) : one[field])))));
  get("searching").hidden = !said.search;
  if (said.search) {
    get("search-dims").max = get("search-dims").value = said.search.dim;
    get("search-dims-out").textContent = said.search.dim;
  }
}

for (const select of document.querySelectorAll(".storage")) {
  select.replaceChildren(...STORAGES.map((name) => element("option", name)));
}
get("run").addEventListener("click", compare);
get("dims").addEventListener("input", draw);
get("storage").addEventListener("change", draw);
get("search").addEventListener("submit", search);
get("search-dims").addEventListener("change", () => search());
get("search-storage").addEventListener("change", () => search());
get("key").addEventListener("change", () => start().catch(() => {}));
start().catch((error) => { get("matrix-error").textContent = error.message; });
live();
setInterval(live, 2000);

"use strict";
const get = (id) => document.getElementById(id);
const STORAGES = ["float32", "int8", "binary"];
const FIGURE = /!\[((?:[^\[\]\\]|\\.)*)\]\((data:image\/[^)\s]*)\)/g; // of a document's text
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

// Sets a slider of dimensions to all of them, unless it has been moved below them.
function full(id, dims) {
  const slider = get(id);
  const moved = slider.max === String(dims) && slider.value < dims;
  slider.max = dims; // before the value, which may not be above it
  if (!moved) slider.value = dims;
  get(`${id}-out`).textContent = slider.value;
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
    full("dims", Math.max(...last.map((one) => one.vectors[0].length)));
    get("words").replaceChildren();
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
      const cells = texts.map((other, place) => {
        const near = cosine(kept[at], kept[place]);
        const strength = Math.round(Math.max(0, near) * 70);
        const style = `background: color-mix(in srgb, var(--accent) ${strength}%, transparent)`;
        const cell = element("td", undefined, { style });
        cell.append(element("button", near.toFixed(3), { title: "Which words make it?" }));
        cell.firstChild.addEventListener("click", () => attribute(name, [text, other]));
        return cell;
      });
      table.append(row([element("th", `${at + 1} ${text}`, { scope: "row", title: text }), ...cells]));
    });
    const figure = element("figure");
    figure.append(element("figcaption", name), table);
    return figure;
  }));
}

// How much nearer two texts are because of each word: what their similarity loses without it.
async function attribute(name, texts) {
  const segmenter = new Intl.Segmenter(undefined, { granularity: "word" });
  const model = `${name}:${get("role").value}`;
  const embed = async (input) => (await ask("/v1/embeddings", { model, input })).data.map((item) => item.embedding);
  const shown = [element("h3", `What makes them similar, says ${name}`)];
  get("matrix-error").textContent = "";
  try {
    const whole = await embed(texts);
    const near = cosine(...whole);
    for (const [place, text] of texts.entries()) {
      const parts = [...segmenter.segment(text)];
      const without = (part) => text.slice(0, part.index) + text.slice(part.index + part.segment.length);
      const words = parts.filter((part) => part.isWordLike && without(part).trim());
      const made = words.length ? await embed(words.map(without)) : [];
      const lost = new Map(words.map((part, at) => [part, near - cosine(made[at], whole[1 - place])]));
      const most = Math.max(1e-6, ...lost.values());
      const line = element("p");
      for (const part of parts) {
        if (lost.has(part)) line.append(chip(part.segment, lost.get(part), most));
        else line.append(part.segment);
      }
      shown.push(line);
    }
    get("words").replaceChildren(...shown);
  } catch (error) {
    get("matrix-error").textContent = error.message;
  }
}

// A word with a colour as strong as its share of a score.
function chip(word, score, most) {
  const strength = Math.round(Math.max(0, score / most) * 60);
  const style = `background: color-mix(in srgb, var(--accent) ${strength}%, transparent)`;
  return element("mark", word, { style, title: score.toFixed(4) });
}

let turn = 0;
async function search(event) {
  event?.preventDefault();
  const own = ++turn; // a slider asks several times, and answers may come in another order
  get("search-error").textContent = "";
  get("search-dims-out").textContent = get("search-dims").value;
  if (!get("query").value.trim()) return;
  const body = {
    query: get("query").value, k: Number(get("k").value), explain: get("explain").checked,
    dim: Number(get("search-dims").value), storage: get("search-storage").value,
  };
  try {
    const { results } = await ask("/search", body);
    if (own !== turn) return;
    const table = get("hits");
    const explained = results.some((hit) => hit.matches?.length);
    const titles = ["rank", "moved", "score", "text", ...(explained ? ["matches"] : [])];
    table.replaceChildren(row(titles, "th"));
    for (const hit of results) {
      const moved = hit.whole === null ? "new" : hit.whole - hit.rank;
      const sign = moved > 0 ? `▲ ${moved}` : moved < 0 ? `▼ ${-moved}` : moved === 0 ? "–" : moved;
      const text = element("td");
      text.append(element("b", hit.title || hit.id), " ");
      if (hit.text.startsWith("data:image/")) text.append(element("img", undefined, { src: hit.text, alt: "" }));
      else {
        text.append(hit.text.replace(FIGURE, "$1").slice(0, 300));
        for (const [, alt, src] of hit.text.matchAll(FIGURE)) text.append(element("img", undefined, { src, alt }));
      }
      const cells = [hit.rank, sign, hit.score.toFixed(4), text];
      if (explained) cells.push(madeOf(hit.matches ?? []));
      table.append(row(cells));
    }
  } catch (error) {
    get("search-error").textContent = error.message;
  }
}

// The terms, tokens or pairs of tokens that make a score: the heaviest, and none that hardly counts.
function madeOf(matches) {
  const cell = element("td");
  const heaviest = [...matches].sort((a, b) => b.score - a.score).slice(0, 6);
  for (const match of heaviest.filter((one) => one.score > heaviest[0].score / 10)) {
    const other = match.document && match.document !== match.query ? ` → ${match.document}` : "";
    cell.append(chip(`${match.query}${other} ${match.score.toFixed(2)}`, match.score, heaviest[0].score), " ");
  }
  return cell;
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

// A number, a text, a list or a mapping, as people read it.
function words(value) {
  if (typeof value !== "object") return value;
  if (Array.isArray(value)) return value.join(", ") || "–";
  return Object.entries(value ?? {}).map(([name, text]) => `${name}: ${JSON.stringify(text)}`).join(", ") || "–";
}

async function start() {
  const said = await ask("/contracts");
  const contracts = said.contracts.filter((one) => !one.error);
  get("matrix-error").textContent = said.contracts.map((one) => one.error ?? "").join(" ");
  for (const select of document.querySelectorAll(".models")) {
    const kept = select.querySelector("option[value='']");
    select.replaceChildren(...(kept ? [kept] : []), ...contracts.map((one) => element("option", one.model)));
  }
  const fields = ["model", "kind", "dim", "max_tokens", "pooling", "similarity", "prompts", "matryoshka_dims"];
  get("contracts").replaceChildren(row(fields, "th"), ...contracts.map((one) => row(fields.map((field) => words(one[field])))));
  get("searching").hidden = !said.search;
  if (said.search) full("search-dims", said.search.dim);
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

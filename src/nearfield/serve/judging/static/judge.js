"use strict";
const part = (id) => document.getElementById(id);
const NAMED = { 0: "not relevant", 1: "relevant" };
let shown = { item: null, highest: 0 };
let busy = false;

// one request at a time, so that a key that is held down judges one document
async function ask(path, body) {
  if (busy) return;
  busy = true;
  try {
    const how = path === "next" ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body ?? {}) };
    const answer = await fetch(path, how);
    if (!answer.ok) throw new Error(await answer.text());
    show(await answer.json());
    part("error").textContent = "";
  } catch (error) {
    part("error").textContent = `Not kept: ${error.message}`;
  }
  busy = false;
}

function show(item) {
  shown = item;
  const there = item.item !== null;
  part("item").hidden = !there;
  part("done").hidden = there;
  part("bar").max = item.of;
  part("bar").value = item.done;
  part("count").textContent = `${item.done} of ${item.of}`;
  for (const name of ["query", "title", "text"]) part(name).textContent = there ? item[name] : "";
  const grades = [...Array(item.highest + 1).keys()].map((grade) => {
    const button = document.createElement("button");
    const key = document.createElement("kbd");
    key.textContent = grade;
    const name = item.highest === 1 ? NAMED[grade] : grade === 0 ? NAMED[0] : grade === item.highest ? "fully relevant" : "";
    button.append(key, ` ${name}`);
    button.disabled = !there;
    button.setAttribute("aria-pressed", item.grade === grade);
    button.addEventListener("click", () => judge(grade));
    return button;
  });
  part("grades").replaceChildren(...grades);
  part("item").querySelector("article").scrollTop = 0;
}

function judge(relevance) {
  if (shown.item !== null && relevance <= shown.highest) ask("judge", { item: shown.item, relevance });
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (/^[0-9]$/.test(event.key)) judge(Number(event.key));
  else if (event.key === "Backspace") ask("back");
});
part("back").addEventListener("click", () => ask("back"));
ask("next");

// Keys, narrowing of long lists of labels, and the figures of a run going on. Everything else works without this file.
"use strict";

const KEYS_OFF = "thresher-review-keys-off";
const PERIOD_MS = 3000;
let leaving = false;

function isField(element) {
  return element.matches("textarea, select, input:not([type=checkbox]):not([type=radio]):not([type=submit])");
}

function press(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || event.repeat || leaving) return;
  if (localStorage.getItem(KEYS_OFF) === "1") return;
  const focused = document.activeElement;
  if (focused && isField(focused)) {
    if (event.key === "Escape") focused.blur();
    return;
  }
  // Enter on a link or a button presses that
  if (event.key === "Enter" && focused && focused.matches("a, button, summary")) return;
  const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!target) return;
  event.preventDefault();
  if (isField(target)) target.focus();
  else target.click();
}

function narrow(field) {
  const wanted = field.value.trim().toLowerCase();
  const list = document.querySelector(`[data-name="${CSS.escape(field.dataset.narrows)}"]`);
  for (const entry of list.children) {
    const ticked = entry.querySelector("input:checked");
    entry.hidden = !ticked && !entry.textContent.toLowerCase().includes(wanted);
  }
}

function say(name, text) {
  for (const place of document.querySelectorAll(`[data-live="${name}"]`)) {
    if (place.textContent !== text) place.textContent = text;
  }
}

async function refresh() {
  if (document.hidden) return;
  const answer = await fetch("/progress.json");
  if (!answer.ok) return;
  const now = await answer.json();
  const number = (value) => value.toLocaleString("en");
  say("done", number(now.done));
  say("documents", number(now.documents));
  say("rate", now.rate === null ? "" : `, ${now.rate.toFixed(1)} a second now`);
  say("search", now.to_come ? `Search knows ${number(now.searchable)} texts; ${number(now.to_come)} are being read in.` : "");
  for (const bar of document.querySelectorAll("[data-live-bar]")) {
    bar.max = now.documents || 1;
    bar.value = now.done;
  }
}

document.addEventListener("keydown", press);
document.addEventListener("submit", () => { leaving = true; });
window.addEventListener("pageshow", () => { leaving = false; });
for (const field of document.querySelectorAll("[data-narrows]")) {
  field.addEventListener("input", () => narrow(field));
  // Enter in the field is no answer yet
  field.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
}
for (const box of document.querySelectorAll("[data-keys-off]")) {
  box.checked = localStorage.getItem(KEYS_OFF) === "1";
  box.addEventListener("change", () => localStorage.setItem(KEYS_OFF, box.checked ? "1" : "0"));
}
if (document.querySelector("[data-live-run]")) {
  setInterval(() => { refresh().catch(() => say("rate", ", and the page's server has ended")); }, PERIOD_MS);
}

// Makes a page live: the event stream says that something changed, the page asks for its own fragments again.
// What enters: server-sent events, keys. What leaves: the same page, newer. Without this file every page works.

const body = document.body;
const words = body.dataset;
const list = () => document.querySelector("[data-rows]");

// --- The clock: community time at its own pace, from the page's own instant ----------------------------------

const startedAt = performance.now();
const clockFormat = new Intl.DateTimeFormat("en-GB", {
  timeZone: words.zone, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

function tickClock() {
  const now = Number(words.now) + (performance.now() - startedAt) * Number(words.speed);
  for (const place of document.querySelectorAll("[data-clock]")) place.textContent = clockFormat.format(now);
}
if (words.now) setInterval(tickClock, 1000);

// --- Fragments -------------------------------------------------------------------------------------------------

let heldRows = null; // a newer order that waits until neither pointer nor focus is in the list

function fragmentUrl(name) {
  const url = new URL(location.href);
  url.searchParams.set("fragment", name);
  url.hash = "";
  return url;
}

async function refresh(place) {
  const answer = await fetch(fragmentUrl(place.dataset.fragment), { headers: { accept: "text/html" } });
  if (answer.status === 401) location.reload();
  if (!answer.ok) return;
  const fresh = document.createElement("div");
  fresh.innerHTML = new DOMParser().parseFromString(await answer.text(), "text/html").body.innerHTML;
  const oldRows = place.querySelector("[data-rows]");
  const newRows = fresh.querySelector("[data-rows]");
  if (oldRows && newRows && isBusy(oldRows)) {
    const differs = updateInPlace(oldRows, newRows);
    replaceTabs(place, fresh);
    heldRows = differs ? newRows : null;
    offerNews(oldRows, differs);
    return;
  }
  if (isBeingEdited(place)) return;
  const known = new Set([...place.querySelectorAll("[data-row]")].map((row) => row.dataset.row));
  const focused = document.activeElement?.dataset?.row;
  place.replaceChildren(...fresh.childNodes);
  if (known.size) {
    for (const row of place.querySelectorAll("[data-row]")) if (!known.has(row.dataset.row)) row.classList.add("is-new");
  }
  if (focused) place.querySelector(`[data-row="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  if (newRows) {
    heldRows = null;
    announce(place);
  }
}

const isBusy = (rows) => rows.matches(":hover") || rows.contains(document.activeElement);

// A half-filled form or an open disclosure is never swapped away under the hand.
function isBeingEdited(place) {
  if (place.querySelector("details[open] form")) return true;
  const field = document.activeElement;
  return place.contains(field) && field.matches("input, textarea, select");
}

// Same rows: new content, old place. New ones wait below; gone ones are greyed until the list is put in order.
function updateInPlace(oldRows, newRows) {
  const fresh = new Map([...newRows.querySelectorAll("[data-row]")].map((row) => [row.dataset.row, row]));
  const before = [...oldRows.querySelectorAll("[data-row]")].map((row) => row.dataset.row);
  for (const row of oldRows.querySelectorAll("[data-row]")) {
    const newer = fresh.get(row.dataset.row);
    if (newer) {
      row.className = newer.className;
      row.href = newer.href;
      row.innerHTML = newer.innerHTML;
      newer.toggleAttribute("aria-current", row.hasAttribute("aria-current"));
    } else row.classList.add("is-gone");
  }
  return before.join() !== [...fresh.keys()].join();
}

function replaceTabs(place, fresh) {
  const tabs = place.querySelector(".tabs");
  const newTabs = fresh.querySelector(".tabs");
  if (tabs && newTabs && !tabs.contains(document.activeElement)) tabs.replaceWith(newTabs);
}

function offerNews(rows, there) {
  document.querySelector(".held-news")?.remove();
  if (!there) return;
  const offer = document.createElement("div");
  offer.className = "held-news";
  offer.innerHTML = "<button type=button></button>";
  offer.firstChild.textContent = words.wordNews;
  offer.firstChild.addEventListener("click", putInOrder);
  rows.before(offer);
}

function putInOrder() {
  document.querySelector(".held-news")?.remove();
  const rows = list();
  if (!heldRows || !rows) return;
  const focused = document.activeElement?.dataset?.row;
  rows.replaceChildren(...heldRows.childNodes);
  heldRows = null;
  if (focused) rows.querySelector(`[data-row="${CSS.escape(focused)}"]`)?.focus();
  announce(rows);
}

document.addEventListener("pointerout", () => {
  if (heldRows && list() && !isBusy(list())) putInOrder();
});

let waiting = null;
function refreshAll() {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    for (const place of document.querySelectorAll("[data-fragment]")) refresh(place).catch(() => {});
  }, 200);
}

// --- The stream: lost means grey, with its age -----------------------------------------------------------------

let heardAt = performance.now();
let lostSince = null;
let beats = false; // the server sends "alive" events: then their absence is a lost line, too

function showLive() {
  heardAt = performance.now();
  lostSince = null;
  body.classList.remove("is-stale");
  body.classList.replace("is-lost", "is-live") || body.classList.add("is-live");
  document.querySelector("[data-lost]").hidden = true;
  for (const place of document.querySelectorAll("[data-live-word]")) if (place !== body) place.textContent = words.wordLive;
}

function showLost() {
  lostSince ??= Date.now() - (performance.now() - heardAt);
  body.classList.add("is-stale", "is-lost");
  body.classList.remove("is-live");
  document.querySelector("[data-lost]").hidden = false;
  for (const place of document.querySelectorAll("[data-live-word]")) if (place !== body) place.textContent = words.wordLost;
}

function tellAge() {
  if (beats && performance.now() - heardAt > 40_000) showLost();
  if (lostSince === null) return;
  const seconds = Math.round((Date.now() - lostSince) / 1000);
  const unit = seconds < 100 ? [seconds, "second"] : [Math.round(seconds / 60), "minute"];
  const format = new Intl.NumberFormat(document.documentElement.lang, { style: "unit", unit: unit[1], unitDisplay: "long" });
  document.querySelector("[data-lost-age]").textContent = format.format(unit[0]);
}

function listen() {
  const stream = new EventSource(words.stream); // the browser resumes with Last-Event-ID by itself
  const heard = () => { const was = lostSince; showLive(); if (was !== null) refreshAll(); };
  stream.addEventListener("open", heard);
  stream.addEventListener("error", () => {
    showLost();
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 3000 + Math.random() * 4000);
  });
  stream.addEventListener("alive", () => { beats = true; heard(); });
  for (const name of ["cases", "states", "demo", "refetch", "message"]) {
    stream.addEventListener(name, () => { heard(); refreshAll(); });
  }
  window.addEventListener("pagehide", () => stream.close(), { once: true });
}
if (words.stream) {
  listen();
  setInterval(tellAge, 1000);
  window.addEventListener("offline", showLost);
}

// --- Rows and the case beside them -----------------------------------------------------------------------------

async function select(row) {
  const aside = document.querySelector(".aside[data-fragment]");
  if (!aside || getComputedStyle(aside).position !== "sticky") return false;
  for (const other of row.parentElement.querySelectorAll("[aria-current]")) other.removeAttribute("aria-current");
  row.setAttribute("aria-current", "true");
  history.replaceState(null, "", row.href);
  await refresh(aside);
  aside.scrollTop = 0;
  return true;
}

document.addEventListener("click", (event) => {
  const row = event.target.closest("[data-rows] [data-row][data-open]");
  if (!row || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  const aside = document.querySelector(".aside[data-fragment]");
  if (!aside || getComputedStyle(aside).position !== "sticky") return;
  event.preventDefault();
  select(row);
});

// --- Keys ------------------------------------------------------------------------------------------------------

const keysPanel = document.querySelector("[data-keys]");
let keysReturn = null;

function toggleKeys(show) {
  keysPanel.hidden = !show;
  if (show) { keysReturn = document.activeElement; keysPanel.querySelector("button").focus(); }
  else keysReturn?.focus();
}
keysPanel.querySelector("[data-keys-close]").addEventListener("click", () => toggleKeys(false));

function move(step) {
  const rows = [...document.querySelectorAll("[data-rows] [data-row]")];
  if (!rows.length) return;
  const current = rows.findIndex((row) => row === document.activeElement);
  const chosen = rows.findIndex((row) => row.hasAttribute("aria-current"));
  const from = current >= 0 ? current : chosen;
  const next = rows[Math.min(rows.length - 1, Math.max(0, from < 0 ? 0 : from + step))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
  if (next.dataset.open) select(next);
}

const press = (key) => document.querySelector(`main [data-key="${key}"], .aside [data-key="${key}"]`)?.click();

document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, textarea, select") || event.metaKey || event.ctrlKey || event.altKey) return;
  if (event.key === "Escape" && !keysPanel.hidden) return toggleKeys(false);
  if (event.key === "?") return toggleKeys(keysPanel.hidden);
  if (!keysPanel.hidden) return;
  if (event.key === "Enter" && event.target.dataset.open) {
    event.preventDefault();
    location.href = event.target.dataset.open;
    return;
  }
  const acts = { j: () => move(1), k: () => move(-1), a: () => press("a"), c: () => press("c"), r: putInOrder, s: toggleSound };
  acts[event.key.toLowerCase()]?.();
});

// --- Sound: off until asked for; one short tone for an unclaimed priority 3 ------------------------------------

let sound = localStorage.getItem("sound") === "on";
let announced = null;

function toggleSound() {
  sound = !sound;
  localStorage.setItem("sound", sound ? "on" : "off");
  showSound();
  if (sound) tone();
}
function showSound() {
  const place = document.querySelector("[data-sound-state]");
  if (place) place.textContent = sound ? "●" : "○";
}
function announce(place) {
  const urgent = [...place.querySelectorAll(".row.unacknowledged")].map((row) => row.dataset.row);
  const fresh = announced && urgent.some((id) => !announced.has(id));
  announced = new Set(urgent);
  if (fresh && sound) tone();
}
function tone() {
  const context = new AudioContext();
  const voice = context.createOscillator();
  const volume = context.createGain();
  voice.frequency.value = 660;
  volume.gain.setValueAtTime(0.12, context.currentTime);
  volume.gain.exponentialRampToValueAtTime(0.001, context.currentTime + 0.5);
  voice.connect(volume).connect(context.destination);
  voice.start();
  voice.stop(context.currentTime + 0.5);
  voice.onended = () => context.close();
}
showSound();
if (list()) announce(list());

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

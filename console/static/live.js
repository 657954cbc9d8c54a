// Makes a page live: the event stream says that something changed, the page asks for its own fragments again.
// What enters: server-sent events, keys. What leaves: the same page, newer. Without this file every page works.

const body = document.body;
const words = body.dataset;
const list = () => document.querySelector("[data-rows]");

// Written for browsers from Chromium 80 on: nothing newer than ES2020 stands here.
function fill(place, fresh) {
  place.textContent = "";
  place.append(...fresh.childNodes);
}

// --- The clock: community time at its own pace, from the page's own instant ----------------------------------

const startedAt = performance.now();
const clockFormat = new Intl.DateTimeFormat("en-GB", {
  timeZone: words.zone, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

function tickClock() {
  const now = Number(words.now) + (performance.now() - startedAt) * Number(words.speed);
  for (const place of document.querySelectorAll("[data-clock]")) place.textContent = clockFormat.format(now);
}
// A page that is not live shows the instant it was made: a running clock would make it look fresh.
if (words.now && words.stream) setInterval(tickClock, 1000);

// --- Fragments -------------------------------------------------------------------------------------------------

let heldRows = null; // a newer order that waits until neither pointer nor focus is in the list

// The page's own address, not the browser's: after a refused form that one is the form's.
let pagePath = words.path ?? location.pathname + location.search;

function fragmentUrl(name) {
  const url = new URL(pagePath, location.origin);
  url.searchParams.set("fragment", name);
  return url;
}

class AwayError extends Error {}

// How often each place was asked for. Answers may overtake each other: what was asked for before the last time is old,
// and beside a chosen row it would be somebody else's case, with the forms to act on it.
const turns = new WeakMap();

async function refresh(place) {
  const turn = (turns.get(place) ?? 0) + 1;
  turns.set(place, turn);
  const asked = pagePath;
  const answer = await fetch(fragmentUrl(place.dataset.fragment), { headers: { accept: "text/html" } });
  const text = await answer.text();
  if (turns.get(place) !== turn) return;
  if (asked !== pagePath) { refreshAll(); return; }
  // What is no longer there, or no longer this reader's, is said by the whole page; not while a form is on its way,
  // whose own answer says what came of it: signing out ends what this asks for as well.
  const isSending = document.querySelector("form[data-sent]") !== null;
  if ([401, 403, 404].includes(answer.status) && !isSending) location.assign(pagePath);
  if (!answer.ok) throw new AwayError(String(answer.status));
  const fresh = document.createElement("div");
  fresh.innerHTML = new DOMParser().parseFromString(text, "text/html").body.innerHTML;
  if (fresh.querySelector("#main")) throw new AwayError("a whole page instead of a part");
  const oldRows = place.querySelector("[data-rows]");
  const newRows = fresh.querySelector("[data-rows]");
  if (oldRows && newRows && isBusy(oldRows)) {
    const differs = updateInPlace(oldRows, newRows);
    for (const part of [".tabs", ".pager"]) replacePart(place, fresh, part);
    heldRows = differs ? newRows : null;
    offerNews(oldRows, differs);
    announce(newRows);
    return;
  }
  if (isBeingEdited(place)) return;
  const known = new Set([...place.querySelectorAll("[data-row]")].map((row) => row.dataset.row));
  const focused = document.activeElement?.closest("[data-row]")?.dataset.row;
  const pressed = document.activeElement?.dataset?.result;
  const held = place.contains(document.activeElement) ? controlOf(document.activeElement) : null;
  const open = unfolded(place);
  fill(place, fresh);
  delete place.dataset.awaits;
  place.inert = false;
  unfold(place, open);
  if (known.size) {
    for (const row of place.querySelectorAll("[data-row]")) if (!known.has(row.dataset.row)) row.classList.add("is-new");
  }
  const again = focused && place.querySelector(`[data-row="${CSS.escape(focused)}"]`);
  if (again) ((pressed && again.querySelector(`[data-result="${CSS.escape(pressed)}"]`)) || again).focus({ preventScroll: true });
  else if (held) refocus(place, held);
  if (newRows) {
    heldRows = null;
    announce();
  }
}

// Who works by keyboard stands on a control; its newer self takes the focus, or the page's main part where it is gone.
const CONTROLS = "a[href], button, summary, input, select, textarea, [tabindex]";
const controlOf = (control) => [control.tagName, control.id, control.getAttribute("href"), control.getAttribute("name"),
  control.getAttribute("value"), control.form?.getAttribute("action"), control.matches("summary") ? titleOf(control) : ""].join("|");

function refocus(place, held) {
  const same = [...place.querySelectorAll(CONTROLS)].find((control) => controlOf(control) === held);
  (same ?? document.querySelector("#main"))?.focus({ preventScroll: true });
}

const isBusy = (rows) => rows.matches(":hover") || rows.contains(document.activeElement);

// A half-filled form is never swapped away under the hand, and what was unfolded stays unfolded.
function isBeingEdited(place) {
  if (place.querySelector("form[data-touched]")) return true;
  const field = document.activeElement;
  return place.contains(field) && field.matches("input, textarea, select");
}

document.addEventListener("input", (event) => {
  const form = event.target.form;
  if (form?.method === "post") form.dataset.touched = "yes";
});

// What a part is called does not change with the number beside it.
const titleOf = (summary) => summary.dataset.name ?? summary.textContent;
const unfolded = (place) => [...place.querySelectorAll("details[open] > summary")].map(titleOf);

function unfold(place, titles) {
  for (const summary of place.querySelectorAll("details > summary")) {
    if (titles.includes(titleOf(summary))) summary.parentElement.open = true;
  }
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
      row.dataset.calls = newer.dataset.calls ?? "";
      if (row.innerHTML !== newer.innerHTML) row.innerHTML = newer.innerHTML;
      newer.toggleAttribute("aria-current", row.hasAttribute("aria-current"));
    } else row.classList.add("is-gone");
  }
  return before.join() !== [...fresh.keys()].join();
}

function replacePart(place, fresh, part) {
  const old = place.querySelector(part);
  const newer = fresh.querySelector(part);
  if (old?.contains(document.activeElement)) return;
  if (old && newer) old.replaceWith(newer);
  else if (old) old.remove();
  else if (newer) place.append(newer);
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
  const rows = list();
  if (!heldRows || !rows) return;
  const focused = document.activeElement;
  const asked = Boolean(focused?.closest(".held-news"));
  const place = [...rows.querySelectorAll("[data-row]")].indexOf(focused);
  document.querySelector(".held-news")?.remove();
  fill(rows, heldRows);
  heldRows = null;
  // Whose row is gone stands on the one that took its place, and who asked for the order on the first.
  const now = [...rows.querySelectorAll("[data-row]")];
  const same = now.find((row) => row.dataset.row === focused?.dataset?.row);
  if (place >= 0) (same ?? now[Math.min(place, now.length - 1)])?.focus();
  else if (asked) now[0]?.focus();
  announce();
}

document.addEventListener("pointerout", () => {
  if (heldRows && list() && !isBusy(list())) putInOrder();
});

// Changes come in bursts, a slow server must not be asked faster than it answers, and a page nobody looks at
// asks seldom. What fails is tried again, and until it succeeds the list looks as old as it is.
const GAP_MS = 1500;
const GAP_HIDDEN_MS = 15_000;
let planned = null;
let asking = false;
let askAgain = false;
let askedAt = -GAP_HIDDEN_MS;
let tookMs = 0;

function refreshAll() {
  if (asking) { askAgain = true; return; }
  const gap = Math.max(document.hidden ? GAP_HIDDEN_MS : GAP_MS, 4 * tookMs);
  if (planned === null) planned = setTimeout(ask, Math.max(150, askedAt + gap - performance.now()));
}

async function ask() {
  planned = null;
  asking = true;
  askedAt = performance.now();
  const places = [...document.querySelectorAll("[data-fragment]")];
  const results = await Promise.allSettled(places.map(refresh));
  tookMs = performance.now() - askedAt;
  askedAt = performance.now();
  asking = false;
  const failed = results.some((result) => result.status === "rejected");
  oldSince = failed ? (oldSince ?? Date.now()) : null;
  showAge();
  if (failed) setTimeout(refreshAll, 3000 + Math.random() * 2000);
  else if (askAgain) { askAgain = false; refreshAll(); }
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden || planned === null) return;
  clearTimeout(planned);
  planned = null;
  askedAt = -GAP_HIDDEN_MS;
  refreshAll();
});

// --- The stream: lost means grey, with its age -----------------------------------------------------------------

const SILENT_MS = 40_000; // the server beats every 15 s
let stream = null;
let heardAt = performance.now();
let lostSince = null; // the line is lost
let oldSince = null; // the line stands, but the list could not be fetched

function showAge() {
  const since = lostSince ?? oldSince;
  const lost = since !== null;
  body.classList.toggle("is-stale", lost);
  body.classList.toggle("is-lost", lost);
  body.classList.toggle("is-live", !lost);
  document.querySelector("[data-lost]").hidden = !lost;
  for (const place of document.querySelectorAll("span[data-live-word]")) place.textContent = lost ? words.wordLost : words.wordLive;
  if (!lost) return;
  const seconds = Math.max(0, Math.round((Date.now() - since) / 1000));
  const [value, unit] = seconds < 100 ? [seconds, "second"] : [Math.round(seconds / 60), "minute"];
  const format = new Intl.NumberFormat(document.documentElement.lang, { style: "unit", unit, unitDisplay: "long" });
  document.querySelector("[data-lost-age]").textContent = format.format(value);
}

function heard() {
  heardAt = performance.now();
  const was = lostSince;
  lostSince = null;
  if (was !== null) refreshAll();
  showAge();
}

function lose() {
  if (lostSince === null) lostSince = Date.now() - (performance.now() - heardAt);
  showAge();
}

function watchLine() {
  if (performance.now() - heardAt > SILENT_MS) {
    lose();
    // A line that died without a word never says so itself: hang up and dial again.
    if (stream?.readyState === EventSource.OPEN) { stream.close(); listen(); }
  }
  if (lostSince !== null || oldSince !== null) showAge();
}

function listen() {
  const opened = new EventSource(words.stream); // the browser resumes with Last-Event-ID by itself
  stream = opened;
  opened.addEventListener("open", heard);
  opened.addEventListener("error", () => {
    if (stream !== opened) return;
    lose();
    if (opened.readyState === EventSource.CLOSED) setTimeout(listen, 3000 + Math.random() * 4000);
  });
  for (const name of ["alive", "here"]) opened.addEventListener(name, heard);
  for (const name of ["cases", "states", "demo", "refetch", "message"]) {
    opened.addEventListener(name, () => { heard(); refreshAll(); });
  }
}
if (words.stream) {
  listen();
  setInterval(watchLine, 1000);
  window.addEventListener("offline", lose);
  window.addEventListener("pagehide", () => stream.close());
  // A page taken back out of the browser's memory is as old as its last answer.
  window.addEventListener("pageshow", (event) => { if (event.persisted) { listen(); refreshAll(); } });
}

// --- Rows and the case beside them -----------------------------------------------------------------------------

// The case beside the list is the chosen one as soon as it has been fetched. Until then it is still the case before, and
// nothing in it is pressed: neither by hand nor by a key.
let shown = Promise.resolve();

async function select(row) {
  const aside = document.querySelector(".aside[data-fragment]");
  if (!aside || getComputedStyle(aside).position !== "sticky") return;
  const unsent = aside.querySelector("form[data-touched]");
  if (unsent) {
    if (!confirm(words.wordLeave)) { unsent.querySelector(CONTROLS)?.focus(); return; }
    delete unsent.dataset.touched;
  }
  for (const other of row.parentElement.querySelectorAll("[aria-current]")) other.removeAttribute("aria-current");
  row.setAttribute("aria-current", "true");
  history.replaceState(null, "", row.href);
  pagePath = location.pathname + location.search;
  aside.dataset.awaits = pagePath;
  aside.inert = true;
  shown = refresh(aside).catch(refreshAll);
  await shown;
  aside.scrollTop = 0;
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

// Past the last row the list goes on with its next page, which begins on its first row; a key that is held does not leaf.
const FIRST_ROW = "#rows";

function move(step, held) {
  const rows = [...document.querySelectorAll("[data-rows] [data-row], [data-board] [data-row]")];
  if (!rows.length) return;
  const current = rows.indexOf(document.activeElement?.closest("[data-row]"));
  const chosen = rows.findIndex((row) => row.hasAttribute("aria-current"));
  const from = current >= 0 ? current : chosen;
  const more = document.querySelector("[data-more]");
  if (more && step > 0 && from === rows.length - 1) {
    if (!held) location.assign(more.href + FIRST_ROW);
    return;
  }
  const next = rows[Math.min(rows.length - 1, Math.max(0, from < 0 ? 0 : from + step))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
  if (next.dataset.open && next.href) select(next);
}

// The results of a call by their numbers, and on with Enter: the list then stands on its first open row.
// On the board the number is the result of the home that has the focus, at once.
async function choose(place) {
  const home = document.activeElement?.closest("[data-board] [data-row]");
  if (home) { home.querySelector(`[data-result="${place}"]`)?.click(); return; }
  const meant = pagePath;
  await shown;
  if (meant !== pagePath || document.querySelector("[data-awaits]")) return;
  const choice = document.querySelectorAll("form.outcome [name=outcome]")[place - 1];
  if (!choice) return;
  choice.click();
  choice.focus();
  choice.scrollIntoView({ block: "nearest" });
}

// After an act the focus is where the work goes on: in the first field that was refused, on the next row, or before the
// first control of the page's main part, which then says what was done. Nobody walks through the navigation again.
function standAfterAct() {
  const notice = document.querySelector(".strip-notice, [data-told]");
  const refused = document.querySelector("main [aria-invalid=true], .aside [aria-invalid=true]");
  const field = refused?.matches("fieldset") ? refused.querySelector("input") : refused;
  const main = document.querySelector("#main");
  if (field) return field.focus();
  if (!notice || !main) return;
  const row = document.querySelector("[data-next-row] [data-row]");
  if (row) return row.focus();
  if (document.querySelector("[autofocus]")) return;
  notice.id = "notice";
  main.setAttribute("aria-describedby", notice.id);
  main.focus({ preventScroll: true });
}
standAfterAct();
if (location.hash === FIRST_ROW) list()?.querySelector("[data-row]")?.focus();

// A key is meant for the case chosen when it was pressed; one that came to stand there since is another one.
async function press(key) {
  const meant = pagePath;
  await shown;
  if (meant !== pagePath || document.querySelector("[data-awaits]")) return;
  document.querySelector(`main [data-key="${key}"], .aside [data-key="${key}"]`)?.click();
}

document.addEventListener("keydown", (event) => {
  // The panel is all there is while it is open: its one button keeps the focus.
  if (event.key === "Tab" && !keysPanel.hidden) return event.preventDefault();
  if (event.target.matches("input:not([type=radio]), textarea, select") || event.metaKey || event.ctrlKey || event.altKey) return;
  if (event.key === "Escape" && !keysPanel.hidden) return toggleKeys(false);
  if (event.key === "?") return toggleKeys(keysPanel.hidden);
  if (!keysPanel.hidden) return;
  if (event.key === "Enter" && event.target.dataset.open) {
    event.preventDefault();
    location.href = event.target.dataset.open;
    return;
  }
  const acts = { j: () => move(1, event.repeat), k: () => move(-1, event.repeat), a: () => press("a"), c: () => press("c"), r: putInOrder,
    s: () => sound?.then((desk) => (event.shiftKey ? desk.switchOff() : desk.toggle())) };
  if (/^[1-9]$/.test(event.key)) choose(Number(event.key));
  acts[event.key.toLowerCase()]?.();
});

// --- Sound: by priority, off until asked for, with a mute that ends by itself -----------------------------------

const sound = document.querySelector("[data-sound]") ? import(`./sound.js${new URL(import.meta.url).search}`) : null;
const announce = (rows) => sound?.then((desk) => desk.announce(rows));

// --- Forms: one press, one act ---------------------------------------------------------------------------------

// Whoever opened a page just now is signed in.
const FRESH_MS = 60 * 1000;

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  const isOld = performance.now() - startedAt > FRESH_MS;
  // A line may stand for minutes over a network that takes nothing new.
  const doubtful = lostSince !== null || oldSince !== null || (form.dataset.touched && (!stream || isOld));
  if (doubtful && !form.dataset.reached) { event.preventDefault(); sendOnceTaken(form, event.submitter); return; }
  delete form.dataset.reached;
  form.dataset.sent = "yes";
  form.setAttribute("aria-busy", "true");
  setTimeout(() => { delete form.dataset.sent; form.removeAttribute("aria-busy"); }, 5000);
});

// A form sent to nobody is a page of the browser's own, one sent by nobody a page to sign in: what was written is gone
// with this one. It stays here, and nowhere else, until it would be taken.
async function sendOnceTaken(form, submitter) {
  const why = await whyNotTaken();
  form.querySelector("[data-unsent]")?.remove();
  if (!why) {
    form.dataset.reached = "yes";
    form.requestSubmit(submitter);
    return;
  }
  const told = Object.assign(document.createElement("p"), { className: "field-error", role: "alert", textContent: why });
  told.dataset.unsent = "yes";
  if (why === words.wordEnded) {
    told.append(" ", Object.assign(document.createElement("a"), {
      href: "/sign-in", target: "_blank", rel: "noopener", textContent: words.wordSignInAgain,
    }));
  }
  form.append(told);
}

// Nobody answers, nobody is signed in any more, or somebody else is. A new sign-in has a token of its own for forms.
async function whyNotTaken() {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), 3000);
  const asked = { cache: "no-store", signal: late.signal };
  const answer = await fetch(words.user ? "/sessions/here" : "/healthz", asked).catch(() => null);
  clearTimeout(timer);
  if (!answer || answer.status >= 502) return words.wordUnsent;
  if (words.user && answer.status === 401) return words.wordEnded;
  if (!words.user || !answer.ok) return "";
  const { user, csrf } = await answer.json().catch(() => ({}));
  if (!user) return "";
  if (String(user) !== words.user) return words.wordSomebodyElse;
  for (const field of document.querySelectorAll("input[name=csrf]")) field.value = csrf;
  return "";
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

// --- In the field: acts are kept while there is no signal ------------------------------------------------------

if (document.querySelector("[data-voice]")) import(`./voice.js${new URL(import.meta.url).search}`);
if (document.querySelector("input[type=date], input[type=datetime-local]")) import(`./dates.js${new URL(import.meta.url).search}`);
if (document.querySelector("[data-field]")) import(`./field.js${new URL(import.meta.url).search}`);
// Whoever signs in next on this phone finds no page of whoever was here before.
if (location.pathname === "/sign-in") {
  globalThis.caches?.delete("kaimen-field");
  if (globalThis.indexedDB) forgetOldPhotos();
}

// A photo of somebody's home that nobody sent within a day is no longer taken: it does not stay on the phone either.
function forgetOldPhotos() {
  const asked = indexedDB.open("kaimen-field", 1);
  asked.onupgradeneeded = () => asked.result.createObjectStore("acts", { keyPath: "key" });
  asked.onsuccess = () => {
    const acts = asked.result.transaction("acts", "readwrite").objectStore("acts");
    acts.openCursor().onsuccess = ({ target: { result: at } }) => {
      if (!at) return;
      if (at.value.photo && Date.now() - at.value.done_ms > 24 * 3600 * 1000) at.delete();
      at.continue();
    };
  };
}

// --- Terminals: what was typed is forgotten some seconds after the last key or touch ---------------------------

const forgetting = document.querySelector("[data-forget-s]");
if (forgetting) {
  let timer = 0;
  const startAgain = () => location.replace(forgetting.dataset.forgetUrl);
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(startAgain, 1000 * Number(forgetting.dataset.forgetS));
  };
  for (const kind of ["keydown", "pointerdown", "input"]) document.addEventListener(kind, wait);
  // A reader types like a keyboard: what it reads lands in the field for it, wherever the focus is.
  document.addEventListener("keydown", (event) => {
    const plain = event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey;
    if (plain && !event.target.matches("input:not([type=radio]), textarea")) forgetting.querySelector("[name=code]")?.focus();
  });
  // A page that comes back out of the browser's memory must not show what was typed there.
  addEventListener("pageshow", (event) => { if (event.persisted) startAgain(); });
  wait();
}

// --- The sheet of all pages goes away when something else is touched --------------------------------------------

const sheet = document.querySelector("[data-nav-bar] > details");
document.addEventListener("click", (event) => { if (sheet?.open && !sheet.contains(event.target)) sheet.open = false; });
// Nor does it cover what the focus has gone on to.
sheet?.addEventListener("focusout", (event) => { if (event.relatedTarget && !sheet.contains(event.relatedTarget)) sheet.open = false; });
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !sheet?.open) return;
  sheet.open = false;
  sheet.querySelector("summary").focus();
});

// --- Where we are in the navigation stays in sight where the list is longer than the window ---------------------

const wideList = document.querySelector(".nav-wide");
const here = wideList?.querySelector("[aria-current]");
const foot = wideList?.querySelector(".foot");
if (here && foot) {
  const end = Math.min(foot.getBoundingClientRect().top, innerHeight);
  const hidden = here.getBoundingClientRect().bottom - end;
  if (hidden > 0) wideList.scrollTop += hidden + 8;
}

// From here on every key is heard.
body.dataset.ready = "yes";

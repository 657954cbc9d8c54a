// Keeps what is done at a door while there is no signal, and sends it once, with its own time.
// What enters: forms with data-act. What leaves: one POST per act to /field/acts or, with a photo, to /field/photos,
// under a key of its own. Written for browsers from Chromium 80 on: nothing newer than ES2020 stands here.

const place = document.querySelector("[data-field]");
const words = place.dataset;
const CACHE = "kaimen-field";
const ANSWER_WITHIN_MS = 8_000;
const PHOTO_ANSWER_WITHIN_MS = 60_000;
const AGAIN_MS = 30_000;
// What one phone keeps of a visit, and for how long; the server takes no act that is older.
const PHOTOS_MAX = 3;
const PHOTO_BYTES_MAX = 6 * 1024 * 1024;
const KEPT_MS = 24 * 3600 * 1000;
// Larger ones are made smaller: they are for showing what was found, over the network of a stairwell.
const PHOTO_BYTES_PLAIN = 1024 * 1024;
const PHOTO_SIDE = 2048;

// --- The store: one row per act, until the server has it --------------------------------------------------------

const opened = new Promise((resolve, reject) => {
  const asked = indexedDB.open("kaimen-field", 1);
  asked.onupgradeneeded = () => asked.result.createObjectStore("acts", { keyPath: "key" });
  asked.onsuccess = () => resolve(asked.result);
  asked.onerror = () => reject(asked.error);
});

async function store(mode, work) {
  const database = await opened;
  return new Promise((resolve, reject) => {
    const turn = database.transaction("acts", mode);
    const asked = work(turn.objectStore("acts"));
    turn.oncomplete = () => resolve(asked.result);
    turn.onabort = turn.onerror = () => reject(turn.error);
  });
}

const keep = (act) => store("readwrite", (acts) => acts.put(act));
const drop = (key) => store("readwrite", (acts) => acts.delete(key));
const all = async () => (await store("readonly", (acts) => acts.getAll())).sort((a, b) => a.done_ms - b.done_ms);

// --- Sending ----------------------------------------------------------------------------------------------------

let session = null;
let signedOut = false;

async function ask(url, options = {}, withinMs = ANSWER_WITHIN_MS) {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), withinMs);
  try {
    return await fetch(url, { cache: "no-store", redirect: "manual", signal: late.signal, ...options });
  } finally {
    clearTimeout(timer);
  }
}

async function openSession() {
  const answer = await ask("/field/session", { headers: { accept: "application/json" } });
  // What is sent without a session, or before something she has to do first, waits until she has been there.
  signedOut = answer.status === 401 || answer.status === 403;
  if (!answer.ok) return null;
  session = await answer.json();
  localStorage.setItem("field-user", String(session.user));
  return session;
}

async function send(act) {
  const { key, task_id, kind, fields, done_ms, photo } = act;
  const own = { key, task_id, done_ms, sent_ms: Date.now() };
  const answer = photo ? await sendPhoto(own, photo) : await ask("/field/acts", {
    method: "POST",
    headers: { "content-type": "application/json", "x-kaimen-csrf": session.csrf },
    body: JSON.stringify({ ...own, kind, fields }),
  });
  if (answer.ok) {
    await drop(key);
    return { state: "sent", ...(await answer.json()) };
  }
  if (answer.status >= 500 || answer.status === 401 || answer.status === 0) return { state: "waiting" };
  const told = await answer.json().catch(() => ({}));
  await keep({ ...act, photo: undefined, state: "refused", words: told.words ?? String(answer.status) });
  return { state: "refused", ...told };
}

function sendPhoto(own, photo) {
  const body = new FormData();
  for (const [name, value] of Object.entries(own)) body.append(name, String(value));
  body.append("photo", photo, "photo.jpg");
  return ask("/field/photos", { method: "POST", headers: { "x-kaimen-csrf": session.csrf }, body }, PHOTO_ANSWER_WITHIN_MS);
}

// What became of each act: the turn that sends it need not be the one that its form began.
const results = new Map();
const pressed = new Set(); // acts whose form waits for its answer: it leads to a page that says what was done
const sent = []; // acts kept earlier, which nobody waits for: they are told here

// One at a time and in order, also with the page open twice: what was done first is sent first.
async function sync() {
  const work = async () => {
    const waiting = (await all()).filter((act) => act.state === "waiting");
    if (waiting.length && (await openSession())) {
      for (const act of waiting.filter((act) => act.user === String(session.user))) {
        const result = await send(act);
        results.set(act.key, result);
        if (result.state === "sent" && !pressed.has(act.key)) sent.push({ ...act, state: "sent" });
        if (result.state === "waiting") break;
      }
    }
  };
  try {
    await (navigator.locks ? navigator.locks.request("kaimen-field", work) : work());
  } catch {
    // No signal: they wait.
  } finally {
    await show();
  }
}

// What became of an act after a turn; one that is gone was sent by this page open a second time.
async function resultOf(act) {
  const gone = !(await all()).some((kept) => kept.key === act.key);
  return results.get(act.key) ?? (gone ? { state: "sent", url: location.href } : null);
}

// --- What the person sees ---------------------------------------------------------------------------------------

const clock = new Intl.DateTimeFormat(document.documentElement.lang, { hour: "2-digit", minute: "2-digit" });

function line(act) {
  const row = document.createElement("p");
  const what = `${clock.format(act.done_ms)} ${words[`word${act.kind[0].toUpperCase()}${act.kind.slice(1)}`]}`;
  const mine = act.user === (localStorage.getItem("field-user") ?? act.user);
  const how = act.state === "refused" ? `${words.wordRefused} ${act.words}`
    : act.state === "sent" ? words.wordSent
    : !mine ? words.wordOther : signedOut ? words.wordSignIn : words.wordKept;
  row.textContent = `${what} · ${how}`;
  if (act.state === "waiting" && isUrgent(act)) row.append(Object.assign(document.createElement("b"), { textContent: ` ${words.wordUrgent}` }));
  if (act.state === "waiting" && mine && signedOut) {
    row.append(Object.assign(document.createElement("a"), {
      className: "btn", href: `/sign-in?next=${encodeURIComponent(location.pathname)}`, textContent: words.wordSignInNow,
    }));
  }
  if (act.state === "refused") {
    if (mine && PAGES[act.kind] !== undefined) row.append(button(words.wordAgain, () => fillAgain(act)));
    row.append(button(words.wordDiscard, async () => { await drop(act.key); await show(); }));
  }
  return row;
}

function button(text, onClick) {
  const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
  made.addEventListener("click", onClick);
  return made;
}

// Somebody needs help now, and nobody has heard of it yet.
const isUrgent = (act) => act.kind === "form" && Object.values(act.fields).includes("urgent");

async function show() {
  const acts = await all();
  place.textContent = "";
  place.append(...sent.map(line), ...acts.map(line));
  if (said) place.append(Object.assign(document.createElement("p"), { textContent: said }));
  place.dataset.count = String(acts.length);
  place.hidden = acts.length + sent.length === 0 && !said;
}

// What this page has to say that is no act: why a photo cannot be kept.
let said = "";

async function say(text) {
  said = text;
  await show().catch(() => { place.textContent = text; place.hidden = false; });
  place.scrollIntoView({ block: "nearest" });
}

// A photo of somebody's home does not lie on a phone for longer than it would be taken.
async function forgetOld() {
  for (const act of await all()) {
    if (act.photo && Date.now() - act.done_ms > KEPT_MS) {
      await keep({ ...act, photo: undefined, state: "refused", words: words.wordPhotoOld });
    }
  }
}

// --- A form is pressed: first it is kept, then it is sent -------------------------------------------------------

// A key of its own for every act; written out where the browser makes none.
function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function actOf(form, submitter) {
  const data = new FormData(form);
  if (submitter && submitter.name) data.append(submitter.name, submitter.value);
  data.delete("csrf");
  return {
    key: newKey(), task_id: Number(form.dataset.task), kind: form.dataset.act,
    fields: Object.fromEntries([...data].filter(([, value]) => typeof value === "string")),
    done_ms: Date.now(), state: "waiting", user: localStorage.getItem("field-user") ?? "",
  };
}

// The picture made small enough to be kept and sent; as it is where this browser cannot, or it would grow.
async function smaller(file) {
  if (file.size <= PHOTO_BYTES_PLAIN || !globalThis.createImageBitmap) return file;
  try {
    const drawn = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => createImageBitmap(file));
    const part = Math.min(1, PHOTO_SIDE / Math.max(drawn.width, drawn.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(drawn.width * part));
    canvas.height = Math.max(1, Math.round(drawn.height * part));
    canvas.getContext("2d").drawImage(drawn, 0, 0, canvas.width, canvas.height);
    const made = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.82));
    return made && made.size < file.size ? made : file;
  } catch {
    return file;
  }
}

async function submitPhoto(form) {
  const file = form.querySelector("input[type=file]").files[0];
  if (!file) { HTMLFormElement.prototype.submit.call(form); return; }
  const act = actOf(form, null);
  const photo = await smaller(file);
  if (photo.size > PHOTO_BYTES_MAX) { await say(words.wordPhotoLarge); return; }
  const waiting = (await all()).filter((kept) => kept.photo && kept.task_id === act.task_id);
  if (waiting.length >= PHOTOS_MAX) { await say(words.wordPhotoEnough); return; }
  said = "";
  pressed.add(act.key);
  try {
    await keep({ ...act, photo });
  } catch {
    // The phone is full, or keeps no files: only what is sent at once is not lost.
    const result = (await openSession()) ? await send({ ...act, photo }) : null;
    if (result?.state === "sent") location.assign(result.url);
    else await say(words.wordPhotoFull);
    return;
  }
  await sync();
  const result = await resultOf(act);
  pressed.delete(act.key);
  if (result?.state === "sent") { location.assign(result.url); return; }
  // It waits, or it was refused in words that stand there; the form is free for the next one.
  form.reset();
  delete form.dataset.touched;
  place.scrollIntoView({ block: "nearest" });
}

async function submit(form, submitter) {
  const act = actOf(form, submitter);
  pressed.add(act.key);
  said = "";
  await keep(act);
  if (form.dataset.again) await drop(form.dataset.again);
  await sync();
  const result = await resultOf(act);
  pressed.delete(act.key);
  if (result?.state === "sent") { location.assign(result.url); return; }
  if (result?.state === "refused") {
    // Nothing was recorded: the page itself says what is missing, beside its field.
    await drop(act.key);
    if (submitter?.name) {
      const pressed = document.createElement("input");
      Object.assign(pressed, { type: "hidden", name: submitter.name, value: submitter.value });
      form.append(pressed);
    }
    HTMLFormElement.prototype.submit.call(form);
    return;
  }
  const missing = result === null ? missingOf(form) : null;
  if (missing) {
    await drop(act.key);
    missing[0].focus();
    await say(missing[1]);
    return;
  }
  form.dataset.kept = "yes";
  delete form.dataset.touched;
  for (const button of form.querySelectorAll("button")) button.disabled = true;
  place.scrollIntoView({ block: "nearest" });
}

// --- What was refused is filled in again, not typed again -------------------------------------------------------

const PAGES = { outcome: "", form: "/visit", step: "/entry" };

const formOf = ({ task_id, kind, fields }) => [...document.querySelectorAll(`form[data-act="${kind}"][data-task="${task_id}"]`)]
  .filter((form) => kind !== "step" || form.elements.step.value === fields.step).pop();

// The act goes from the list when its form is sent again, not before.
function fillAgain(act) {
  const form = formOf(act);
  const page = `/tasks/${act.task_id}${PAGES[act.kind]}`;
  if (!form && location.pathname === page) { say(words.wordClosed); return; }
  if (!form) { location.assign(`${page}#again=${act.key}`); return; }
  for (const [name, value] of Object.entries(act.fields)) {
    const field = form.elements.namedItem(name);
    if (field) field.value = value;
  }
  form.dataset.again = act.key;
  form.dataset.touched = "yes";
  delete form.dataset.kept;
  for (const spent of form.querySelectorAll("button")) spent.disabled = false;
  for (let fold = form.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  form.scrollIntoView({ block: "start" });
}

// She came here from the list of another page to fill one in again.
async function takeUp() {
  const key = location.hash.match(/^#again=([0-9a-f-]{36})$/)?.[1];
  const act = (await all()).find((kept) => kept.key === key && kept.state === "refused");
  if (act) fillAgain(act);
}

// Without a signal nobody else says what is missing, and at home it is too late: she stands at the door now.
function missingOf(form) {
  const chosen = new FormData(form);
  for (const field of form.querySelectorAll("input[type=radio]")) {
    if (form.dataset.act === "form" && !chosen.has(field.name)) return [field, words.wordMissing];
  }
  for (const [name, value] of chosen) {
    const note = form.elements.namedItem(`${name}_note`);
    if (value === "urgent" && note && !note.value.trim()) return [note, words.wordUrgentNote];
  }
  if (form.dataset.act === "outcome" && !chosen.get("outcome")) return [form.querySelector("[name=outcome]"), words.wordNoOutcome];
  const who = form.dataset.needsWho === undefined ? null : form.elements.namedItem("who");
  if (who && !who.value.trim()) return [who, words.wordWho];
  return null;
}

// Which button was pressed, where the browser does not say so with the form.
let lastPressed = null;
document.addEventListener("click", (event) => { lastPressed = event.target.closest && event.target.closest("button"); }, true);

document.addEventListener("submit", (event) => {
  const form = event.target;
  const submitter = event.submitter ?? (lastPressed && lastPressed.form === form ? lastPressed : null);
  // Who has never been known here cannot be sent for: the form goes the plain way.
  if (!form.dataset.act || !localStorage.getItem("field-user") || !globalThis.indexedDB) return;
  event.preventDefault();
  event.stopPropagation();
  if (form.dataset.kept || form.hasAttribute("aria-busy")) return;
  form.setAttribute("aria-busy", "true");
  if (form.dataset.act === "photo") {
    submitPhoto(form).catch(() => say(words.wordPhotoFull)).finally(() => form.removeAttribute("aria-busy"));
    return;
  }
  submit(form, submitter)
    .catch(() => HTMLFormElement.prototype.submit.call(form)) // a phone that keeps nothing: the plain way
    .finally(() => form.removeAttribute("aria-busy"));
}, true);

// --- The pages of this task stay readable without signal --------------------------------------------------------

async function keepPages() {
  if (!navigator.serviceWorker) return;
  await navigator.serviceWorker.register("/static/field-worker.js", { scope: "/tasks" });
  const ready = await navigator.serviceWorker.ready;
  const task = location.pathname.match(/^\/tasks\/\d+/)?.[0];
  if (!task) return;
  const wanted = [...document.querySelectorAll("link[rel=stylesheet], script[src]")].map((item) => item.href || item.src);
  const pages = document.querySelector("form[data-act]") ? [`${task}/visit`, `${task}/entry`, `${task}/photos`] : [];
  const here = navigator.serviceWorker.controller ? [] : [location.pathname];
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data }) => { place.dataset.pages = data.failed ? "partly" : "kept"; };
  ready.active.postMessage({ keep: [...wanted, import.meta.url, ...here, ...pages] }, [port2]);
}

window.addEventListener("online", sync);
setInterval(async () => { if ((await all()).length) sync(); }, AGAIN_MS);

async function begin() {
  await forgetOld().catch(() => null);
  await show();
  await openSession().catch(() => null);
  await sync();
  await takeUp().catch(() => null);
  keepPages().catch(() => null);
  place.dataset.ready = "yes";
}

begin();

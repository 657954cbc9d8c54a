// Keeps what is done at a door while there is no signal, and sends it once, with its own time.
// What enters: forms with data-act. What leaves: one POST per act to /field/acts, under a key of its own.

const place = document.querySelector("[data-field]");
const words = place.dataset;
const CACHE = "kaimen-field";
const ANSWER_WITHIN_MS = 8_000;
const AGAIN_MS = 30_000;

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

async function ask(url, options = {}) {
  return fetch(url, { cache: "no-store", redirect: "manual", signal: AbortSignal.timeout(ANSWER_WITHIN_MS), ...options });
}

async function openSession() {
  const answer = await ask("/field/session", { headers: { accept: "application/json" } });
  signedOut = answer.status === 401;
  if (!answer.ok) return null;
  session = await answer.json();
  localStorage.setItem("field-user", String(session.user));
  return session;
}

async function send(act) {
  const { key, task_id, kind, fields, done_ms } = act;
  const answer = await ask("/field/acts", {
    method: "POST",
    headers: { "content-type": "application/json", "x-kaimen-csrf": session.csrf },
    body: JSON.stringify({ key, task_id, kind, fields, done_ms, sent_ms: Date.now() }),
  });
  if (answer.ok) {
    await drop(key);
    return { state: "sent", ...(await answer.json()) };
  }
  if (answer.status >= 500 || answer.status === 401 || answer.status === 0) return { state: "waiting" };
  const told = await answer.json().catch(() => ({}));
  await keep({ ...act, state: "refused", words: told.words ?? String(answer.status) });
  return { state: "refused", ...told };
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
  if (act.state === "refused") {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = words.wordDiscard;
    button.addEventListener("click", async () => { await drop(act.key); await show(); });
    row.append(button);
  }
  return row;
}

async function show() {
  const acts = await all();
  place.replaceChildren(...sent.map(line), ...acts.map(line));
  place.dataset.count = String(acts.length);
  place.hidden = acts.length + sent.length === 0;
}

// --- A form is pressed: first it is kept, then it is sent -------------------------------------------------------

async function submit(form, submitter) {
  const data = new FormData(form, submitter);
  data.delete("csrf");
  const act = {
    key: crypto.randomUUID(), task_id: Number(form.dataset.task), kind: form.dataset.act,
    fields: Object.fromEntries([...data].map(([name, value]) => [name, String(value)])),
    done_ms: Date.now(), state: "waiting", user: localStorage.getItem("field-user") ?? "",
  };
  pressed.add(act.key);
  await keep(act);
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
  form.dataset.kept = "yes";
  delete form.dataset.touched;
  for (const button of form.querySelectorAll("button")) button.disabled = true;
  place.scrollIntoView({ block: "nearest" });
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  // Who has never been known here cannot be sent for: the form goes the plain way.
  if (!form.dataset.act || !localStorage.getItem("field-user") || !globalThis.indexedDB) return;
  event.preventDefault();
  event.stopPropagation();
  if (form.dataset.kept || form.hasAttribute("aria-busy")) return;
  form.setAttribute("aria-busy", "true");
  submit(form, event.submitter)
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
  const pages = document.querySelector("form[data-act]") ? [`${task}/visit`, `${task}/entry`] : [];
  const here = navigator.serviceWorker.controller ? [] : [location.pathname];
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data }) => { place.dataset.pages = data.failed ? "partly" : "kept"; };
  ready.active.postMessage({ keep: [...wanted, import.meta.url, ...here, ...pages] }, [port2]);
}

window.addEventListener("online", sync);
setInterval(async () => { if ((await all()).length) sync(); }, AGAIN_MS);
await show();
await openSession().catch(() => null);
await sync();
keepPages().catch(() => null);
place.dataset.ready = "yes";

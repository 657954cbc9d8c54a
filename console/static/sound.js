// What is heard at the desk: the rows nobody has taken enter, tones by priority leave.
//
// Silent until somebody asks for it on this machine, because browsers refuse a page that sounds by itself. A mute ends
// by itself, so that nobody forgets that she muted; only Shift+S switches off for good. Priority 1 is never heard.

const MUTE_MS = 15 * 60_000;
const CHECK_MS = 5_000;
const PATTERNS = {
  high: { pitches: [880, 880, 880], again_ms: 30_000 },
  mid: { pitches: [587, 587], again_ms: 120_000 },
};

let heardRows = null; // by mark, the rows that sounded; null until the first list was seen
let soundedAt = { high: 0, mid: 0 };
const button = document.querySelector("[data-sound]");

const mutedUntil = () => Number(localStorage.getItem("sound-muted-until") ?? 0);
const isOn = () => localStorage.getItem("sound") === "on";
const isMuted = () => isOn() && Date.now() < mutedUntil();

function show() {
  const at = new Date(mutedUntil()).toLocaleTimeString(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", hour12: false });
  if (button) {
    button.hidden = false;
    button.dataset.state = isMuted() ? "muted" : isOn() ? "on" : "off";
    button.textContent = isMuted() ? button.dataset.wordMuted.replace("{at}", at) : isOn() ? button.dataset.wordOn : button.dataset.wordOff;
  }
  const place = document.querySelector("[data-sound-state]");
  if (place) place.textContent = isMuted() ? "◐" : isOn() ? "●" : "○";
}

/** Off: on, with a tone to prove it. On: mute for a while. Muted: on again. */
export function toggle() {
  if (isMuted()) localStorage.removeItem("sound-muted-until");
  else if (isOn()) localStorage.setItem("sound-muted-until", String(Date.now() + MUTE_MS));
  else { localStorage.setItem("sound", "on"); play(PATTERNS.mid.pitches); }
  show();
}

export function switchOff() {
  localStorage.setItem("sound", "off");
  localStorage.removeItem("sound-muted-until");
  show();
}

/** Sound once for what is new in the list, the gravest alone; what nobody takes sounds again after a while. */
export function announce(rows = document.querySelector("[data-rows]")) {
  const calling = { high: called("high", rows), mid: called("mid", rows) };
  const fresh = heardRows && ["high", "mid"].find((mark) => calling[mark].some((row) => !heardRows[mark].includes(row)));
  heardRows = calling;
  if (fresh) sound(fresh);
}

const called = (mark, rows) => [...(rows?.querySelectorAll(`[data-calls="${mark}"]`) ?? [])].map((row) => row.dataset.row);

function sound(mark) {
  soundedAt[mark] = Date.now();
  if (isOn() && !isMuted()) play(PATTERNS[mark].pitches);
}

function remind() {
  show();
  const mark = ["high", "mid"].find((name) => heardRows?.[name].length);
  if (mark && Date.now() - soundedAt[mark] >= PATTERNS[mark].again_ms) sound(mark);
}

function play(pitches) {
  const context = new AudioContext();
  pitches.forEach((pitch, place) => {
    const begin = context.currentTime + place * 0.28;
    const voice = context.createOscillator();
    const volume = context.createGain();
    voice.frequency.value = pitch;
    volume.gain.setValueAtTime(0.14, begin);
    volume.gain.exponentialRampToValueAtTime(0.001, begin + 0.22);
    voice.connect(volume).connect(context.destination);
    voice.start(begin);
    voice.stop(begin + 0.24);
    if (place === pitches.length - 1) voice.onended = () => context.close();
  });
}

button?.addEventListener("click", toggle);
setInterval(remind, CHECK_MS);
show();
announce();

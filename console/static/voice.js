// Records a sentence for the telephone: the microphone enters, a WAV of 16-bit mono at 8 kHz in the form's file field
// leaves. Without this file, or without a microphone, a file is chosen by hand; what is sent is the same.

const RATE_HZ = 8_000;
const form = document.querySelector("[data-voice]");
const place = form?.querySelector("[data-voice-recorder]");
const button = form?.querySelector("[data-voice-button]");
const state = form?.querySelector("[data-voice-state]");
const file = form?.querySelector("input[type=file]");

let running = null; // what a recording holds: the microphone, its context, what was heard

async function begin() {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: true } });
  const context = new AudioContext();
  await context.audioWorklet.addModule("/static/voice-worklet.js");
  const source = context.createMediaStreamSource(stream);
  const node = new AudioWorkletNode(context, "voice-tap", { numberOfOutputs: 0 });
  const parts = [];
  let heard = 0;
  node.port.onmessage = (message) => {
    parts.push(message.data);
    heard += message.data.length;
    const seconds = String(Math.floor(heard / context.sampleRate));
    if (running && state.dataset.seconds !== seconds) { state.dataset.seconds = seconds; show(`${form.dataset.wordRunning} ${seconds}`); }
  };
  source.connect(node);
  await context.resume();
  const timer = setTimeout(finish, Number(form.dataset.secondsMax) * 1000 - 500);
  running = { stream, context, parts, timer };
}

async function finish() {
  if (!running) return;
  const { stream, context, parts, timer } = running;
  running = null;
  clearTimeout(timer);
  for (const track of stream.getTracks()) track.stop();
  const rate = context.sampleRate;
  await context.close();
  const sound = formatWav(await resampled(parts, rate));
  const chosen = new DataTransfer();
  chosen.items.add(new File([sound], "voice.wav", { type: "audio/wav" }));
  file.files = chosen.files;
  show(form.dataset.wordReady);
}

/** The browser's own resampler filters what a telephone cannot carry. */
async function resampled(parts, rate) {
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (!length) return new Float32Array(0);
  const offline = new OfflineAudioContext(1, Math.max(1, Math.floor((length * RATE_HZ) / rate)), RATE_HZ);
  const buffer = offline.createBuffer(1, length, rate);
  let at = 0;
  for (const part of parts) { buffer.copyToChannel(part, 0, at); at += part.length; }
  const source = offline.createBufferSource();
  source.buffer = buffer;
  source.connect(offline.destination);
  source.start();
  return (await offline.startRendering()).getChannelData(0);
}

function formatWav(samples) {
  const view = new DataView(new ArrayBuffer(44 + samples.length * 2));
  const text = (at, word) => [...word].forEach((letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
  text(0, "RIFF"); view.setUint32(4, 36 + samples.length * 2, true); text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 1, true); view.setUint16(22, 1, true);
  view.setUint32(24, RATE_HZ, true); view.setUint32(28, RATE_HZ * 2, true);
  view.setUint16(32, 2, true); view.setUint16(34, 16, true);
  text(36, "data"); view.setUint32(40, samples.length * 2, true);
  samples.forEach((value, index) => view.setInt16(44 + index * 2, Math.round(Math.max(-1, Math.min(1, value)) * 32_767), true));
  return view.buffer;
}

function show(word) {
  state.textContent = word;
  button.textContent = running ? form.dataset.wordStop : form.dataset.wordRecord;
}

if (form && navigator.mediaDevices?.getUserMedia && window.AudioWorkletNode) {
  place.hidden = false;
  show("");
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      if (running) await finish();
      else { await begin(); show(form.dataset.wordRunning); }
    } catch {
      running = null;
      show(form.dataset.wordRefused);
    }
    button.disabled = false;
  });
}

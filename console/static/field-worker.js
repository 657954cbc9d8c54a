// Serves the field pages somebody has opened when there is no signal; keeps them half a day and nothing else.
// What enters: requests below /tasks and our own static files. What leaves: the network's answer, or the kept one.

const CACHE = "kaimen-field";
const KEPT_MS = 12 * 3600 * 1000;
const NETWORK_WITHIN_MS = 6_000;

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

const isPage = (url) => url.origin === location.origin && /^\/tasks(\/\d+(\/(visit|entry|photos))?)?$/.test(url.pathname) && !url.search;
const isStatic = (url) => url.origin === location.origin && url.pathname.startsWith("/static/");

async function put(request, answer) {
  if (!answer.ok || answer.redirected) return;
  const headers = new Headers(answer.headers);
  headers.set("x-kept-ms", String(Date.now()));
  const cache = await caches.open(CACHE);
  await cache.put(request, new Response(await answer.blob(), { status: 200, headers }));
}

async function kept(request) {
  const cache = await caches.open(CACHE);
  const found = await cache.match(request, { ignoreVary: true });
  if (found && Date.now() - Number(found.headers.get("x-kept-ms")) > KEPT_MS) {
    await cache.delete(request);
    return undefined;
  }
  return found;
}

// What is still being kept: who asks whether her pages are there waits for it, who reads the page does not.
let keeping = Promise.resolve();

async function answer(event) {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), NETWORK_WITHIN_MS);
  try {
    const fresh = await fetch(event.request, { signal: late.signal });
    const done = put(event.request, fresh.clone()).catch(() => undefined); // a phone that is full still shows the page
    keeping = Promise.all([keeping, done]);
    event.waitUntil(done);
    return fresh;
  } catch (error) {
    const found = await kept(event.request);
    if (found) return found;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || !(isPage(url) || isStatic(url))) return;
  event.respondWith(answer(event));
});

self.addEventListener("message", (event) => {
  const wanted = (event.data?.keep ?? []).filter((address) => {
    const url = new URL(address, location.origin);
    return isPage(url) || isStatic(url);
  });
  event.waitUntil(keeping.then(() => Promise.allSettled(wanted.map(async (address) => {
    if (await kept(address)) return;
    await put(address, await fetch(address, { credentials: "same-origin", headers: { "x-kaimen-keeping": "yes" } }));
  }))).then((turns) => event.ports[0]?.postMessage({ failed: turns.filter((turn) => turn.status === "rejected").length })));
});

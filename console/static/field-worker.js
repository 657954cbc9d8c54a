// Serves the field pages somebody has opened when there is no signal; keeps them half a day and nothing else.
// What enters: requests below /tasks and our own static files. What leaves: the network's answer, or the kept one.

const CACHE = "kaimen-field";
const KEPT_MS = 12 * 3600 * 1000;
const NETWORK_WITHIN_MS = 6_000;

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

const isPage = (url) => url.origin === location.origin && /^\/tasks(\/\d+(\/(visit|entry))?)?$/.test(url.pathname) && !url.search;
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

async function answer(request) {
  try {
    const fresh = await fetch(request, { signal: AbortSignal.timeout(NETWORK_WITHIN_MS) });
    await put(request, fresh.clone());
    return fresh;
  } catch (error) {
    const found = await kept(request);
    if (found) return found;
    throw error;
  }
}

self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || !(isPage(url) || isStatic(url))) return;
  event.respondWith(answer(event.request));
});

self.addEventListener("message", (event) => {
  const wanted = (event.data?.keep ?? []).filter((address) => {
    const url = new URL(address, location.origin);
    return isPage(url) || isStatic(url);
  });
  event.waitUntil(Promise.allSettled(wanted.map(async (address) => {
    if (await kept(address)) return;
    await put(address, await fetch(address, { credentials: "same-origin", headers: { "x-kaimen-keeping": "yes" } }));
  })).then((turns) => event.ports[0]?.postMessage({ failed: turns.filter((turn) => turn.status === "rejected").length })));
});

// The technician's page where nothing reaches it: its shell and what it loads, kept until any of it changes. The day and
// the acts are not here; the page keeps them itself.
const NAME = `field-${VERSION}`;
const PAGE = KEPT[0];

self.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      const cache = await caches.open(NAME);
      await cache.addAll(KEPT.slice(1));
      await keepPage(cache, await fetch(PAGE, { credentials: "same-origin" }));
      await self.skipWaiting();
    })(),
  );
});

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      const names = await caches.keys();
      await Promise.all(names.filter((name) => name.startsWith("field-") && name !== NAME).map((name) => caches.delete(name)));
      await self.clients.claim();
    })(),
  );
});

// Where nobody is signed in, the answer is another page, and is not kept.
const keepPage = async (cache, answer) => {
  if (answer.ok && !answer.redirected) await cache.put(PAGE, answer);
};

// The kept one first: one bar, or a proxy with nobody behind it, is no reason to wait. When the page changes, so does this
// worker, and the new one fetches it with what it loads.
const page = async (request) => {
  const cache = await caches.open(NAME);
  const kept = await cache.match(PAGE);
  if (kept) return kept;
  const answer = await fetch(request);
  await keepPage(cache, answer.clone());
  return answer;
};

const asset = async (request) => (await (await caches.open(NAME)).match(request)) || fetch(request);

self.addEventListener("fetch", (event) => {
  const { pathname, origin } = new URL(event.request.url);
  if (origin !== self.location.origin || event.request.method !== "GET") return;
  if (event.request.mode === "navigate" && pathname === PAGE) event.respondWith(page(event.request));
  else if (pathname.startsWith("/assets/")) event.respondWith(asset(event.request));
});

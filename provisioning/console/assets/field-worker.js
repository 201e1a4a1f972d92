// The technician's page where nothing reaches it: its shell and what it loads, kept until any of it changes. The day and
// the acts are not here; the page keeps them itself.
const NAME = `field-${VERSION}`;
const PAGE = KEPT[0];

// Where nobody is signed in, the answer is another page, and is not kept.
const isPage = (answer) => answer.ok && !answer.redirected;

// Without the page this worker is none: the one before it stays in its place, with the page that it has, and the browser
// tries again when the page is opened next.
self.addEventListener("install", (event) => {
  event.waitUntil(
    (async () => {
      const answer = await fetch(PAGE, { credentials: "same-origin" });
      if (!isPage(answer)) throw new Error(`The page can't be kept: the server answered ${answer.status}, from ${answer.url}.`);
      const cache = await caches.open(NAME);
      await cache.addAll(KEPT.slice(1));
      await cache.put(PAGE, answer);
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

// The kept one first: one bar, or a proxy with nobody behind it, is no reason to wait. When the page changes, so does this
// worker, and the new one fetches it with what it loads.
const page = async (request) => {
  const cache = await caches.open(NAME);
  const kept = await cache.match(PAGE);
  if (kept) return kept;
  const answer = await fetch(request);
  if (isPage(answer)) await cache.put(PAGE, answer.clone());
  return answer;
};

const asset = async (request) => (await (await caches.open(NAME)).match(request)) || fetch(request);

self.addEventListener("fetch", (event) => {
  const { pathname, origin } = new URL(event.request.url);
  if (origin !== self.location.origin || event.request.method !== "GET") return;
  if (event.request.mode === "navigate" && pathname === PAGE) event.respondWith(page(event.request));
  else if (pathname.startsWith("/assets/")) event.respondWith(asset(event.request));
});

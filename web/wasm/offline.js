// Keeps the files of the page, for when there is no network.

const CACHE = 'dldl';
const FILES = [
  './', 'style.css', 'icon.svg', 'app.js', 'camera.js', 'curve.js', 'draw.js', 'engine.js', 'table.js',
  'worker.js', 'dldl/index.js', 'dldl/dldl_web.js', 'dldl/dldl_web_bg.wasm',
];

addEventListener('install', (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)).then(() => skipWaiting()));
});

addEventListener('activate', (event) => event.waitUntil(clients.claim()));

// From the network, where new versions are; kept files only without one.
addEventListener('fetch', (event) => {
  if (event.request.method !== 'GET') return;
  event.respondWith((async () => {
    try {
      const fresh = await fetch(event.request);
      if (fresh.ok) (await caches.open(CACHE)).put(event.request, fresh.clone());
      return fresh;
    } catch (error) {
      const kept = await caches.match(event.request);
      if (kept) return kept;
      throw error;
    }
  })());
});

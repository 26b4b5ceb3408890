// A service worker: everything comes from the server where it answers, and from the copies kept of
// the last time where not.

const COPIES = "playground";
const FILES = [
  "./",
  "icon.svg",
  "image.js",
  "main.js",
  "model.onnx",
  "ort-wasm-simd-threaded.wasm",
  "ort.wasm.bundle.min.mjs",
  "pad.js",
  "page.json",
  "prepare.js",
  "reader.js",
  "samples.json",
  "style.css",
  "view.js",
];

async function keepAll() {
  await (await caches.open(COPIES)).addAll(FILES);
  await self.skipWaiting();
}

async function answer(request) {
  const copies = await caches.open(COPIES);
  try {
    const response = await fetch(request);
    if (response.ok) await copies.put(request, response.clone());
    return response;
  } catch (error) {
    const copy = await copies.match(request, { ignoreSearch: true });
    if (copy) return copy;
    throw error;
  }
}

self.addEventListener("install", (event) => event.waitUntil(keepAll()));
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  if (event.request.method === "GET") event.respondWith(answer(event.request));
});

// The page: a pad to draw on, and a model that reads what is drawn.

import { Pad } from "./pad.js";
import { prepareDigit } from "./prepare.js";
import { openModel } from "./reader.js";
import { makeBars, say, sayLater, showAnswer, showNothing, showProblem } from "./view.js";

const element = (id) => document.getElementById(id);
const pad = new Pad(element("pad"));
let read = null;
let changedAt = null; // milliseconds; null where the answer shown is of what is drawn
let isReading = false;

async function loadJson(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status} ${response.statusText}`);
  return response.json();
}

// Answer what is drawn now; what is drawn meanwhile is answered next.
async function answer() {
  if (isReading || !read) return;
  isReading = true;
  while (changedAt !== null) {
    const start = changedAt;
    changedAt = null;
    const { levels, width } = pad.pixels;
    const image = prepareDigit(levels, width);
    if (image) showAnswer(image, await read(image));
    else showNothing();
    performance.measure("answer", { start });
    await new Promise(requestAnimationFrame);
  }
  isReading = false;
  element("answer").ariaBusy = false;
}

function addSample(name, strokes) {
  const button = document.createElement("button");
  button.type = "button";
  button.ariaLabel = `Sample ${name}`;
  button.innerHTML = '<svg viewBox="0 0 100 100" aria-hidden="true"><path></path></svg>';
  const lines = strokes.map((points) => `M${points.map(([x, y]) => [100 * x, 100 * y]).join("L")}`);
  button.querySelector("path").setAttribute("d", lines.join(""));
  button.addEventListener("click", () => pad.replace(strokes));
  element("samples").append(button);
}

pad.addEventListener("change", () => {
  element("undo").ariaDisabled = !pad.canUndo;
  element("clear").ariaDisabled = pad.isEmpty;
  if (pad.isEmpty) sayLater("Nothing is drawn");
  changedAt ??= performance.now();
  element("answer").ariaBusy = true;
  answer();
});
pad.addEventListener("pen", ({ detail: { x, y, isDown } }) => {
  const place = `${Math.round(100 * x)} percent across, ${Math.round(100 * y)} percent down`;
  say(`Pen ${isDown ? "down" : "up"}, ${place}`);
});
element("undo").addEventListener("click", () => pad.undo());
element("clear").addEventListener("click", () => pad.clear());
element("thickness").addEventListener("input", ({ target }) => {
  pad.thickness = target.value / 100;
});
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z") {
    event.preventDefault();
    pad.undo();
  }
});

async function start() {
  const [page, samples] = await Promise.all([loadJson("page.json"), loadJson("samples.json")]);
  for (const [name, strokes] of Object.entries(samples)) addSample(name, strokes);
  makeBars(page.classes);
  element("model").textContent = `The model is ${page.name}.`;
  read = await openModel("model.onnx", page);
  performance.mark("ready");
  document.documentElement.dataset.ready = "";
  answer();
  return page;
}

const { offline } = await start().catch((error) => {
  showProblem(`The network could not be loaded (${error.message}).`);
  throw error;
});
if (offline) await navigator.serviceWorker?.register("offline.js");

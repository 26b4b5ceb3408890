// What is drawn: strokes of points in shares of the pad's side, from a pointer or the keyboard.

// The side of the picture that the network's image is made of: prepare_digits works at this scale.
const SIDE = 320;
const STEP = 0.04;
const SMALL_STEP = 0.01;
const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// It dispatches "change" whenever what is drawn does, "pen" when the keyboard's pen goes up or down.
export class Pad extends EventTarget {
  thickness = 0.08;
  #strokes = [];
  #past = [];
  #canvas;
  #picture;
  #pointer = null;
  #pen = { x: 0.5, y: 0.5, isDown: false };

  constructor(canvas) {
    super();
    this.#canvas = canvas;
    const picture = document.createElement("canvas");
    picture.width = picture.height = SIDE;
    this.#picture = picture.getContext("2d", { willReadFrequently: true });
    canvas.addEventListener("pointerdown", (event) => this.#onDown(event));
    canvas.addEventListener("pointermove", (event) => this.#onMove(event));
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      canvas.addEventListener(end, (event) => this.#onUp(event));
    }
    canvas.addEventListener("keydown", (event) => this.#onKey(event));
    for (const turn of ["focus", "blur"]) canvas.addEventListener(turn, () => this.#liftPen());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#show());
    new ResizeObserver(() => this.#show()).observe(canvas);
  }

  get isEmpty() {
    return this.#strokes.length === 0;
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  // The drawing in grey levels, 0 (ink) to 255 (paper), row by row, and how many a row has.
  get pixels() {
    const context = this.#picture;
    context.fillStyle = "#fff";
    context.fillRect(0, 0, SIDE, SIDE);
    draw(context, this.#strokes, SIDE, "#000");
    const { data } = context.getImageData(0, 0, SIDE, SIDE);
    const levels = new Uint8Array(SIDE * SIDE);
    for (let i = 0; i < levels.length; i += 1) levels[i] = data[4 * i];
    return { levels, width: SIDE };
  }

  // Draw something else; each stroke is a list of [x, y], in shares of the side.
  replace(strokes) {
    this.#remember();
    const { thickness } = this;
    this.#strokes = strokes.map((points) => ({ points, thickness }));
    this.#changed();
  }

  clear() {
    if (!this.isEmpty) this.replace([]);
  }

  undo() {
    if (!this.canUndo) return;
    this.#strokes = this.#past.pop();
    this.#stop();
    this.#changed();
  }

  #remember() {
    this.#past.push(this.#strokes);
    this.#stop();
  }

  #stop() {
    this.#pointer = null;
    this.#pen.isDown = false;
  }

  #begin(point) {
    this.#remember();
    this.#strokes = [...this.#strokes, { points: [point], thickness: this.thickness }];
    this.#changed();
  }

  #go(...points) {
    this.#strokes.at(-1).points.push(...points);
    this.#changed();
  }

  #changed() {
    this.#show();
    this.dispatchEvent(new Event("change"));
  }

  #onDown(event) {
    // A second finger, the heel of the hand, or the other mouse button draws nothing.
    if (!event.isPrimary || event.button !== 0) return;
    this.#begin(this.#place(event));
    this.#pointer = event.pointerId;
    this.#canvas.setPointerCapture(event.pointerId);
  }

  #onMove(event) {
    if (event.pointerId !== this.#pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    this.#go(...(events.length ? events : [event]).map((each) => this.#place(each)));
  }

  #onUp(event) {
    if (event.pointerId === this.#pointer) this.#pointer = null;
  }

  #place(event) {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    return [(event.clientX - left) / width, (event.clientY - top) / height];
  }

  #onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key in DIRECTIONS) {
      this.#movePen(DIRECTIONS[event.key], event.shiftKey ? SMALL_STEP : STEP);
    } else if (event.key === " " || event.key === "Enter") {
      if (!event.repeat) this.#turnPen();
    } else if (event.key === "Backspace") {
      this.undo();
    } else if (event.key === "Delete") {
      this.clear();
    } else {
      return;
    }
    event.preventDefault();
  }

  #movePen([x, y], step) {
    const pen = this.#pen;
    pen.x = Math.min(Math.max(pen.x + x * step, 0), 1);
    pen.y = Math.min(Math.max(pen.y + y * step, 0), 1);
    if (pen.isDown) this.#go([pen.x, pen.y]);
    else this.#show();
  }

  #turnPen() {
    const pen = this.#pen;
    if (pen.isDown) {
      this.#liftPen();
    } else {
      this.#begin([pen.x, pen.y]);
      pen.isDown = true;
      this.#show();
    }
    this.dispatchEvent(new CustomEvent("pen", { detail: { ...pen } }));
  }

  #liftPen() {
    this.#pen.isDown = false;
    this.#show();
  }

  #show() {
    const canvas = this.#canvas;
    const side = Math.round(canvas.clientWidth * devicePixelRatio);
    if (canvas.width !== side) canvas.width = canvas.height = side;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, side, side);
    const style = getComputedStyle(canvas);
    draw(context, this.#strokes, side, style.color);
    if (canvas.matches(":focus-visible")) drawPen(context, this.#pen, side, style.outlineColor);
  }
}

function draw(context, strokes, side, colour) {
  context.lineCap = context.lineJoin = "round";
  context.fillStyle = context.strokeStyle = colour;
  for (const { points, thickness } of strokes) {
    context.lineWidth = thickness * side;
    context.beginPath();
    const [[x, y], ...rest] = points.map((point) => point.map((share) => share * side));
    if (rest.every(([toX, toY]) => toX === x && toY === y)) {
      context.arc(x, y, (thickness * side) / 2, 0, 2 * Math.PI);
      context.fill();
      continue;
    }
    context.moveTo(x, y);
    // Through the middle between any two points, so that a quick stroke has no corners.
    rest.forEach(([atX, atY], i) => {
      const [nextX, nextY] = rest[i + 1] ?? [atX, atY];
      context.quadraticCurveTo(atX, atY, (atX + nextX) / 2, (atY + nextY) / 2);
    });
    context.stroke();
  }
}

// A cross where the keyboard's pen is, with a ring while it is down.
function drawPen(context, { x, y, isDown }, side, colour) {
  const [centreX, centreY, arm] = [x * side, y * side, 0.04 * side];
  context.strokeStyle = colour;
  context.lineWidth = 0.008 * side;
  context.beginPath();
  context.moveTo(centreX - arm, centreY);
  context.lineTo(centreX + arm, centreY);
  context.moveTo(centreX, centreY - arm);
  context.lineTo(centreX, centreY + arm);
  if (isDown) {
    context.moveTo(centreX + arm / 2, centreY);
    context.arc(centreX, centreY, arm / 2, 0, 2 * Math.PI);
  }
  context.stroke();
}

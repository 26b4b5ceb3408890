// What mnist_estimator.prepare_digits does to a picture, done to a drawing: dark ink on white paper,
// of which every stroke belongs to the one digit.

import { blurred, boxOf, cropped, makeImage, padded, resized, squaredDistances } from "./image.js";

const IMAGE_SIDE = 28;
const BOX_SIDE = 20;
const CUT_SIDE = 100;
// Where the ink is, in shares of the darkest.
const FOUND = 0.62;
const [THINNEST, THICKEST] = [2.4, 4.2];

// Grey levels of MNIST's kind, 28 × 28, for a drawing in grey levels 0 (ink) to 255 (paper) of the
// given width; null where nothing is drawn.
export function prepareDigit(pixels, width) {
  let darkest = 255;
  for (const pixel of pixels) darkest = Math.min(darkest, pixel);
  if (darkest === 255) return null;
  const ink = makeImage(width, pixels.length / width);
  for (let i = 0; i < pixels.length; i += 1) {
    ink.data[i] = (255 - pixels[i]) / (255 - darkest);
  }
  return drawn(withMnistWidth(cutOut(ink)));
}

// The strokes as a mask, about 100 pixels along the longer side, and a margin.
function cutOut(ink) {
  const box = boxOf(ink, (share) => share > FOUND);
  const side = Math.max(box.right - box.left, box.bottom - box.top);
  const margin = 0.3 * side;
  const part = {
    left: Math.max(box.left - margin, 0),
    top: Math.max(box.top - margin, 0),
    right: Math.min(box.right + margin, ink.width),
    bottom: Math.min(box.bottom + margin, ink.height),
  };
  const contrast = blurred(resized(ink, CUT_SIDE / side, part));
  let [sum, squares] = [0, 0];
  for (const share of contrast.data) {
    sum += share;
    squares += share * share;
  }
  const half = (0.5 * squares) / sum;
  return { ...contrast, data: contrast.data.map((share) => Number(share > half)) };
}

// Make strokes bolder or thinner that in MNIST would be unusually thin or bold.
function withMnistWidth(strokes) {
  const box = boxOf(strokes, Boolean);
  const pixel = Math.max(box.right - box.left, box.bottom - box.top) / BOX_SIDE;
  const wide = padded(strokes, Math.trunc(THICKEST * pixel));
  const depths = squaredDistances(wide);
  const width = (2 * median(ridge(depths)) - 1) / pixel;
  const grow = ((Math.min(Math.max(width, THINNEST), THICKEST) - width) / 2) * pixel;
  if (grow > 0) {
    const paper = { ...wide, data: wide.data.map((value) => 1 - value) };
    const distances = squaredDistances(paper);
    return { ...wide, data: distances.data.map((square) => Number(square <= grow * grow)) };
  }
  const thinner = depths.data.map((square) => Number(square > grow * grow));
  return thinner.some(Boolean) ? { ...wide, data: thinner } : wide;
}

// The depths of the pixels that are no less deep than their eight neighbours.
function ridge({ data, width }) {
  const around = [-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1];
  return data
    .filter((square, i) => square > 0 && around.every((step) => data[i + step] <= square))
    .map(Math.sqrt);
}

function median(values) {
  values.sort();
  const middle = values.length / 2;
  return (values[Math.ceil(middle - 1)] + values[Math.floor(middle)]) / 2;
}

// Scale the strokes into a box of 20 × 20 and put their centre of mass at the centre of 28 × 28.
function drawn(strokes) {
  const digit = cropped(strokes, boxOf(strokes, Boolean));
  const small = resized(digit, BOX_SIDE / Math.max(digit.width, digit.height));
  let [mass, massX, massY, largest] = [0, 0, 0, 0];
  small.data.forEach((share, i) => {
    mass += share;
    massX += share * (i % small.width);
    massY += share * Math.floor(i / small.width);
    largest = Math.max(largest, share);
  });
  const place = (centre, size) =>
    Math.min(Math.max(Math.round(IMAGE_SIDE / 2 - centre), 0), IMAGE_SIDE - size);
  const left = place(massX / mass, small.width);
  const top = place(massY / mass, small.height);
  const image = new Uint8Array(IMAGE_SIDE * IMAGE_SIDE);
  small.data.forEach((share, i) => {
    const [x, y] = [left + (i % small.width), top + Math.floor(i / small.width)];
    image[y * IMAGE_SIDE + x] = Math.max(0, Math.round((share * 255) / largest));
  });
  return image;
}

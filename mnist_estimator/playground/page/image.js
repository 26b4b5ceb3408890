// Grey images as {data: Float32Array, width, height}, row by row, and what is computed on them.

export function makeImage(width, height, data = new Float32Array(width * height)) {
  return { data, width, height };
}

// The smallest box around all values that `isInside` takes; its right and lower edges are
// exclusive. Null where there is none.
export function boxOf({ data, width, height }, isInside) {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0, i = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, i += 1) {
      if (isInside(data[i])) {
        left = Math.min(left, x);
        right = Math.max(right, x + 1);
        top = Math.min(top, y);
        bottom = Math.max(bottom, y + 1);
      }
    }
  }
  return right > 0 ? { left, top, right, bottom } : null;
}

function transpose({ data, width, height }) {
  const turned = makeImage(height, width);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      turned.data[x * height + y] = data[y * width + x];
    }
  }
  return turned;
}

const BICUBIC = {
  support: 2,
  weight(x) {
    const a = -0.5;
    x = Math.abs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
  },
};
const HAMMING = {
  support: 1,
  weight(x) {
    x = Math.abs(x);
    if (x === 0) return 1;
    return x < 1 ? (Math.sin(Math.PI * x) / (Math.PI * x)) * (0.54 + 0.46 * Math.cos(Math.PI * x)) : 0;
  },
};

// Pillow's resampling of the part of each row from `start` to `stop` to `size` pixels.
function resampleRows({ data, width, height }, start, stop, size, filter) {
  const step = (stop - start) / size;
  const stretch = Math.max(step, 1);
  const result = makeImage(size, height);
  for (let x = 0; x < size; x += 1) {
    const centre = start + (x + 0.5) * step;
    const first = Math.max(0, Math.trunc(centre - filter.support * stretch + 0.5));
    const last = Math.min(width, Math.trunc(centre + filter.support * stretch + 0.5));
    const weights = [];
    for (let i = first; i < last; i += 1) weights.push(filter.weight((i + 0.5 - centre) / stretch));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (let y = 0; y < height; y += 1) {
      let sum = 0;
      for (let i = 0; i < weights.length; i += 1) sum += weights[i] * data[y * width + first + i];
      result.data[y * size + x] = sum / total;
    }
  }
  return result;
}

// Scale an image, or the part `box` of it.
export function resized(
  image,
  scale,
  box = { left: 0, top: 0, right: image.width, bottom: image.height },
) {
  const filter = scale < 1 ? HAMMING : BICUBIC;
  const width = Math.max(1, Math.round((box.right - box.left) * scale));
  const height = Math.max(1, Math.round((box.bottom - box.top) * scale));
  const narrow = resampleRows(image, box.left, box.right, width, filter);
  return transpose(resampleRows(transpose(narrow), box.top, box.bottom, height, filter));
}

// A Gaussian filter with a standard deviation of one pixel; beyond its edges the image is mirrored.
export function blurred(image) {
  const weights = Array.from({ length: 9 }, (_, i) => Math.exp(-((i - 4) ** 2) / 2));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const blurRows = ({ data, width, height }) => {
    const result = makeImage(width, height);
    for (let y = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1) {
        let sum = 0;
        for (let i = 0; i < 9; i += 1) {
          let source = x + i - 4;
          if (source < 0) source = -1 - source;
          if (source >= width) source = 2 * width - 1 - source;
          sum += weights[i] * data[y * width + source];
        }
        result.data[y * width + x] = sum / total;
      }
    }
    return result;
  };
  return transpose(blurRows(transpose(blurRows(image))));
}

export function cropped({ data, width }, { left, top, right, bottom }) {
  const result = makeImage(right - left, bottom - top);
  for (let y = top; y < bottom; y += 1) {
    const row = data.subarray(y * width + left, y * width + right);
    result.data.set(row, (y - top) * result.width);
  }
  return result;
}

export function padded({ data, width, height }, margin) {
  const result = makeImage(width + 2 * margin, height + 2 * margin);
  for (let y = 0; y < height; y += 1) {
    const row = data.subarray(y * width, (y + 1) * width);
    result.data.set(row, (y + margin) * result.width + margin);
  }
  return result;
}

// The squared distance of every pixel to the nearest whose value is 0 (P. Felzenszwalb and
// D. Huttenlocher 2012: the lower envelope of parabolas, along rows, then along columns).
export function squaredDistances(image) {
  const far = image.width ** 2 + image.height ** 2;
  const start = makeImage(image.width, image.height, image.data.map((value) => (value ? far : 0)));
  return transpose(lowestParabolas(transpose(lowestParabolas(start))));
}

function lowestParabolas({ data, width, height }) {
  const result = makeImage(width, height);
  const vertices = new Int32Array(width);
  const borders = new Float64Array(width + 1);
  for (let y = 0; y < height; y += 1) {
    const row = data.subarray(y * width, (y + 1) * width);
    const meet = (p, q) => (row[q] + q * q - row[p] - p * p) / (2 * (q - p));
    let top = 0;
    vertices[0] = 0;
    borders[0] = -Infinity;
    for (let x = 1; x < width; x += 1) {
      while (top >= 0 && meet(vertices[top], x) <= borders[top]) top -= 1;
      borders[top + 1] = top < 0 ? -Infinity : meet(vertices[top], x);
      top += 1;
      vertices[top] = x;
    }
    borders[top + 1] = Infinity;
    for (let x = 0, i = 0; x < width; x += 1) {
      while (borders[i + 1] < x) i += 1;
      result.data[y * width + x] = (x - vertices[i]) ** 2 + row[vertices[i]];
    }
  }
  return result;
}

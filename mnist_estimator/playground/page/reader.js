// The exported file, run by onnxruntime's WebAssembly build on one thread (several would need headers
// that a plain file server does not send).

import * as ort from "./ort.wasm.bundle.min.mjs";

ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = {
  wasm: new URL("ort-wasm-simd-threaded.wasm", import.meta.url).href,
};

// A function from an image (784 grey levels, 0 to 255) to the probability of each class, by a model
// that takes images of this shape, in grey levels from 0 to `max`.
export async function openModel(address, { shape, max }) {
  const session = await ort.InferenceSession.create(address, { executionProviders: ["wasm"] });
  const read = async (image) => {
    const levels = image.map((level) => Math.round((level * max) / 255));
    const X = new ort.Tensor("uint8", levels, [1, ...shape]);
    const { probabilities } = await session.run({ X }, ["probabilities"]);
    return probabilities.data;
  };
  // The first run is the slowest: have it over before anybody draws.
  await read(new Uint8Array(28 * 28));
  return read;
}

// The exported file, run by onnxruntime's WebAssembly build on one thread (several would need headers
// that a plain file server does not send).

import * as ort from "./ort.wasm.bundle.min.mjs";

ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = {
  wasm: new URL("ort-wasm-simd-threaded.wasm", import.meta.url).href,
};

// A function from an image (784 grey levels) to the probability of each class.
export async function openModel(address, shape) {
  const session = await ort.InferenceSession.create(address, { executionProviders: ["wasm"] });
  const read = async (image) => {
    const X = new ort.Tensor("uint8", image, [1, ...shape]);
    const { probabilities } = await session.run({ X }, ["probabilities"]);
    return probabilities.data;
  };
  // The first run is the slowest: have it over before anybody draws.
  await read(new Uint8Array(28 * 28));
  return read;
}

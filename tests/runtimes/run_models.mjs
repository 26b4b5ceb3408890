// Run the models of a folder on the rows beside them: node run_models.mjs FOLDER
// models.json lists {folder, type, dims}; the answers go to standard output, as JSON.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as ort from "onnxruntime-web";

const ARRAYS = { uint8: Uint8Array, float32: Float32Array, float64: Float64Array };

const root = process.argv[2];
const answers = [];
for (const { folder, type, dims } of JSON.parse(await readFile(join(root, "models.json")))) {
  const session = await ort.InferenceSession.create(join(root, folder, "digits.onnx"));
  const { buffer } = new Uint8Array(await readFile(join(root, folder, "rows.bin")));
  const X = new ort.Tensor(type, new ARRAYS[type](buffer), dims);
  const { label, probabilities } = await session.run({ X });
  answers.push({
    label: Array.from(label.data, (value) => (typeof value === "bigint" ? Number(value) : value)),
    probabilities: Array.from(probabilities.data),
    dims: probabilities.dims,
  });
}
console.log(JSON.stringify(answers));

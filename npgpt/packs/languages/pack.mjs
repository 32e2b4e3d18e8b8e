/* Reading and writing the tensors of a conformance pack of npgpt, for a port in JavaScript.

   import { read, write } from "./pack.mjs";
   const pack = read("my-pack/pack.safetensors");
   const x = pack["float64/activations/embedding.sum"];     // x.shape [3, 7, 12], x.data in C order
   write("mine.safetensors", { "float64/activations/h.0.ln_1": { shape: x.shape, data: mine } });

   float64/... are Float64Array, float32/... Float32Array, ids and targets BigInt64Array. */
import { readFileSync, writeFileSync } from "node:fs";

const ARRAYS = { F64: Float64Array, F32: Float32Array, I64: BigInt64Array };

export function read(path) {
  const file = readFileSync(path);
  const start = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, start));
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: [from, to] }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    // a copy, so that the numbers begin at a multiple of their size
    const bytes = Uint8Array.from(file.subarray(start + from, start + to));
    tensors[name] = { shape, data: new ARRAYS[dtype](bytes.buffer) };
  }
  return tensors;
}

export function write(path, tensors) {
  const header = {}, parts = [];
  let end = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    const dtype = Object.keys(ARRAYS).find((key) => data instanceof ARRAYS[key]);
    header[name] = { dtype, shape, data_offsets: [end, (end += data.byteLength)] };
    parts.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  writeFileSync(path, Buffer.concat([length, json, ...parts]));
}

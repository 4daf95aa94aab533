// Time from the pixels of the portrait to its ages, and of the network alone, in one thread:
// the WebAssembly module beside onnxruntime-web (the network) and the native program.
//
//     tools/build_web.sh
//     cargo build --release -p dldl --example stages
//     target/release/dldl export --model tiny --out tiny.onnx
//     npm install --prefix /tmp/ort onnxruntime-web@1.30.0
//     DLDL_ISA=avx2 node benches/web/speed.mjs tiny.onnx /tmp/ort
//
// Medians of alternating runs. Also checks that the module's memory does not grow over 1,000
// frames of video.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = path.join(path.dirname(fileURLToPath(import.meta.url)), '../..');
const RUNS = 21;
const FRAMES = 1000;
const PORTRAIT = path.join(ROOT, 'assets/astronaut.jpg');

const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

function timed(work) {
  const begin = performance.now();
  work();
  return performance.now() - begin;
}

async function module() {
  const folder = path.join(ROOT, 'target/web/npm');
  const { default: init, Estimator } = await import(pathToFileURL(path.join(folder, 'dldl_web.js')));
  const { memory } = await init({ module_or_path: fs.readFileSync(path.join(folder, 'dldl_web_bg.wasm')) });
  return { estimator: new Estimator(), memory };
}

/** One crop of 96 pixels and its mirror image through onnxruntime-web. */
async function onnxruntime(model, folder) {
  const ort = createRequire(path.join(path.resolve(folder), 'package.json'))('onnxruntime-web');
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(fs.readFileSync(model), { executionProviders: ['wasm'] });
  const crops = new ort.Tensor('float32', new Float32Array(2 * 3 * 96 * 96).fill(128), [2, 3, 96, 96]);
  return async () => {
    const begin = performance.now();
    await session.run({ crops });
    return performance.now() - begin;
  };
}

/** Milliseconds of the native program, by stage. */
function native() {
  const stages = path.join(ROOT, 'target/release/examples/stages');
  return JSON.parse(execFileSync(stages, ['--json', '--runs', String(RUNS), PORTRAIT]));
}

function grown({ estimator, memory }) {
  const [width, height] = [320, 240];
  const frame = new Uint8Array(4 * width * height).fill(90);
  const run = (from, to) => {
    for (let i = from; i < to; i++) estimator.estimate_for_video(frame, width, height, 40 * i, '{}');
  };
  run(0, 20);
  const before = memory.buffer.byteLength;
  run(20, FRAMES);
  return [before, memory.buffer.byteLength];
}

const [model, folder] = process.argv.slice(2);
const web = await module();
const bytes = fs.readFileSync(PORTRAIT);
const theirs = await onnxruntime(model, folder);
const crop = new Uint8Array(4 * 96 * 96).fill(128);
const times = { whole: [], network: [], ort: [] };
for (let i = 0; i < RUNS; i++) {
  times.whole.push(timed(() => web.estimator.estimate_file(bytes, '{}')));
  times.network.push(timed(() => web.estimator.estimate(crop, 96, 96, '{"detect": false}')));
  times.ort.push(await theirs());
}
const [whole, network, ort] = Object.values(times).map(median);
const { decode, detect, align, 'network, flipped too': both } = native().median_cpu_ms;
const [before, after] = grown(web);
console.log(`| one thread | dldl in WebAssembly, ms | other, ms | ratio |
|---|---|---|---|
| portrait to ages | ${whole.toFixed(1)} | ${(decode + detect + align + both).toFixed(1)} (native) | ${(whole / (decode + detect + align + both)).toFixed(2)} |
| a crop and its mirror image | ${network.toFixed(1)} | ${ort.toFixed(1)} (onnxruntime-web) | ${(network / ort).toFixed(2)} |

Memory after 20 frames of video ${(before / 1e6).toFixed(1)} MB, after ${FRAMES} ${(after / 1e6).toFixed(1)} MB.`);
if (after > before) process.exitCode = 1;

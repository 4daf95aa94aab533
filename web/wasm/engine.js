// What estimates: here the module inside the page, in a worker.

/** A failed estimate. */
export class EstimateError extends Error {}

/** Where pictures go, for the reader of the page. */
export const PRIVACY = 'Everything happens on this device: no picture leaves it.';

const worker = new Worker('worker.js', { type: 'module' });
const waiting = new Map();
let last = 0;

worker.addEventListener('message', ({ data: { id, result, error } }) => {
  const { resolve, reject } = waiting.get(id);
  waiting.delete(id);
  if (error === undefined) resolve(result);
  else reject(new EstimateError(error));
});
worker.addEventListener('error', (event) => {
  for (const { reject } of waiting.values()) {
    reject(new EstimateError(event.message || 'the module could not be loaded'));
  }
  waiting.clear();
});

function ask(request, transfer = []) {
  return new Promise((resolve, reject) => {
    waiting.set(++last, { resolve, reject });
    worker.postMessage({ id: last, ...request }, transfer);
  });
}

function inModule({ level, threshold }) {
  return { level: Number(level), distribution: true, thresholds: threshold ? [Number(threshold)] : [] };
}

/** The record of a picture file. The module decodes it, as the command line does; what it cannot
 * read, the browser may. */
export async function estimate(file, options) {
  const bytes = await file.arrayBuffer();
  let record;
  try {
    record = await ask({ kind: 'file', bytes, options: inModule(options) });
  } catch (error) {
    const image = await createImageBitmap(file).catch(() => {
      throw error;
    });
    record = await ask({ kind: 'picture', image, options: inModule(options) }, [image]);
  }
  return { ...record, image: file.name };
}

/** The record of a frame of video; `first` begins a new one. */
export function estimateFrame(image, milliseconds, first, options) {
  return ask({ kind: 'frame', image, milliseconds, first, options: inModule(options) });
}

/** The name of the model. */
export function modelName() {
  return ask({ kind: 'model' });
}

// Once loaded, the page works without a network.
navigator.serviceWorker?.register('offline.js').catch(() => {});

// What estimates: here the service that the page comes from.

/** A failed estimate; `status` is that of HTTP. */
export class EstimateError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Where pictures go, for the reader of the page. */
export const PRIVACY =
  'Pictures are sent to this service alone. It keeps neither the pictures nor the estimates.';

const TRIES = 5;

/** The record of a picture file. `options` are `level`, `threshold` and `token`. */
export async function estimate(file, options) {
  const query = new URLSearchParams({ level: options.level, distribution: 'true', task: 'age' });
  if (options.threshold) query.set('threshold', options.threshold);
  const headers = { 'Content-Type': 'application/octet-stream', ...authorization(options) };
  for (let tries = 1; ; tries++) {
    const reply = await fetch(`v1/estimate?${query}`, { method: 'POST', body: file, headers });
    if (reply.ok) return reply.json();
    // Busy: the service says when to try again.
    if (reply.status === 503 && tries < TRIES) {
      const seconds = Number(reply.headers.get('Retry-After')) || 1;
      await new Promise((done) => setTimeout(done, 1000 * seconds));
      continue;
    }
    throw new EstimateError(await reason(reply), reply.status);
  }
}

/** The name of the model, or nothing if it may not be asked. */
export async function modelName(options) {
  const reply = await fetch('v1/models', { headers: authorization(options) });
  if (!reply.ok) throw new EstimateError(await reason(reply), reply.status);
  return (await reply.json()).models[0].name;
}

function authorization({ token }) {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function reason(reply) {
  try {
    return (await reply.json()).detail;
  } catch {
    return `the service answered ${reply.status}`;
  }
}

/** Video is for the engine that runs in the browser: frames are not sent to a service. */
export const estimateFrame = undefined;

// The module, beside the page's own thread.

import { Estimator } from './dldl/index.js';

const loading = Estimator.create();

addEventListener('message', async ({ data: { id, ...request } }) => {
  try {
    postMessage({ id, result: answer(await loading, request) });
  } catch (error) {
    postMessage({ id, error: String(error?.message ?? error) });
  } finally {
    request.image?.close();
  }
});

function answer(estimator, { kind, bytes, image, milliseconds, first, options }) {
  switch (kind) {
    case 'file':
      return estimator.estimateFile(bytes, options);
    case 'picture':
      return estimator.estimate(image, options);
    case 'frame':
      if (first) estimator.resetVideo();
      return estimator.estimateForVideo(image, milliseconds, options);
    default:
      return estimator.model.name;
  }
}

// Ages of faces: pictures in, records out. The types are in index.d.ts.

import init, { Estimator as Module } from './dldl_web.js';

let loading;

export class Estimator {
  #module;
  #canvas;

  /** Use `Estimator.create()`. */
  constructor(module) {
    this.#module = module;
  }

  static async create(source) {
    loading ??= init(source && { module_or_path: source });
    await loading;
    return new Estimator(new Module());
  }

  get model() {
    return JSON.parse(this.#module.model());
  }

  estimate(image, options = {}) {
    const { data, width, height } = this.#pixels(image);
    return JSON.parse(this.#module.estimate(data, width, height, JSON.stringify(options)));
  }

  estimateFile(bytes, options = {}) {
    const view = bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : bytes;
    return JSON.parse(this.#module.estimate_file(view, JSON.stringify(options)));
  }

  estimateForVideo(image, milliseconds, options = {}) {
    const { data, width, height } = this.#pixels(image);
    const text = JSON.stringify(options);
    return JSON.parse(this.#module.estimate_for_video(data, width, height, milliseconds, text));
  }

  resetVideo() {
    this.#module.reset_video();
  }

  free() {
    this.#module.free();
  }

  /** The pixels of whatever can be drawn. One canvas serves all pictures. */
  #pixels(image) {
    if (image.data instanceof Uint8ClampedArray) return image;
    const width = image.naturalWidth ?? image.videoWidth ?? image.displayWidth ?? image.width;
    const height = image.naturalHeight ?? image.videoHeight ?? image.displayHeight ?? image.height;
    if (!(width > 0 && height > 0)) throw new Error('the picture is not loaded yet, or empty');
    this.#canvas ??= new OffscreenCanvas(width, height);
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      Object.assign(this.#canvas, { width, height });
    }
    const context = this.#canvas.getContext('2d', { willReadFrequently: true });
    context.clearRect(0, 0, width, height);
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, width, height);
  }
}

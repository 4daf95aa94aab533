// The camera: one frame after the other is estimated and shown with its ages.

import { paint } from './draw.js';
import { estimateFrame } from './engine.js';

export class Camera {
  running = false;
  #stream;

  /** Draws on the canvas; `options()` gives the options, `show(record)` gets each record. */
  constructor(canvas, options, show) {
    Object.assign(this, { canvas, options, show });
  }

  async start() {
    this.#stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1280 } } });
    const video = document.createElement('video');
    Object.assign(video, { srcObject: this.#stream, muted: true, playsInline: true });
    await video.play();
    this.running = true;
    this.#run(video);
  }

  stop() {
    this.running = false;
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
  }

  async #run(video) {
    let first = true;
    while (this.running) {
      await new Promise(requestAnimationFrame);
      const frame = await createImageBitmap(video);
      const record = await estimateFrame(frame, performance.now(), first, this.options());
      first = false;
      if (this.running) {
        paint(this.canvas, frame, record);
        this.show(record);
      }
      frame.close();
    }
  }
}

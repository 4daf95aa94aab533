/** What a record contains. */
export interface Options {
  /** Probability of the intervals, between 0 and 1; 0.9 if absent. */
  level?: number;
  /** Whether to add the probability of every label. */
  distribution?: boolean;
  /** Ages: adds the probability of being at least so old. */
  thresholds?: number[];
  /** Faces of a lower quality, from 0 to 1, get no estimates. */
  minQuality?: number;
  /** Whether to look for faces; if false, the central square of the picture is an aligned face. Not for video. */
  detect?: boolean;
}

/** One estimate: years for ages, points for attractiveness. */
export interface Estimate {
  value: number;
  /** Standard deviation of the distribution. */
  std: number;
  interval: { level: number; low: number; high: number };
  at_least?: { threshold: number; probability: number }[];
  /** The probability of `min + k * step` at position k. */
  distribution?: { min: number; step: number; probabilities: number[] };
}

export interface Face {
  /** Left, top, width, height in pixels; may reach beyond the picture. */
  box: [number, number, number, number];
  /** The detector's confidence, 0 to 1. */
  score?: number;
  /** Left eye, right eye, nose, left and right corner of the mouth. */
  landmarks?: [number, number][];
  /** By how many degrees the face is turned clockwise. */
  rotation?: 0 | 90 | 180 | 270;
  /** The number of the person in a video, from the third frame on. */
  track?: number;
  /** How well the picture suits an estimate, 0 to 1. */
  quality?: number;
  /** Why there are no estimates. */
  not_assessed?: string;
  /** Apparent age in years; in a video, from all frames of the person so far. */
  age?: Estimate;
  attractiveness?: Estimate;
  /** The values from this frame of a video alone. */
  single?: { age?: number; attractiveness?: number };
}

export interface PictureRecord {
  width: number;
  height: number;
  /** Name of the model. */
  model: string;
  version: number;
  /** Largest first. */
  faces: Face[];
  /** Of a video: the number of the frame, and its time in seconds. */
  frame?: number;
  time?: number;
}

/** Pixels, or what a canvas can draw. */
export type Picture = ImageData | Exclude<CanvasImageSource, SVGImageElement>;

export class Estimator {
  private constructor();
  /** Loads the module, from beside this file or from where `source` says. */
  static create(source?: string | URL | Response | BufferSource | WebAssembly.Module): Promise<Estimator>;
  /** The model's description: network, labels, training data, license, measured errors. */
  readonly model: Record<string, unknown> & { name: string };
  /** The faces of a picture. Throws an error if the options are wrong. */
  estimate(picture: Picture, options?: Options): PictureRecord;
  /** The faces of a picture file (JPEG, PNG, WebP, BMP, GIF), decoded by the module: exactly the estimates of the
   * command line, where browsers decode a little differently. Throws an error if it is no picture, or damaged. */
  estimateFile(bytes: ArrayBuffer | Uint8Array, options?: Options): PictureRecord;
  /** The faces of the next frame of a video; the time must not fall. */
  estimateForVideo(frame: Picture, milliseconds: number, options?: Options): PictureRecord;
  /** Forgets the people of the video. */
  resetVideo(): void;
  /** Gives the memory back. */
  free(): void;
}

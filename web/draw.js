// A picture with the boxes and ages of its faces.

/** The widest drawing, in pixels. */
const MAX_WIDTH = 1280;

/** Draws on the canvas, which gets the picture's proportions. Faces other than `chosen` are
 * faded if it is not negative. */
export function paint(canvas, image, record, chosen = -1) {
  const width = Math.min(record.width, MAX_WIDTH);
  const height = Math.round((record.height * width) / record.width);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0, width, height);
  // Lines and letters have the same size however small the picture is shown.
  const unit = Math.max(1, width / (canvas.clientWidth || width));
  const size = Math.round(15 * unit);
  const scale = width / record.width;
  context.font = `600 ${size}px system-ui, sans-serif`;
  record.faces.forEach((face, i) => {
    const [x, y, w, h] = face.box.map((v) => v * scale);
    context.globalAlpha = chosen >= 0 && chosen !== i ? 0.35 : 1;
    context.lineWidth = 4 * unit;
    context.strokeStyle = '#0008';
    context.strokeRect(x, y, w, h);
    context.lineWidth = 2 * unit;
    context.strokeStyle = '#5ad1c3';
    context.strokeRect(x, y, w, h);
    const number = face.track ?? i + 1;
    const text = face.age ? `${number}: ${face.age.value.toFixed(0)}` : `${number}`;
    const room = context.measureText(text).width + size * 0.6;
    const tall = size * 1.4;
    const left = Math.min(Math.max(x, 0), width - room);
    const top = y >= tall ? y - tall : Math.min(y + h, height - tall);
    context.fillStyle = '#0b6e66';
    context.fillRect(left, top, room, tall);
    context.fillStyle = '#fff';
    context.fillText(text, left + size * 0.3, top + size * 1.05);
  });
  context.globalAlpha = 1;
}

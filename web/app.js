// The page: pictures in, boxes, curves and a table out. `engine.js` estimates.

import { curve } from './curve.js';
import { EstimateError, PRIVACY, estimate, modelName } from './engine.js';
import { csv, rows } from './table.js';

const byId = (id) => document.getElementById(id);
/** The widest drawing of a picture, in pixels. */
const MAX_WIDTH = 1280;

/** Each picture: its file, its record or error, and its part of the page. */
let pictures = [];
/** Estimates are made one after the other. */
let work = Promise.resolve();

function options() {
  return {
    level: byId('level').value,
    threshold: byId('threshold').validity.valid ? byId('threshold').value : '',
    token: byId('token').value.trim(),
  };
}

function say(text) {
  byId('status').textContent = text;
}

/** Makes an element with properties and children. */
function make(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function add(files) {
  const added = [...files].map((file) => {
    const article = make('article');
    article.setAttribute('aria-label', file.name);
    article.append(make('header', {}, make('h3', { textContent: file.name }), make('p', { textContent: 'waiting' })));
    byId('results').append(article);
    return { file, article };
  });
  pictures.push(...added);
  run(added);
}

function run(list) {
  for (const picture of list) work = work.then(() => one(picture));
  work = work.then(() => showTable());
}

async function one(picture) {
  if (!pictures.includes(picture)) return;
  say(`estimating ${picture.file.name}`);
  try {
    picture.record = await estimate(picture.file, options());
    picture.error = undefined;
  } catch (error) {
    picture.record = undefined;
    picture.error = error.message;
    if (error instanceof EstimateError && error.status === 401) {
      byId('token-field').hidden = false;
      byId('token').focus();
    }
  }
  await show(picture);
  const count = picture.record?.faces.length;
  const faces = count === 1 ? '1 face' : `${count} faces`;
  say(picture.error ? `${picture.file.name}: ${picture.error}` : `${faces} in ${picture.file.name}`);
}

async function show({ file, article, record, error }) {
  const head = make('header', {}, make('h3', { textContent: file.name }));
  article.replaceChildren(head);
  if (error) {
    head.append(make('p', { className: 'error', textContent: error }));
    return;
  }
  if (record.faces.length === 0) head.append(make('p', { textContent: 'no face found' }));
  const items = record.faces.map((face, i) => item(face, i));
  const drawing = make('canvas');
  drawing.setAttribute('role', 'img');
  drawing.setAttribute('aria-label', `${file.name}: ${record.faces.map(inWords).join('; ') || 'no face'}`);
  const list = make('ol', {}, ...items);
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    head.append(make('p', { textContent: 'This browser cannot show the picture.' }));
    article.append(list);
    return;
  }
  const draw = (chosen) => paint(drawing, bitmap, record, chosen);
  const choose = (chosen) => {
    items.forEach((li, i) => li.classList.toggle('chosen', i === chosen));
    draw(chosen);
  };
  items.forEach((li, i) => {
    li.addEventListener('mouseenter', () => choose(i));
    li.addEventListener('mouseleave', () => choose(-1));
  });
  drawing.addEventListener('mousemove', (event) => {
    const scale = record.width / drawing.clientWidth;
    const [x, y] = [event.offsetX * scale, event.offsetY * scale];
    choose(record.faces.findIndex(({ box: [l, t, w, h] }) => x >= l && x <= l + w && y >= t && y <= t + h));
  });
  drawing.width = Math.min(bitmap.width, MAX_WIDTH);
  article.append(drawing, list);
  draw(-1);
}

function inWords(face, i) {
  const { age } = face;
  if (!age) return `face ${i + 1}: ${face.not_assessed ?? 'no estimate'}`;
  return `face ${i + 1}: ${age.value.toFixed(1)} years, ${percent(age.interval.level)} interval ` +
    `${age.interval.low.toFixed(0)} to ${age.interval.high.toFixed(0)}`;
}

function item(face, i) {
  const { age } = face;
  const li = make('li');
  if (!age) {
    li.append(make('p', { textContent: inWords(face, i) }));
    return li;
  }
  const detail = [`${percent(age.interval.level)} interval ${age.interval.low.toFixed(0)} to ${age.interval.high.toFixed(0)}`];
  for (const { threshold, probability } of age.at_least ?? []) {
    detail.push(`at least ${threshold}: ${percent(probability)}`);
  }
  detail.push(`quality ${face.quality.toFixed(2)}`);
  li.append(
    make('p', { className: 'age', textContent: `${i + 1}: ${age.value.toFixed(1)} years` }),
    make('p', { className: 'detail', textContent: detail.join(' · ') }),
    curve(age, `Distribution of the age of face ${i + 1}`),
  );
  return li;
}

function percent(share) {
  return `${Math.round(share * 100)}\u00a0%`;
}

/** The picture with boxes and ages. */
function paint(canvas, bitmap, record, chosen) {
  const width = Math.min(bitmap.width, MAX_WIDTH);
  const scale = width / record.width;
  canvas.width = width;
  canvas.height = Math.round(record.height * scale);
  const context = canvas.getContext('2d');
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  // Lines and letters have the same size however small the picture is shown.
  const unit = Math.max(1, width / (canvas.clientWidth || width));
  const size = Math.round(15 * unit);
  context.font = `600 ${size}px system-ui, sans-serif`;
  record.faces.forEach((face, i) => {
    const [x, y, w, h] = face.box.map((v) => v * scale);
    const faded = chosen >= 0 && chosen !== i;
    context.globalAlpha = faded ? 0.35 : 1;
    context.lineWidth = 4 * unit;
    context.strokeStyle = '#0008';
    context.strokeRect(x, y, w, h);
    context.lineWidth = 2 * unit;
    context.strokeStyle = '#5ad1c3';
    context.strokeRect(x, y, w, h);
    const text = face.age ? `${i + 1}: ${face.age.value.toFixed(0)}` : `${i + 1}`;
    const room = context.measureText(text).width + size * 0.6;
    const left = Math.min(Math.max(x, 0), canvas.width - room);
    const top = y >= size * 1.4 ? y - size * 1.4 : Math.min(y + h, canvas.height - size * 1.4);
    context.fillStyle = '#0b6e66';
    context.fillRect(left, top, room, size * 1.4);
    context.fillStyle = '#fff';
    context.fillText(text, left + size * 0.3, top + size * 1.05);
  });
  context.globalAlpha = 1;
}

function showTable() {
  const [columns, ...lines] = rows(pictures);
  byId('table').hidden = lines.length === 0;
  byId('columns').replaceChildren(...columns.map((name) => {
    const th = make('th', { textContent: name });
    th.scope = 'col';
    return th;
  }));
  byId('rows').replaceChildren(...lines.map((line) =>
    make('tr', {}, ...line.map((cell) => make('td', { textContent: cell })))));
}

byId('files').addEventListener('change', (event) => {
  add(event.target.files);
  event.target.value = '';
});
addEventListener('paste', (event) => {
  if (event.clipboardData.files.length) add(event.clipboardData.files);
});
for (const kind of ['dragenter', 'dragover']) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.add('over');
  });
}
addEventListener('dragleave', (event) => {
  if (!event.relatedTarget) document.body.classList.remove('over');
});
addEventListener('drop', (event) => {
  event.preventDefault();
  document.body.classList.remove('over');
  add(event.dataTransfer.files);
});
byId('options').addEventListener('change', () => {
  showModel();
  run(pictures);
});
byId('options').addEventListener('submit', (event) => event.preventDefault());
byId('copy').addEventListener('click', async () => {
  await navigator.clipboard.writeText(csv(rows(pictures), '\t'));
  say('table copied');
});
byId('save').addEventListener('click', () => {
  const url = URL.createObjectURL(new Blob([csv(rows(pictures), ',')], { type: 'text/csv' }));
  make('a', { href: url, download: 'ages.csv' }).click();
  URL.revokeObjectURL(url);
});
byId('clear').addEventListener('click', () => {
  pictures = [];
  byId('results').replaceChildren();
  showTable();
  say('');
  byId('files').focus();
});

async function showModel() {
  try {
    byId('model').textContent = `the model ${await modelName(options())}`;
    byId('token-field').hidden = !options().token;
  } catch (error) {
    if (error.status === 401) byId('token-field').hidden = false;
    else say(error.message);
  }
}

byId('privacy').textContent = PRIVACY;
showModel();

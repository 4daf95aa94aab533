// The page: pictures in, boxes, curves and a table out. `engine.js` estimates.

import { Camera } from './camera.js';
import { curve } from './curve.js';
import { paint } from './draw.js';
import * as engine from './engine.js';
import { csv, rows } from './table.js';

const byId = (id) => document.getElementById(id);

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
    picture.record = await engine.estimate(picture.file, options());
    picture.error = undefined;
  } catch (error) {
    picture.record = undefined;
    picture.error = error.message;
    if (error.status === 401) {
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
  const number = face.track ?? i + 1;
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
    make('p', { className: 'age', textContent: `${number}: ${age.value.toFixed(1)} years` }),
    make('p', { className: 'detail', textContent: detail.join(' · ') }),
    curve(age, `Distribution of the age of face ${number}`),
  );
  return li;
}

function percent(share) {
  return `${Math.round(share * 100)}\u00a0%`;
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

/** At most so often are the people of the camera written anew, in milliseconds. */
const LIVE_PAUSE = 250;
let written = 0;

const camera = new Camera(byId('view'), options, (record) => {
  if (performance.now() - written < LIVE_PAUSE) return;
  written = performance.now();
  byId('people').replaceChildren(...record.faces.filter((face) => face.track).map(item));
});

byId('camera').hidden = !engine.estimateFrame;
byId('camera').addEventListener('click', async () => {
  if (camera.running) {
    camera.stop();
  } else {
    byId('live').hidden = false;
    try {
      await camera.start();
      say('the camera is on');
    } catch (error) {
      byId('live').hidden = true;
      say(`no camera: ${error.message}`);
    }
  }
  byId('camera').textContent = camera.running ? 'Stop the camera' : 'Use the camera';
  if (!camera.running) byId('live').hidden = true;
});

async function showModel() {
  try {
    byId('model').textContent = `the model ${await engine.modelName(options())}`;
    byId('token-field').hidden = !options().token;
  } catch (error) {
    if (error.status === 401) byId('token-field').hidden = false;
    else say(error.message);
  }
}

byId('privacy').textContent = engine.PRIVACY;
showModel();

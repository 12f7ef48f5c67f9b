import { ask, cancel, compare, draw, pixels, settingsOf, useKey } from './draw.js';

const $ = id => document.getElementById(id);
const FIELDS = ['prompt', 'size', 'seed', 'policy', 'budget'];
let model = null;
let running = [];

function say(text) { $('status').textContent = text; }
function warn(text) { $('warning').textContent = text; }

function body(full) {
  const policy = full ? 'full' : $('policy').value;
  const request = {
    prompt: $('prompt').value, size: $('size').value, seed: $('seed').value, policy,
    partial_images: model.scales - 1,
  };
  if (!model.whole_policies.includes(policy)) request.kv_budget = $('budget').value || (model.kv_budget ?? '10%');
  return request;
}

function readFragment() {
  const values = new URLSearchParams(location.hash.slice(1));
  for (const name of FIELDS) {
    if (values.has(name)) $(name).value = values.get(name);
  }
  showCode();
}

function fragment() {
  const values = new URLSearchParams();
  for (const name of FIELDS) if ($(name).value) values.set(name, $(name).value);
  return values.toString();
}

function showCode() {
  if (!model) return;
  const { partial_images: _, ...request } = body(false);
  if (!request.seed) delete request.seed;
  const json = JSON.stringify(request, null, 2);
  $('curl').textContent =
    `curl ${location.origin}/v1/images/generations \\\n  -H 'Content-Type: application/json' \\\n`
    + `  -d '${json.replaceAll("'", "'\\''")}' |\n  jq -r '.data[0].b64_json' | base64 -d > picture.png`;
  const text = value => JSON.stringify(value);
  const extra = Object.entries(request).filter(([name]) => !['prompt', 'size'].includes(name))
    .map(([name, value]) => `        .putAdditionalBodyProperty("${name}", JsonValue.from(${text(value)}))\n`).join('');
  $('java').textContent =
    `OpenAIClient client =\n    OpenAIOkHttpClient.builder().baseUrl("${location.origin}/v1").apiKey("none").build();\n`
    + `ImagesResponse answer = client.images().generate(\n    ImageGenerateParams.builder()\n`
    + `        .model(${text(model.id)})\n        .prompt(${text(request.prompt)})\n        .size(${text(request.size)})\n`
    + `${extra}        .build());`;
}

function url(event) {
  const bytes = Uint8Array.from(atob(event.b64_json), c => c.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type: `image/${event.output_format}` }));
}

function show(image, source, growing, text) {
  const before = image.src;
  image.src = source;
  image.alt = text;
  image.classList.toggle('growing', growing);
  image.hidden = false;
  $('empty').hidden = true;
  if (before.startsWith('blob:') && image.dataset.partial) URL.revokeObjectURL(before);
  image.dataset.partial = growing ? 'yes' : '';
}

/** Draws one picture into an image; gives what the server says of it. */
async function one(request, image, progress) {
  let result = null;
  const state = await draw(request, (name, event) => {
    switch (name) {
      case 'made': running.push(event.id); break;
      case 'waiting':
        say(`Waiting: ${event.position} ahead, about ${Math.ceil(event.estimate_seconds)} s.`);
        break;
      case 'scale':
        progress((event.scale + 1) / event.scales);
        say(`Scale ${event.scale + 1} of ${event.scales}`);
        break;
      case 'partial': show(image, url(event), true, `${request.prompt}, after scale ${event.scale + 1}`); break;
      case 'picture':
        result = { ...event, url: url(event), request };
        show(image, result.url, false, request.prompt);
        break;
    }
  });
  if (state === 'cancelled') throw new DOMException('cancelled', 'AbortError');
  return result;
}

function bytes(count) { return `${(count / 2 ** 20).toFixed(2)} MiB`; }

function row(name, result) {
  const line = document.createElement('tr');
  for (const text of [name, bytes(result.heatkv.kv_bytes), result.heatkv.seconds.toFixed(2)]) {
    line.append(Object.assign(document.createElement('td'), { textContent: text }));
  }
  return line;
}

async function showComparison(full, drawn) {
  const { psnr, difference } = compare(await pixels(full.url), await pixels(drawn.url));
  $('facts').replaceChildren(row('full', full), row(`${drawn.heatkv.policy}, ${100 * drawn.heatkv.kv_budget} %`, drawn));
  $('psnr').textContent = psnr === Infinity ? 'Both are equal.' : `PSNR ${psnr.toFixed(2)} dB. Difference, four times as strong:`;
  const canvas = $('difference');
  canvas.width = difference.width;
  canvas.height = difference.height;
  canvas.getContext('2d').putImageData(difference, 0, 0);
  $('comparison').hidden = false;
}

function remember(result) {
  const button = document.createElement('button');
  button.type = 'button';
  const image = Object.assign(document.createElement('img'), {
    src: result.url, alt: `${result.request.prompt}, seed ${result.request.seed}, ${result.heatkv.policy}`,
  });
  button.append(image);
  button.addEventListener('click', () => {
    $('full').hidden = true;
    $('comparison').hidden = true;
    show($('picture'), result.url, false, result.request.prompt);
    for (const name of ['prompt', 'size', 'seed', 'policy']) $(name).value = result.request[name];
    $('budget').value = result.request.kv_budget ?? '';
    showCode();
    say(`Seed ${result.request.seed}, ${result.heatkv.policy}, ${bytes(result.heatkv.kv_bytes)}`);
  });
  const item = document.createElement('li');
  item.append(button);
  $('gallery').prepend(item);
}

async function submit(event) {
  event.preventDefault();
  useKey($('key').value);
  warn('');
  // Both of a comparison, and a link, need a number.
  const given = $('seed').value;
  if (!given) $('seed').value = String(crypto.getRandomValues(new Uint32Array(1))[0]);
  const compared = $('compare').checked && $('policy').value !== 'full';
  running = [];
  $('draw').disabled = true;
  $('cancel').disabled = false;
  $('comparison').hidden = true;
  $('full').hidden = true;
  $('progress').hidden = false;
  const progress = part => { $('progress').value = part; };
  try {
    say('Sent.');
    const drawn = await one(body(false), $('picture'), progress);
    remember(drawn);
    if (compared) {
      const full = await one(body(true), $('full'), progress);
      remember(full);
      await showComparison(full, drawn);
    }
    say(`Done: seed ${drawn.request.seed}, ${drawn.size}, ${bytes(drawn.heatkv.kv_bytes)} for keys and values.`);
    if (drawn.heatkv.warnings.length) warn(drawn.heatkv.warnings.join(' '));
  } catch (problem) {
    if (problem.status === 401) {
      $('key-field').hidden = false;
      $('key').focus();
    }
    if (problem.name === 'AbortError') say('Cancelled.');
    else { say(''); warn(problem.message); }
  } finally {
    if (!given) $('seed').value = '';
    $('draw').disabled = false;
    $('cancel').disabled = true;
    $('progress').hidden = true;
  }
}

async function drop(event) {
  event.preventDefault();
  $('drop').classList.remove('over');
  const file = event.dataTransfer?.files[0];
  if (!file) return;
  const settings = await settingsOf(file);
  if (!settings) return warn(`${file.name} has no settings of HeatKV.`);
  $('prompt').value = settings.prompt ?? '';
  $('seed').value = settings.seed ?? '';
  $('policy').value = settings.cache ?? 'full';
  $('budget').value = model.whole_policies.includes(settings.cache) ? '' : settings.kv_budget ?? '';
  const size = `${settings.width}x${settings.height}`;
  $('size').value = model.sizes.includes(size) ? size : model.sizes[0];
  warn(settings.model === model.id ? '' : `The picture was drawn by ${settings.model}, this server has ${model.id}: it will draw another one.`);
  say(`Settings of ${file.name}.`);
  showCode();
}

/** A map of layers downwards and heads across. */
function map(answer, source, label, colour) {
  const cell = 12;
  const canvas = document.createElement('canvas');
  canvas.width = answer.heads * cell;
  canvas.height = answer.layers * cell;
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', `${label} of scale ${answer.scales[source]} by layer and head`);
  const context = canvas.getContext('2d');
  for (let layer = 0; layer < answer.layers; layer++) {
    for (let head = 0; head < answer.heads; head++) {
      context.fillStyle = colour(layer, head);
      context.fillRect(head * cell, layer * cell, cell, cell);
    }
  }
  return canvas;
}

/** How many heads of each scale have which level, as a table. */
function showCounts(answer) {
  const names = [...answer.levels.map(level => level.name), 'dropped'];
  const cells = (tag, texts) => texts.map(text => Object.assign(document.createElement(tag), { textContent: text }));
  const line = (first, others) => {
    const row = document.createElement('tr');
    const [head] = cells('th', [first]);
    head.scope = 'row';
    row.append(head, ...others);
    return row;
  };
  const titles = cells('th', ['scale', ...names]);
  for (const title of titles) title.scope = 'col';
  const top = document.createElement('tr');
  top.append(...titles);
  const table = $('level-counts').querySelector('table');
  table.tHead.replaceChildren(top);
  table.tBodies[0].replaceChildren(...answer.level.map((layers, source) => {
    const counts = names.map(() => 0);
    for (const level of layers.flat()) counts[level < 0 ? names.length - 1 : level]++;
    return line(answer.scales[source], cells('td', counts));
  }));
  $('level-counts').hidden = false;
}

/** For each source scale a map of S-CAS and one of levels, under the budget of the form. */
async function showHeat() {
  const budget = $('budget').value || model.kv_budget || '10%';
  if (!$('heat').open || $('maps').dataset.budget === budget) return;
  try {
    const answer = await (await ask(`/v1/profile?kv_budget=${encodeURIComponent(budget)}`)).json();
    const most = Math.max(...answer.scores.flat(2).filter(score => score !== null));
    $('heat-text').textContent =
      `Layers downwards, heads across. Left, the brighter, the more later scales attend (most ${(100 * most).toFixed(1)} %, `
      + `${answer.prompts} prompts). Right, the brighter, the more the last scale finds with a budget of ${budget}; black is dropped.`;
    showCounts(answer);
    $('maps').dataset.budget = budget;
    $('maps').replaceChildren(...answer.level.map((levels, source) => {
      const figure = document.createElement('figure');
      const scores = answer.scores[source];
      const heat = scores && map(answer, source, 'Attention', (layer, head) => {
        const score = scores[layer][head] / most;
        return `hsl(${20 + 30 * score} 90% ${8 + 62 * Math.sqrt(score)}%)`;
      });
      const kept = map(answer, source, 'Levels', (layer, head) => {
        const level = levels[layer][head];
        return level < 0 ? '#000' : `hsl(215 60% ${25 + 60 * Math.sqrt(answer.levels[level].share)}%)`;
      });
      const caption = document.createElement('figcaption');
      caption.textContent = `scale ${source + 1}: ${answer.scales[source]}${scores ? '' : ', kept by all heads'}`;
      figure.append(...(heat ? [heat] : []), kept, caption);
      return figure;
    }));
  } catch (problem) {
    $('heat-text').textContent = problem.message;
    $('level-counts').hidden = true;
    $('maps').replaceChildren();
    delete $('maps').dataset.budget;
  }
}

async function start() {
  try {
    model = (await (await ask('/v1/models')).json()).data[0];
  } catch (problem) {
    if (problem.status === 401) $('key-field').hidden = false;
    $('model').textContent = problem.message;
    if (problem.status !== 401) throw problem;
    return;
  }
  $('model').textContent = model.id;
  $('size').replaceChildren(...model.sizes.map(size => new Option(size, size)));
  $('policy').replaceChildren(...model.policies.map(policy => new Option(policy, policy)));
  // HeatKV's own rules need a calibration.
  const usable = model.calibrated || !model.policy.startsWith('heatkv');
  $('policy').value = usable ? model.policy : 'full';
  $('budget').value = model.whole_policies.includes($('policy').value) ? '' : model.kv_budget ?? '10%';
  $('heat').hidden = !model.calibrated;
  if (!$('prompt').value) $('prompt').value = model.example;
  readFragment();
}

$('form').addEventListener('submit', submit);
$('form').addEventListener('input', showCode);
$('key').addEventListener('change', () => { useKey($('key').value); start(); });
$('cancel').addEventListener('click', () => Promise.all(running.map(cancel)).catch(problem => warn(problem.message)));
$('link').addEventListener('click', async () => {
  const link = `${location.origin}/#${fragment()}`;
  history.replaceState(null, '', link);
  try {
    await navigator.clipboard.writeText(link);
    say('The link is in the clipboard.');
  } catch {
    say('The link is in the address bar.');
  }
});
$('slider').addEventListener('input', () => $('stage').style.setProperty('--split', `${$('slider').value}%`));
$('heat').addEventListener('toggle', showHeat);
$('budget').addEventListener('change', showHeat);
addEventListener('hashchange', readFragment);
addEventListener('dragover', event => { event.preventDefault(); $('drop').classList.add('over'); });
addEventListener('dragleave', () => $('drop').classList.remove('over'));
addEventListener('drop', drop);
await start();

#!/usr/bin/env node
// Clients that ask a server of heatkv for one picture after another, until time or requests are over.
// Prints a line of JSON; exit status 1 where an answer was a 5xx, something was left behind or memory grew.
import { parseArgs } from 'node:util';

const usage = `usage: tools/load.mjs URL [--clients N] [--seconds N] [--requests N] [--leaving SHARE] [--prompt TEXT] [--mixed] [--growth MIB]

  --leaving SHARE  of the requests that leave at a random moment
  --mixed          random n, streams, partial images, policies, budgets and formats
  --growth MIB     most that resident memory may grow a minute, over the last two thirds of the time`;
function options() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        clients: { type: 'string', default: '8' }, seconds: { type: 'string', default: '60' },
        requests: { type: 'string', default: 'Infinity' }, leaving: { type: 'string', default: '0' },
        prompt: { type: 'string' }, mixed: { type: 'boolean', default: false }, growth: { type: 'string', default: 'Infinity' },
      },
    });
  } catch {
    return { values: {}, positionals: [] };
  }
}
const { values, positionals: [url] } = options();
const [clients, seconds, requests, leaving, growth] = ['clients', 'seconds', 'requests', 'leaving', 'growth'].map(name => Number(values[name]));
if (!url || [clients, seconds, requests, leaving, growth].some(Number.isNaN)) {
  console.error(usage);
  process.exit(2);
}

const model = await fetch(`${url}/v1/models`).then(answer => answer.json()).then(answer => answer.data[0]).catch(problem => {
  console.error(`no server of heatkv answers at ${url} (${problem.cause?.code ?? problem.message}); start one with heatkv serve`);
  process.exit(2);
});
const pick = list => list[Math.floor(list.length * Math.random())];
function body() {
  const request = { prompt: values.prompt ?? model.example, seed: Math.floor(1e9 * Math.random()) };
  if (values.mixed) {
    Object.assign(request, {
      n: pick([1, 1, 2]), stream: pick([true, false]), partial_images: pick([0, 2]), output_format: pick(['png', 'jpeg']),
    }, pick([{}, { policy: 'full' }, { policy: 'h2o', kv_budget: 0.5 }, { policy: 'sliding-window', kv_budget: '60%' }]));
  }
  return JSON.stringify(request);
}

async function metrics(...names) {
  const text = await (await fetch(`${url}/metrics`)).text();
  return names.map(name => Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]));
}

const begin = performance.now();
const end = begin + 1000 * seconds;
const times = [];
const outcomes = {};
let sent = 0;
let mean = 1000;

async function client() {
  while (performance.now() < end && sent < requests) {
    sent++;
    const start = performance.now();
    const abort = new AbortController();
    const timer = Math.random() < leaving ? setTimeout(() => abort.abort(), 2 * mean * Math.random()) : null;
    let outcome;
    try {
      const answer = await fetch(`${url}/v1/images/generations`, {
        method: 'POST', headers: { 'Content-Type': 'application/json' }, body: body(), signal: abort.signal,
      });
      const text = await answer.text();
      outcome = text.includes('event: error') ? 'error event' : answer.status;
      if (outcome === 200) {
        times.push(performance.now() - start);
        mean = 0.9 * mean + 0.1 * times.at(-1);
      } else if (outcome === 429) {
        await new Promise(done => setTimeout(done, 1000 * Number(answer.headers.get('retry-after'))));
      }
    } catch (problem) {
      outcome = problem.name === 'AbortError' ? 'left' : String(problem.cause ?? problem);
    }
    clearTimeout(timer);
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  }
}

// Resident MiB by minutes, and its slope over the last two thirds, when all is warm.
const resident = [];
async function watch() {
  const [bytes] = await metrics('process_resident_memory_bytes');
  resident.push([(performance.now() - begin) / 60000, bytes / 2 ** 20]);
}
function slope(points) {
  const average = i => points.reduce((sum, point) => sum + point[i], 0) / points.length;
  const [x, y] = [average(0), average(1)];
  return points.reduce((sum, [a, b]) => sum + (a - x) * (b - y), 0) / points.reduce((sum, [a]) => sum + (a - x) ** 2, 0);
}

const [before] = await metrics('heatkv_native_tensors');
const timer = setInterval(watch, 1000);
await Promise.all(Array.from({ length: clients }, client));
clearInterval(timer);
const took = (performance.now() - begin) / 1000;
// Who left is gone at the next scale.
let after;
for (let tries = 0; tries < 100; tries++) {
  after = await metrics('heatkv_native_tensors', 'heatkv_reserved_bytes', 'heatkv_pictures_running', 'heatkv_pictures_waiting');
  if (after[0] <= before && after.slice(1).every(each => each === 0)) break;
  await new Promise(done => setTimeout(done, 100));
}
times.sort((a, b) => a - b);
const at = share => times.length ? Math.round(times[Math.min(times.length - 1, Math.floor(share * times.length))]) : null;
const warm = resident.slice(Math.floor(resident.length / 3));
const grew = warm.length > 2 ? slope(warm) : null;
console.log(JSON.stringify({
  clients, seconds: Number(took.toFixed(1)), answers_a_second: Number((times.length / took).toFixed(3)),
  p50_ms: at(0.5), p99_ms: at(0.99), outcomes,
  native_tensors: [before, after[0]], reserved_bytes: after[1],
  resident_mib: warm.length ? [warm[0], warm.at(-1)].map(point => Math.round(point[1])) : null,
  resident_mib_a_minute: grew === null ? null : Number(grew.toFixed(2)),
}));
const wrong = Object.keys(outcomes).filter(each => !['200', '429', 'left'].includes(each));
process.exit(wrong.length || after[0] > before || after[1] !== 0 || grew > growth ? 1 : 0);

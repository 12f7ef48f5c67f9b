#!/usr/bin/env node
// Clients that draw one picture after another: tools/load.mjs URL CLIENTS SECONDS [LEAVING]
// LEAVING is the share of requests that leave at a random moment. Prints one line of JSON.
const [url, clients, seconds, leaving = '0'] = process.argv.slice(2);
if (!seconds) {
  console.error('usage: tools/load.mjs URL CLIENTS SECONDS [LEAVING]');
  process.exit(2);
}
const body = () => JSON.stringify({ prompt: process.env.PROMPT ?? 'a red apple', seed: Math.floor(Math.random() * 1e9) });
const end = performance.now() + 1000 * Number(seconds);
const times = [];
const counts = {};
let mean = 1000;

async function metric(name) {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
}

async function client() {
  while (performance.now() < end) {
    const start = performance.now();
    const abort = new AbortController();
    const leaves = Math.random() < Number(leaving);
    const timer = leaves ? setTimeout(() => abort.abort(), 2 * mean * Math.random()) : null;
    let outcome;
    try {
      const answer = await fetch(`${url}/v1/images/generations`, {
        method: 'POST', headers: { 'Content-Type': 'application/json' }, body: body(), signal: abort.signal,
      });
      await answer.json();
      outcome = answer.status;
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
    counts[outcome] = (counts[outcome] ?? 0) + 1;
  }
}

const before = performance.now();
await Promise.all(Array.from({ length: Number(clients) }, client));
const took = (performance.now() - before) / 1000;
times.sort((a, b) => a - b);
const at = share => times.length ? Math.round(times[Math.min(times.length - 1, Math.floor(share * times.length))]) : null;
console.log(JSON.stringify({
  clients: Number(clients), seconds: Number(took.toFixed(1)), pictures_a_second: Number((times.length / took).toFixed(3)),
  p50_ms: at(0.5), p99_ms: at(0.99), outcomes: counts,
  native_tensors: await metric('heatkv_native_tensors'), reserved_bytes: await metric('heatkv_reserved_bytes'),
}));

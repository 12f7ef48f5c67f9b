// OpenAI's own client, as it comes, against a server of the toy model; prints OK or throws.
import assert from 'node:assert/strict';
import OpenAI from 'openai';

const [baseURL, door] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: 'none', maxRetries: 2 });

const models = await client.models.list();
assert.equal(models.data[0].id, 'toy');
assert.equal((await client.models.retrieve('toy')).id, 'toy');

const answer = await client.images.generate({
  model: 'toy', prompt: 'circle', n: 2, size: 'auto', quality: 'low', seed: 7, user: 'someone',
  moderation: 'auto', background: 'auto', output_format: 'png',
});
assert.equal(answer.data.length, 2);
assert.equal(answer.data[0].seed, 7);
assert.equal(answer.size, '28x20');
assert.equal(Buffer.from(answer.data[0].b64_json, 'base64').subarray(1, 4).toString(), 'PNG');

const types = [];
const stream = await client.images.generate({
  model: 'toy', prompt: 'cross', seed: 7, stream: true, partial_images: 3,
});
for await (const event of stream) {
  types.push(event.type);
  assert.ok(event.b64_json.length > 0);
}
assert.equal(types.at(-1), 'image_generation.completed');
assert.ok(types.includes('image_generation.partial_image'));

await assert.rejects(client.images.generate({ model: 'toy', prompt: 'triangle' }),
  error => error instanceof OpenAI.BadRequestError && /triangle/.test(error.message));
await assert.rejects(client.images.generate({ model: 'other', prompt: 'circle' }), OpenAI.NotFoundError);
await assert.rejects(client.images.edit({ model: 'toy', prompt: 'circle', image: new File(['x'], 'x.png') }),
  OpenAI.NotFoundError);

// A device error is worth another try, and the client tries by itself.
await fetch(`${door}/fail`);
assert.equal((await client.images.generate({ model: 'toy', prompt: 'circle' })).data.length, 1);

// Who leaves takes the place of nobody.
await fetch(`${door}/shut`);
const abort = new AbortController();
const waiting = client.images.generate({ model: 'toy', prompt: 'circle', n: 4 }, { signal: abort.signal });
await until(async () => (await state()) === 4);
abort.abort();
await assert.rejects(waiting, OpenAI.APIUserAbortError);
await until(async () => (await state()) <= 4 && (await waitingPictures()) === 0);

// A full queue is waited for as the server says.
const held = [];
for (let i = 0; i < 4; i++) {
  held.push(client.images.generate({ model: 'toy', prompt: 'square', n: 4 }));
}
await until(async () => (await waitingPictures()) >= 12);
await assert.rejects(
  client.images.generate({ model: 'toy', prompt: 'circle', n: 4 }, { maxRetries: 0 })
    .then(() => client.images.generate({ model: 'toy', prompt: 'circle', n: 4 }, { maxRetries: 0 })),
  OpenAI.RateLimitError);
const retried = client.images.generate({ model: 'toy', prompt: 'circle', n: 4 }, { maxRetries: 5 });
await fetch(`${door}/open`);
await Promise.allSettled(held);
assert.equal((await retried).data.length, 4);

// Half a stream.
const half = await client.images.generate({ model: 'toy', prompt: 'cross', stream: true, partial_images: 3, n: 4 });
for await (const _ of half) break;
await until(async () => (await state()) === 0);
console.log('OK');

async function state() {
  const status = await (await fetch(`${baseURL.replace('/v1', '')}/readyz`)).json();
  return status.running + status.waiting;
}

async function waitingPictures() {
  return (await (await fetch(`${baseURL.replace('/v1', '')}/readyz`)).json()).waiting;
}

async function until(condition) {
  while (!(await condition())) await new Promise(resolve => setTimeout(resolve, 20));
}

// Talking to the server and reading pictures; nothing of the page.

let key = sessionStorage.getItem('heatkv-key') ?? '';

export function useKey(value) {
  key = value;
  sessionStorage.setItem('heatkv-key', value);
}

/** Fetches; a wrong answer is an Error with its status and what the server says. */
export async function ask(path, options = {}) {
  const headers = { ...options.headers };
  if (key) headers.Authorization = `Bearer ${key}`;
  const answer = await fetch(path, { ...options, headers });
  if (!answer.ok) {
    const body = await answer.json().catch(() => null);
    const error = new Error(body?.error?.message ?? `the server answered ${answer.status}`);
    error.status = answer.status;
    throw error;
  }
  return answer;
}

/** Begins a job and tells its events until it ends; the way to cancel it comes first. */
export async function draw(body, on) {
  const made = await ask('/v1/jobs', {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
  });
  const job = await made.json();
  on('made', job);
  const events = await ask(`/v1/jobs/${job.id}/events`);
  const reader = events.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error('the connection ended; the server may have stopped');
    text += value;
    let end;
    while ((end = text.indexOf('\n\n')) >= 0) {
      const event = text.slice(0, end);
      text = text.slice(end + 2);
      const name = /^event: (.*)$/m.exec(event)?.[1];
      const data = /^data: (.*)$/m.exec(event)?.[1];
      if (!name) continue;
      const content = JSON.parse(data);
      on(name, content);
      if (name === 'end') {
        if (content.error) throw new Error(content.error.message);
        return content.state;
      }
    }
  }
}

export function cancel(id) {
  return ask(`/v1/jobs/${id}`, { method: 'DELETE' });
}

/** Pixels of a picture. */
export async function pixels(url) {
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/** PSNR in dB over all channels, and the difference as a picture four times as strong. */
export function compare(a, b) {
  const difference = new ImageData(a.width, a.height);
  let squares = 0;
  for (let i = 0; i < a.data.length; i++) {
    if (i % 4 === 3) {
      difference.data[i] = 255;
    } else {
      const d = a.data[i] - b.data[i];
      squares += d * d;
      difference.data[i] = Math.min(255, 4 * Math.abs(d));
    }
  }
  const mean = squares / (3 * a.width * a.height);
  return { psnr: mean === 0 ? Infinity : 10 * Math.log10(255 * 255 / mean), difference };
}

/** What HeatKV wrote into a PNG of how it was drawn, or null. */
export async function settingsOf(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const view = new DataView(bytes.buffer);
  if (bytes.length < 8 || view.getUint32(0) !== 0x89504e47) return null;
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const data = bytes.subarray(at + 8, at + 8 + length);
    if (type === 'iTXt') {
      const zero = data.indexOf(0);
      const keyword = new TextDecoder('latin1').decode(data.subarray(0, zero));
      if (keyword === 'heatkv') {
        // Behind the keyword: two bytes of compression, then language and translated keyword.
        const language = data.indexOf(0, zero + 3);
        let text = data.subarray(data.indexOf(0, language + 1) + 1);
        if (data[zero + 1] === 1) {
          const stream = new Blob([text]).stream().pipeThrough(new DecompressionStream('deflate'));
          text = new Uint8Array(await new Response(stream).arrayBuffer());
        }
        try {
          // Seeds may be larger than JavaScript's whole numbers: their digits are kept.
          return JSON.parse(new TextDecoder().decode(text).replace(/("seed":)(\d+)/, '$1"$2"'));
        } catch {
          return null;
        }
      }
    }
    at += 12 + length;
  }
  return null;
}

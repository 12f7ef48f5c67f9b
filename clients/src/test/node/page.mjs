// The page in headless Chromium: drawn, compared, cancelled, restored, measured by axe.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const [url, door, executablePath, shots] = process.argv.slice(2);
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
mkdirSync(shots, { recursive: true });
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
try {
  for (const [name, colorScheme, viewport] of [
    ['light', 'light', { width: 1100, height: 1000 }],
    ['dark', 'dark', { width: 1100, height: 1000 }],
    ['phone', 'light', { width: 360, height: 740 }],
  ]) {
    const context = await browser.newContext({ colorScheme, viewport });
    const page = await context.newPage();
    const problems = [];
    page.on('console', message => message.type() === 'error' && problems.push(message.text()));
    page.on('pageerror', error => problems.push(String(error)));
    page.on('request', request => request.url().startsWith(url) || /^(blob|data):/.test(request.url())
      || problems.push(`asked elsewhere: ${request.url()}`));
    await page.goto(url);
    await page.waitForFunction(() => document.getElementById('prompt').value === 'circle');
    await page.goto(`${url}/#prompt=circle&seed=7&policy=streaming-llm&budget=50%25`);
    await page.waitForFunction(() => document.getElementById('size').options.length > 0);
    assert.equal(await page.inputValue('#seed'), '7');

    // By keyboard alone.
    await page.focus('#compare');
    await page.keyboard.press('Space');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.getElementById('status').textContent.startsWith('Done'), null, { timeout: 60000 });
    assert.equal(await page.locator('#gallery li').count(), 2);
    assert.ok(await page.isVisible('#comparison'));
    assert.match(await page.textContent('#psnr'), /PSNR [\d.]+ dB|equal/);
    assert.equal(await page.evaluate(() => document.getElementById('picture').naturalWidth), 28);
    const facts = await page.locator('#facts tr').allTextContents();
    assert.match(facts[0], /^full/);
    await page.focus('#slider');
    await page.keyboard.press('ArrowLeft');
    await page.locator('#code summary').click();
    assert.match(await page.textContent('#curl'), /images\/generations/);
    assert.match(await page.textContent('#java'), /OpenAIOkHttpClient/);

    // Scores and levels of the calibration: 4 source scales, of which the first isn't scored.
    await page.locator('#heat summary').click();
    await page.waitForFunction(() => document.querySelectorAll('#maps figure').length === 4);
    assert.equal(await page.locator('#maps canvas').count(), 7);
    for (const row of await page.locator('#level-counts tbody tr').all()) {
      const heads = (await row.locator('td').allTextContents()).reduce((sum, count) => sum + Number(count), 0);
      assert.equal(heads, 4);
    }

    await page.evaluate(axe);
    const found = await page.evaluate(() => globalThis.axe.run());
    assert.deepEqual(found.violations.map(each => `${each.id}: ${each.nodes.map(node => node.target)}`), []);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    assert.equal(wide, false, 'scrolls sideways');
    await page.screenshot({ path: `${shots}/${name}.png`, fullPage: true });

    // A picture dropped gives its settings back.
    const answer = await fetch(`${url}/v1/images/generations`, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"prompt": "circle", "seed": "12345678901234567"}',
    });
    const drawn = (await answer.json()).data[0].b64_json;
    await page.fill('#prompt', 'something else');
    await page.evaluate(base64 => {
      const file = new File([Uint8Array.from(atob(base64), c => c.charCodeAt(0))], 'a.png', { type: 'image/png' });
      const transfer = new DataTransfer();
      transfer.items.add(file);
      dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }, drawn);
    await page.waitForFunction(() => document.getElementById('prompt').value === 'circle');
    assert.equal(await page.inputValue('#seed'), '12345678901234567');
    assert.equal(await page.inputValue('#policy'), 'full');

    // A place in the queue, and out of it.
    await fetch(`${door}/shut`);
    await page.uncheck('#compare');
    await page.click('#draw');
    await page.waitForFunction(() => !document.getElementById('cancel').disabled);
    await page.waitForTimeout(300);
    await page.click('#cancel');
    await page.waitForFunction(() => document.getElementById('status').textContent === 'Cancelled.');
    await fetch(`${door}/open`);
    assert.deepEqual(problems, []);
    await context.close();
  }
} finally {
  await browser.close();
}
console.log('OK');

// Opens a page in Chromium and says what happened: node browser.js '{"url": ..., "width": 1280, ...}'.
// It speaks the DevTools protocol over a pipe, so it needs no port and no library.
'use strict';
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const asked = JSON.parse(process.argv[2]);
const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'page-'));
const flags = [
  '--headless=new',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--no-default-browser-check',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-default-apps',
  '--disable-sync',
  '--disable-extensions',
  '--force-color-profile=srgb',
  '--hide-scrollbars',
  '--remote-debugging-pipe',
  `--user-data-dir=${profile}`,
  'about:blank',
];
const browser = spawn(asked.browser ?? 'chromium', flags, {
  stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
});
let complaints = '';
browser.stderr.on('data', (text) => {
  complaints += text;
});

const waiting = new Map();
const listeners = [];
let number = 0;
let rest = '';
browser.stdio[4].setEncoding('utf8');
browser.stdio[4].on('data', (text) => {
  const messages = (rest + text).split('\0');
  rest = messages.pop();
  for (const message of messages.map((one) => JSON.parse(one))) {
    if (message.id === undefined) listeners.forEach((listener) => listener(message));
    else {
      const { resolve, reject } = waiting.get(message.id);
      waiting.delete(message.id);
      if (message.error) reject(new Error(JSON.stringify(message.error)));
      else resolve(message.result);
    }
  }
});

let session;
function send(method, params = {}) {
  number += 1;
  const id = number;
  browser.stdio[3].write(
    `${JSON.stringify({ id, method, params, ...(session ? { sessionId: session } : {}) })}\0`,
  );
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
  });
}

const event = (method) =>
  new Promise((resolve) => {
    listeners.push((message) => {
      if (message.method === method) resolve(message.params);
    });
  });

async function evaluate(expression) {
  const { result, exceptionDetails } = await send('Runtime.evaluate', {
    expression,
    awaitPromise: true,
    returnByValue: true,
  });
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  return result.value;
}

async function look() {
  const { targetInfos } = await send('Target.getTargets');
  const { targetId } = targetInfos.find((target) => target.type === 'page');
  session = (await send('Target.attachToTarget', { targetId, flatten: true })).sessionId;
  const seen = { console: [], requests: [], results: [], violations: [] };
  listeners.push(({ method, params }) => {
    if (method === 'Runtime.consoleAPICalled')
      seen.console.push(params.args.map((arg) => arg.value ?? arg.description).join(' '));
    if (method === 'Runtime.exceptionThrown')
      seen.console.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === 'Log.entryAdded') seen.console.push(params.entry.text);
    if (method === 'Network.requestWillBeSent') seen.requests.push(params.request.url);
  });
  await Promise.all(
    ['Page.enable', 'Runtime.enable', 'Log.enable', 'Network.enable'].map((method) => send(method)),
  );
  await send('Emulation.setDeviceMetricsOverride', {
    width: asked.width,
    height: asked.height,
    deviceScaleFactor: 1,
    mobile: asked.width < 600,
  });
  await send('Emulation.setEmulatedMedia', {
    features: [{ name: 'prefers-color-scheme', value: asked.dark ? 'dark' : 'light' }],
  });
  const loaded = event('Page.loadEventFired');
  await send('Page.navigate', { url: asked.url });
  await loaded;
  seen.opened_ms = await evaluate(
    "(() => { const [entry] = performance.getEntriesByType('navigation'); return entry.loadEventStart; })()",
  );
  for (const step of asked.steps ?? []) seen.results.push((await evaluate(step)) ?? null);
  if (asked.axe) {
    await evaluate(fs.readFileSync(asked.axe, 'utf8'));
    const { violations } = await evaluate("axe.run(document, { resultTypes: ['violations'] })");
    seen.violations = violations.map(({ id, impact, help, nodes }) => ({
      id,
      impact,
      help,
      nodes: nodes.slice(0, 5).map((node) => node.html),
    }));
  }
  if (asked.screenshot) {
    const { data } = await send('Page.captureScreenshot', { captureBeyondViewport: asked.whole ?? false });
    fs.writeFileSync(asked.screenshot, Buffer.from(data, 'base64'));
  }
  if (asked.pdf) {
    const { data } = await send('Page.printToPDF', { preferCSSPageSize: true });
    fs.writeFileSync(asked.pdf, Buffer.from(data, 'base64'));
  }
  return seen;
}

const ended = new Promise((resolve) => {
  browser.on('exit', resolve);
});
browser.on('error', (error) => {
  console.error(error.message);
  process.exit(1);
});
ended.then(() => {
  if (process.exitCode === undefined) {
    console.error(complaints);
    process.exit(1);
  }
});
look()
  .then(
    (seen) => {
      process.exitCode = 0;
      console.log(JSON.stringify(seen));
    },
    (error) => {
      process.exitCode = 1;
      console.error(error.stack, complaints);
    },
  )
  .then(() => {
    session = undefined;
    send('Browser.close').catch(() => {});
    return ended;
  })
  .then(() => fs.rmSync(profile, { recursive: true, force: true, maxRetries: 5 }));

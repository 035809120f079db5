import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Browser, Page } from 'puppeteer-core';
import { CACHE, CHECKOUT } from './engine-under-test.ts';
import { Machine } from './machine.ts';
import { HOST } from './namespaces.ts';
import { openTab, type Served, serveUi, startBrowser } from './page.ts';
import { must, sleep, until } from './process.ts';
import { PROJECT } from './ui-project.ts';

/** The page in Chromium: a compose project of 12 containers on 4 networks. */
const SHOTS = process.env.GANGWAY_SHOTS;
let machine: Machine;
let served: Served;
let browser: Browser;
let page: Page;
let errors: string[];

const command = (...args: string[]): string[] => [
  ...['env', '-C', join(machine.directory, 'harbour')],
  `DOCKER_CONFIG=${join(machine.directory, 'config')}`,
  ...machine.dockerCommand('compose', ...args),
];

before(async () => {
  const plugin = join(CACHE, 'docker-compose');
  if (!existsSync(plugin)) {
    throw new Error(`no ${plugin}: run \`sudo npm test\` or setup/compose-plugin.sh ${CACHE}`);
  }
  machine = await Machine.start({ flags: ['--dns-search', '.'] });
  const plugins = join(machine.directory, 'config/cli-plugins');
  mkdirSync(plugins, { recursive: true });
  copyFileSync(plugin, join(plugins, 'docker-compose'));
  mkdirSync(join(machine.directory, 'harbour'));
  writeFileSync(join(machine.directory, 'harbour/compose.yaml'), PROJECT);
  await must(command('up', '-d'));
  served = await serveUi(machine);
  browser = await startBrowser(machine.directory, machine.namespaces.machine, [
    '--host-resolver-rules=MAP rebound.example 127.0.0.1',
  ]);
  ({ page, errors } = await openTab(browser));
  await page.goto(served.link);
  await page.waitForSelector('.place');
});
after(async () => {
  await browser?.close();
  served?.process.kill();
  await machine?.close();
});

/** Text of the first element, empty when there is none. */
const text = (selector: string): Promise<string> =>
  page.evaluate((wanted) => document.querySelector(wanted)?.textContent ?? '', selector);

const texts = (selector: string): Promise<string[]> =>
  page.evaluate(
    (wanted) => [...document.querySelectorAll(wanted)].map((each) => each.textContent ?? ''),
    selector,
  );

/** The card of a container on a network, by the network's name. */
async function card(container: string, network = ''): Promise<string> {
  const { endpoints, containers, networks } = JSON.parse(
    (await machine.api('GET', '/gangway/topology')).body,
  );
  const named = (all: { id: string; name: string }[], name: string): string[] =>
    all.filter((each) => each.name.endsWith(name)).map(({ id }) => id);
  const found = endpoints.find(
    (each: { container: string; network: string }) =>
      named(containers, container).includes(each.container) &&
      named(networks, network).includes(each.network),
  );
  return `[data-id="${found?.id}"]`;
}

const shown = (what: string, selector: string, fits: (words: string) => boolean): Promise<string> =>
  until(what, async () => {
    const words = await text(selector);
    return fits(words) ? words : undefined;
  });

test('the project is drawn: switches, veth pairs, containers, published ports, NAT', async () => {
  assert.deepEqual((await texts('.node.network .name')).toSorted(), [
    ...['harbour_back', 'harbour_edge', 'harbour_front', 'harbour_ops'],
  ]);
  const names = await texts('.place .name');
  assert.equal(names.length, 18, 'endpoints');
  assert.equal(new Set(names).size, 12, 'containers');
  assert.deepEqual((await texts('.node.port')).toSorted(), [
    ...['127.0.0.1:8443→proxy', ':3000→dashboard', ':8080→proxy', ':9090→metrics'],
  ]);
  const links = (await machine.host(['ip', '-br', 'link', 'show', 'type', 'veth'])).stdout;
  const drawn = await texts('.place .veth');
  for (const veth of drawn) assert.match(links, new RegExp(`^${veth}@`, 'm'));
  assert.equal(await page.evaluate(() => document.querySelectorAll('#edges .edge.veth').length), 18);
  assert.equal(await page.evaluate(() => document.querySelectorAll('#edges .edge.dnat').length), 4);
  assert.equal(await page.evaluate(() => document.querySelectorAll('#edges .edge.gateway').length), 3);
  assert.match(await text('.node.host .snat-mark'), /harbour_ops leave as 198\.51\.100\.3/);
  assert.match((await texts('.node.network')).join(), /harbour_backinternal/);
  assert.deepEqual(errors, []);
});

test('edges move under traffic, with the bytes a second that pass', async () => {
  const loader = await card('loader');
  await shown('rest', `${loader} .rate`, (words) => words === '↓0 ↑0');
  await machine.dockerOk('exec', 'loader', 'touch', '/go');
  await shown('the rate of loader', `${loader} .rate`, (words) => /↓[\d.]+[kM]/.test(words));
  const veth = await text(`${loader} .veth`);
  const sent = async (): Promise<number> => {
    const file = `/sys/class/net/${veth}/statistics/tx_bytes`;
    return Number((await machine.host(['cat', file])).stdout);
  };
  await sleep(2000);
  const [before, began] = [await sent(), Date.now()];
  await sleep(3000);
  const real = ((await sent()) - before) / ((Date.now() - began) / 1000);
  const [, amount = '', unit = ''] = /↓([\d.]+)([kM]?)/.exec(await text(`${loader} .rate`)) ?? [];
  const told = Number(amount) * ({ k: 1e3, M: 1e6 }[unit] ?? 1);
  assert.ok(told > real / 3 && told < real * 3, `told ${told}, counted ${real} bytes a second`);
  const edge = (): Promise<string> =>
    page.evaluate(
      (id) => document.querySelector(`#edges path[data-id="veth:${id}"]`)?.getAttribute('class') ?? '',
      loader.slice(10, -2),
    );
  assert.match(await edge(), /w[345]/, 'a wider line');
  const frames = (): Promise<number> =>
    page.evaluate(() => (window as never as { flow: { frames: number } }).flow.frames);
  const earlier = await frames();
  await sleep(1000);
  assert.ok((await frames()) > earlier + 5, 'dots run');
  await machine.dockerOk('exec', 'loader', 'rm', '/go');
  await shown('rest', `${loader} .rate`, (words) => words === '↓0 ↑0');
  assert.match(await edge(), /w0/);
});

test('the last minutes of a container and of a network are drawn as a history', async () => {
  await page.click(`${await card('loader')} .body`);
  await shown('the history', '.history', (words) => /at most [\d.]+ [kM]B\/s/.test(words));
  assert.match(await text('#details'), /loader.*running.*busybox.*harbour \/ loader.*harbour_front/s);
  await page.keyboard.press('Escape');
  const id = await page.evaluate(
    () =>
      [...document.querySelectorAll<HTMLElement>('.node.network')].find((each) =>
        each.textContent?.includes('harbour_front'),
      )?.dataset.id,
  );
  await page.click(`[data-id="${id}"]`);
  await shown('its history', '.history', (words) => /from its containers.*at most [\d.]+ MB\/s/.test(words));
  assert.match(
    await text('#details'),
    /harbour_front.*172\.\d+\.0\.0\/16.*SNAT to the address of the way out/s,
  );
  await page.keyboard.press('Escape');
});

test('what changes is drawn anew: stopped, connected, gone', async () => {
  await machine.dockerOk('stop', '-t', '0', 'cache');
  await until('cache to be down', async () =>
    (await texts('.place.down .name')).includes('cache') ? true : undefined,
  );
  await machine.dockerOk('network', 'connect', 'harbour_ops', 'queue');
  await until('the second card of queue', async () =>
    (await texts('.place .name')).filter((name) => name === 'queue').length === 2 ? true : undefined,
  );
  await machine.dockerOk('network', 'disconnect', 'harbour_ops', 'queue');
  await machine.dockerOk('start', 'cache');
  await until('the picture as before', async () =>
    (await texts('.place.up .name')).length === 18 ? true : undefined,
  );
  assert.deepEqual(errors, []);
});

test('what is dropped is told with its cause, in red at both ends', async () => {
  const address = await text(`${await card('database')} .mono.quiet`);
  const target = /[\d.]+$/.exec(address)?.[0] ?? '';
  await machine.docker('exec', 'loader', 'sh', '-c', `nc -w 1 ${target} 80 </dev/null`);
  const told = await shown('the drop', '#drops li', (words) => words.includes('loader'));
  assert.match(told, /^loader → database:80\/tcpno-common-network/);
  assert.deepEqual((await texts('.place.dropped .name')).toSorted(), ['database', 'loader']);
});

test('A, then B: the answer of gangway why, and its way in the picture', async () => {
  const click = async (container: string, network: string): Promise<void> =>
    page.click(`${await card(container, network)} .body`);
  await page.keyboard.press('Escape');
  await click('loader', 'front');
  await click('database', 'back');
  const no = await shown('the answer', '#answer .verdict', (words) => words.startsWith('No'));
  assert.match(no, /loader is on harbour_front, database is on harbour_back/);
  assert.equal(await text('#answer .cause'), 'internal-network');
  assert.equal(await text('#answer pre'), 'docker network connect harbour_back loader');
  assert.match((await texts('#answer .steps li')).join(), /rule direct-access/);
  assert.equal(await page.evaluate(() => document.querySelectorAll('#way .way.bad, #way .cross').length), 2);

  await click('loader', 'front');
  await click('shop', 'front');
  await shown('a yes', '#answer .verdict', (words) => /^Yes: loader reaches shop/.test(words));
  assert.equal(await page.evaluate(() => document.querySelectorAll('#way .way.good').length), 1);
  await page.keyboard.press('Escape');
  await page.click('[data-id="outside"]');
  await click('proxy', 'edge');
  await shown('from outside', '#answer .verdict', (words) =>
    /^Yes: a host outside reaches proxy/.test(words),
  );
  assert.equal(await page.evaluate(() => document.querySelector<HTMLInputElement>('#to')?.value), 'proxy:80');
  await page.keyboard.press('Escape');
  assert.equal(await page.evaluate(() => document.querySelectorAll('#way path').length), 0);
  assert.deepEqual(errors, []);
});

test('by the keyboard alone: search, arrows, two ends, help', async () => {
  await page.keyboard.press('/');
  await page.keyboard.type('dash');
  await until(
    'what was sought',
    async () => (await texts('.place .name')).join() === 'dashboard,dashboard' || undefined,
  );
  await page.keyboard.press('Escape');
  await until('all of them', async () => (await texts('.place .name')).length === 18 || undefined);
  await page.evaluate(() => document.querySelector<HTMLElement>('.place[tabindex="0"]')?.focus());
  const focused = (): Promise<string> =>
    page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? '');
  const first = await focused();
  await page.keyboard.press('ArrowRight');
  const second = await focused();
  assert.notEqual(second, first);
  await page.keyboard.press('Enter');
  assert.equal(
    await page.evaluate(() => document.querySelector<HTMLInputElement>('#from')?.value),
    second.split(',')[0],
  );
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  await until('a question', async () => ((await text('#answer .verdict')) !== '' ? true : undefined));
  await page.keyboard.press('Escape');
  await page.keyboard.press('?');
  assert.equal(await page.evaluate(() => document.querySelector<HTMLDialogElement>('#help')?.open), true);
  await page.keyboard.press('Escape');
  errors.length = 0;
});

test('three sizes, dark and light: nothing is wider than the screen', async () => {
  for (const [name, width, height] of [
    ['desktop', 1440, 900],
    ['tablet', 820, 1180],
    ['phone', 360, 780],
  ] as const) {
    await page.setViewport({ width, height });
    for (const scheme of ['light', 'dark'] as const) {
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
      await sleep(400);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(wide <= width, `${name}: ${wide} pixels`);
      const least = await page.evaluate(() =>
        Math.min(
          ...[...document.querySelectorAll('.place')].map((each) => each.getBoundingClientRect().width),
        ),
      );
      assert.ok(least >= 100, `${name}: cards of ${least} pixels`);
      if (SHOTS !== undefined) {
        mkdirSync(SHOTS, { recursive: true });
        await page.screenshot({ path: join(SHOTS, `${name}-${scheme}.png`) });
      }
    }
  }
  await page.emulateMediaFeatures([]);
  await page.setViewport({ width: 1440, height: 900 });
  assert.deepEqual(errors, []);
});

const status = async (...args: string[]): Promise<string> =>
  (await machine.host(['curl', '-s', '-m', '5', '-o', '/dev/null', '-w', '%{http_code}', ...args])).stdout;

test('without the link nothing is told, and it opens once', async () => {
  const root = `http://127.0.0.1:${served.port}`;
  for (const path of ['/', '/web/main.ts', '/gangway/topology', '/live', '/history']) {
    assert.equal(await status(`${root}${path}`), '401', path);
  }
  assert.equal(await status(served.link), '401', 'a second time');
  assert.equal(await status('-H', 'Host: rebound.example', root), '403');
  assert.equal(await status('-X', 'POST', root), '405');
});

test('a container, the network outside and another name of this machine do not reach it', async () => {
  const gateway = (
    await machine.dockerOk('network', 'inspect', '-f', '{{(index .IPAM.Config 0).Gateway}}', 'harbour_front')
  ).trim();
  const answers = async (address: string, port: number): Promise<boolean> => {
    const script = `printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 ${address} ${port}`;
    return (await machine.docker('exec', 'proxy', 'sh', '-c', script)).stdout.includes('HTTP/');
  };
  assert.equal(await answers(HOST, 8080), true, 'the way to the host is there');
  for (const address of [gateway, HOST, '127.0.0.1'])
    assert.equal(await answers(address, served.port), false, address);
  const outside = await machine.outside(['curl', '-s', '-m', '3', `http://${HOST}:${served.port}/`]);
  assert.notEqual(outside.status, 0);
  // The route that a neighbour on the wire would have to try; 127/8 from elsewhere is dropped.
  await machine.outside(['ip', 'route', 'add', 'local', '127.9.9.9', 'dev', 'lo']);
  const martian = await machine.outside([
    'curl',
    '-s',
    '-m',
    '3',
    '--interface',
    'wire0',
    `http://127.0.0.1:${served.port}/`,
  ]);
  assert.notEqual(martian.status, 0);
});

test('in the browser: another site cannot read it, and a rebound name is refused', async () => {
  const other = await browser.newPage();
  try {
    const rebound = await other.goto(`http://rebound.example:${served.port}/`);
    assert.equal(rebound?.status(), 403);
    // A page of the same address and another port, as a published container has it.
    await other.goto('http://127.0.0.1:8443/');
    const answers: { readonly requestId: string; readonly statusCode: number }[] = [];
    const wire = await other.createCDPSession();
    await wire.send('Network.enable');
    const ours = new Set<string>();
    wire.on('Network.requestWillBeSent', ({ requestId, request: { url } }) => {
      if (url.includes(`:${served.port}/`)) ours.add(requestId);
    });
    // Either may be told first, and both later than the page has its answer.
    wire.on('Network.responseReceivedExtraInfo', (answer) => answers.push(answer));
    const got = await other.evaluate(async (url) => {
      const tries = [
        fetch(url, { credentials: 'include' }),
        fetch(url, { credentials: 'include', mode: 'no-cors' }),
      ];
      return (await Promise.allSettled(tries)).map((each) =>
        each.status === 'fulfilled' ? each.value.type : 'refused',
      );
    }, `http://127.0.0.1:${served.port}/gangway/topology`);
    assert.equal(got[0], 'refused');
    assert.ok(got[1] === 'refused' || got[1] === 'opaque');
    const seen = await until('both answers on the wire', () => {
      const found = answers.filter(({ requestId }) => ours.has(requestId));
      return found.length >= 2 ? found.map(({ statusCode }) => statusCode) : undefined;
    });
    assert.deepEqual(
      seen.filter((each) => each !== 403),
      [],
    );
    const framed = await other.evaluate(
      (url) =>
        new Promise<string>((resolve) => {
          const frame = document.createElement('iframe');
          frame.src = url;
          frame.addEventListener('load', () => {
            try {
              resolve(frame.contentDocument?.body.textContent ?? 'nothing');
            } catch {
              resolve('nothing');
            }
          });
          document.body.append(frame);
        }),
      `http://127.0.0.1:${served.port}/`,
    );
    assert.doesNotMatch(framed, /Gangway/);
  } finally {
    await other.close();
  }
});

test('a daemon that goes away and comes back', async () => {
  await machine.stopDaemon();
  await shown('that the daemon is away', '#state', (words) => words.includes('no daemon answers'));
  assert.equal(
    await page.evaluate(() => document.querySelector('#picture')?.classList.contains('stale')),
    true,
  );
  await machine.startDaemon();
  await shown('life', '#state', (words) => words === 'live');
  assert.equal((await texts('.place.up .name')).length, 18);
});

test('`gangway topology` draws the same in 80 columns', async () => {
  const { stdout } = await machine.gangway('topology');
  assert.ok(stdout.split('\n').every((line) => line.length <= 80));
  for (const name of ['harbour_edge', 'dashboard', '198.51.100.3', '0.0.0.0:8080/tcp'])
    assert.ok(stdout.includes(name), name);
  const one = JSON.parse((await machine.gangway('topology', 'harbour_ops', '--json')).stdout);
  assert.deepEqual(one.containers.map(({ name }: { name: string }) => name).toSorted(), [
    'alerts',
    'dashboard',
    'metrics',
  ]);
  const unknown = await machine.gangway('topology', 'nope');
  assert.equal(unknown.status, 1);
  assert.match(unknown.stderr, /there is no network nope .* there are: bridge, harbour_/);
  const port = await machine.gangway('ui', '--port', '70000');
  assert.match(port.stderr, /--port wants a number from 1 to 65535.*not 70000/);
  const host = `DOCKER_HOST=unix://${machine.socket}`;
  // Resolves when the link is there; ends with the machine.
  await machine.spawnHelper(
    machine.inMachine(['env', host, `${CHECKOUT}bin/gangway`, 'ui']),
    'The page: http://127.0.0.1:',
  );
  const taken = await machine.gangway('ui', '--port', String(served.port));
  assert.match(taken.stderr, /port \d+ of 127\.0\.0\.1 is taken/);
});

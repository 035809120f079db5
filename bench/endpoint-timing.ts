/** Run inside fresh namespaces with a folder as argument: prints the milliseconds of attaching and closing endpoints. */
import { join } from 'node:path';
import { pino } from 'pino';
import { loadConfig } from '../src/daemon/configuration.ts';
import { EventBus } from '../src/engine/events.ts';
import { Networks } from '../src/engine/network/networks.ts';
import { Store } from '../src/engine/store.ts';
import { LinuxKernel } from '../src/kernel/linux-kernel.ts';
import { median } from './median.ts';

const COUNT = 100;
const folder = process.argv[2] ?? '';
const kernel = new LinuxKernel({ netnsDirectory: join(folder, 'netns'), log: () => {} });
const networking = new Networks({
  config: loadConfig({ 'data-root': folder, 'exec-root': folder }, undefined),
  log: pino({ level: 'silent' }),
  store: new Store(join(folder, 'bench.db')),
  events: new EventBus(),
  kernel,
});
networking.reconcile(() => false);
const network = networking.resolve('bridge');

const timed = (body: () => unknown): number => {
  const begin = performance.now();
  body();
  return performance.now() - begin;
};

/** A sandbox and an endpoint that publishes `ports` ports from `first` on. */
function attach(index: number, first: number, ports: number): number {
  const containerId = index.toString(16).padStart(64, '0');
  const range = ports === 1 ? [first] : Array.from({ length: ports }, (_, at) => first + at);
  const bindings = range.map((port) => [`${port}/tcp`, [{ HostIp: '', HostPort: String(port) }]] as const);
  return timed(() => {
    networking.openSandbox(containerId);
    networking.attach({
      containerId,
      containerName: `c${index}`,
      hostname: `c${index}`,
      domainname: '',
      network,
      settings: {},
      portBindings: Object.fromEntries(bindings),
      exposedPorts: [],
      publishAll: false,
    });
  });
}
const close = (index: number): number =>
  timed(() => networking.closeSandbox(index.toString(16).padStart(64, '0')));

const opened = Array.from({ length: COUNT }, (_, index) => attach(index, 10_000 + index, 1));
const range = attach(COUNT, 20_000, 1000);
const rangeClosed = close(COUNT);
// As many published ports as a host may have: one more must not cost more for them.
const crowd = Array.from({ length: 9 }, (_, index) => COUNT + 1 + index);
for (const [index, each] of crowd.entries()) attach(each, 21_000 + 1000 * index, 1000);
attach(COUNT, 20_000, 1000);
const few = opened.slice(0, 20);
const crowded = Array.from({ length: 20 }, (_, index) => attach(200 + index, 40_000 + index, 1));
for (let index = 200; index < 220; index++) close(index);
for (const each of [COUNT, ...crowd]) close(each);
const closed = Array.from({ length: COUNT }, (_, index) => close(index));
console.log(
  JSON.stringify({
    attach: median(opened),
    close: median(closed),
    few: median(few),
    crowded: median(crowded),
    range,
    rangeClosed,
    last: median(opened.slice(-10)),
  }),
);
kernel.close();
process.exit(0);

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cluster } from '../e2e/cluster.ts';
import { Conversation, type Counts } from '../e2e/conversation.ts';
import type { Machine } from '../e2e/machine.ts';
import { must, sleep, until } from '../e2e/process.ts';

/** A host's lease, and what its end takes to be seen. */
const LEASE_SECONDS = 15;

let cluster: Cluster;
let one: Machine;
let two: Machine;
let three: Machine;
let talk: Conversation;

before(async () => {
  cluster = await Cluster.start(3, { members: 3 });
  [one, two, three] = cluster.hosts as [Machine, Machine, Machine];
  await cluster.createOverlay('lamp');
  await start(one, 'web1');
  await start(two, 'web2');
  await start(three, 'web3');
  const to = { machine: two, container: 'web2', address: await address(two, 'web2') };
  await finds(one, 'web1', 'web2');
  await finds(one, 'web1', 'web3');
  talk = await Conversation.start({ machine: one, container: 'web1' }, to, 'web2');
});
after(() => cluster?.close());

const start = (machine: Machine, name: string): Promise<string> =>
  machine.dockerOk(
    ...['run', '-d', '--name', name, '--network', 'lamp', '--dns-search', '.', 'busybox', 'sleep', '1000'],
  );
const address = (machine: Machine, name: string): Promise<string> => machine.address(name, 'lamp');
const isFound = async (machine: Machine, from: string, name: string): Promise<boolean> =>
  (await machine.docker('exec', from, 'nslookup', '-type=A', name)).status === 0;

/** @returns milliseconds until then */
async function finds(machine: Machine, from: string, name: string): Promise<number> {
  const begun = performance.now();
  await until(
    `${from} to find ${name}`,
    async () => ((await isFound(machine, from, name)) ? true : undefined),
    40,
  );
  return performance.now() - begun;
}
async function misses(machine: Machine, from: string, name: string): Promise<number> {
  const begun = performance.now();
  await until(
    `${from} not to find ${name}`,
    async () => ((await isFound(machine, from, name)) ? undefined : true),
    40,
  );
  return performance.now() - begun;
}
const told = (machine: Machine, ...args: string[]): Promise<string> =>
  must(machine.gangwayCommand('cluster', ...args));
const reached = (machine: Machine): Promise<true> =>
  until(
    'the store to be reached',
    async () => ((await told(machine)).includes('is reached') ? true : undefined),
    40,
  );

/** Nothing that was on its way is lost, and nothing breaks. @param names how many questions may go without an answer */
function nothingLost(counts: Counts): void {
  const { datagrams, datagramsLost, requests, breaks, connections, connectionsLost, names, namesLost } =
    counts;
  assert.ok(datagrams > 30 && requests > 20 && connections > 4 && names > 4, JSON.stringify(counts));
  assert.deepEqual(
    { datagramsLost, breaks, connectionsLost, namesLost },
    { datagramsLost: 0, breaks: 0, connectionsLost: 0, namesLost: 0 },
  );
}

const rows: string[][] = [];
/** Traffic between hosts one and two goes on meanwhile. @param body gives what the control plane took, in words */
function failure(name: string, body: () => Promise<string>): void {
  test(name, async (t) => {
    const begun = performance.now();
    const { result, counts } = await talk.during(body);
    nothingLost(counts);
    const seconds = ((performance.now() - begun) / 1000).toFixed(0);
    const { datagrams, requests, connections, names } = counts;
    rows.push([
      name,
      `${datagrams} datagrams, ${requests} requests on one connection, ${connections} connections, ${names} names in ${seconds} s`,
      'nothing',
      result,
    ]);
    t.diagnostic(rows.at(-1)?.join(' | ') ?? '');
  });
}
const took = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`;

failure('one of three members of etcd dies, whichever it is', async () => {
  const times: number[] = [];
  for (const member of [0, 1, 2]) {
    await cluster.stopStore(member);
    const begun = performance.now();
    await start(two, `fresh${member}`);
    await finds(one, 'web1', `fresh${member}`);
    times.push(performance.now() - begun);
    await two.dockerOk('rm', '-f', `fresh${member}`);
    await cluster.startStore(member);
    for (const machine of cluster.hosts) await reached(machine);
  }
  return `a start is known on another host after ${took(Math.max(...times))} at the most`;
});

failure('one of three members of etcd falls silent', async () => {
  const begun = performance.now();
  cluster.silenceStore(0, 'silent');
  await start(two, 'quiet');
  const started = performance.now() - begun;
  await finds(one, 'web1', 'quiet');
  await finds(three, 'web3', 'quiet');
  const known = performance.now() - begun;
  await sleep((LEASE_SECONDS + 5) * 1000 - known);
  await two.dockerOk('rm', '-f', 'quiet');
  await misses(one, 'web1', 'quiet');
  cluster.silenceStore(0, 'answering');
  for (const machine of cluster.hosts) await reached(machine);
  return `a start takes ${took(started)}, and is known on all hosts after ${took(known)}`;
});

failure('all members of etcd die, and come back', async () => {
  await cluster.stopStore();
  await until('it to be noticed, and why', async () =>
    /is away.*\n.*ECONNREFUSED/.test(await told(one)) ? true : undefined,
  );
  await start(one, 'local');
  await finds(one, 'web1', 'local');
  await finds(one, 'local', 'web3');
  const begun = performance.now();
  const refused = await one.docker('network', 'create', '-d', 'overlay', 'late');
  const refusal = performance.now() - begun;
  assert.match(refused.stderr, /the cluster store does not answer: /);
  assert.ok(refusal < 6000, `${refusal} ms`);
  assert.match((await one.docker('network', 'rm', 'lamp')).stderr, /active endpoints/);
  await cluster.startStore();
  const caughtUp = await finds(three, 'web3', 'local');
  await one.dockerOk('rm', '-f', 'local');
  await misses(three, 'web3', 'local');
  return `a change of the cluster is refused in ${took(refusal)}; all is caught up ${took(caughtUp)} after etcd is back`;
});

failure('etcd is away while its history is compacted', async () => {
  await cluster.stopStore();
  await start(two, 'later');
  await cluster.startStore();
  const status = JSON.parse((await cluster.store('endpoint', 'status', '-w', 'json')).stdout) as [
    { readonly Status: { readonly header: { readonly revision: number } } },
  ];
  const compacted = await cluster.store('compact', String(status[0].Status.header.revision));
  assert.equal(compacted.status, 0, compacted.stderr);
  const caughtUp = await finds(one, 'web1', 'later');
  await two.dockerOk('rm', '-f', 'later');
  await misses(one, 'web1', 'later');
  return `caught up ${took(caughtUp)} after`;
});

failure('the daemon of a third host is killed, and started', async () => {
  await three.stopDaemon('SIGKILL');
  const web3 = await address(three, 'web3').catch(() => '');
  assert.equal(web3, '');
  await sleep(1000);
  assert.ok(await isFound(one, 'web1', 'web3'), 'its containers are where they were');
  await three.startDaemon();
  return `it finds the others ${took(await finds(three, 'web3', 'web1'))} after its start`;
});

failure('a host is cut off while both sides start containers', async () => {
  await cluster.link(2, 'down');
  await Promise.all([start(three, 'island'), start(one, 'mainland')]);
  await finds(three, 'web3', 'island');
  await finds(two, 'web2', 'mainland');
  await sleep(2000);
  await cluster.link(2, 'up');
  const begun = performance.now();
  await finds(one, 'web1', 'island');
  await finds(three, 'web3', 'mainland');
  const healed = performance.now() - begun;
  const all = [
    address(one, 'web1'),
    address(two, 'web2'),
    address(three, 'web3'),
    address(three, 'island'),
    address(one, 'mainland'),
  ];
  const addresses = await Promise.all(all);
  assert.equal(new Set(addresses).size, addresses.length, addresses.join());
  await three.dockerOk('rm', '-f', 'island');
  await one.dockerOk('rm', '-f', 'mainland');
  return `no address is given twice; both sides know each other ${took(healed)} after`;
});

failure('a host dies, and comes back', async () => {
  await three.stopDaemon('SIGKILL');
  await cluster.link(2, 'down');
  const gone = await misses(one, 'web1', 'web3');
  assert.ok(gone < (LEASE_SECONDS + 15) * 1000, `${gone} ms`);
  assert.match(await told(one), / away /);
  const forwarding = await one.host(['bridge', 'fdb']);
  assert.ok(forwarding.stdout.includes(`dst ${cluster.address(2)}`), 'a lease is no sign for the data path');
  await cluster.link(2, 'up');
  await three.startDaemon();
  const back = await finds(one, 'web1', 'web3');
  return `its names are gone after ${took(gone)}, and back ${took(back)} after its daemon`;
});

failure(
  'a daemon is paused for longer than its lease, forgotten, and its addresses are given to another',
  async () => {
    const held = await address(three, 'web3');
    process.kill(three.daemonPid, 'SIGSTOP');
    await misses(one, 'web1', 'web3');
    const name = JSON.parse((await one.api('GET', '/gangway/cluster')).body) as {
      readonly nodes: readonly { readonly id: string; readonly state: string }[];
    };
    const paused = name.nodes.find(({ state }) => state === 'away');
    assert.ok(paused);
    await told(one, 'forget', paused.id);
    await one.dockerOk(
      'run',
      '-d',
      '--name',
      'heir',
      '--network',
      'lamp',
      '--ip',
      held,
      'busybox',
      'sleep',
      '1000',
    );
    process.kill(three.daemonPid, 'SIGCONT');
    await reached(three);
    const begun = performance.now();
    await until('the host to give way', async () =>
      (await address(three, 'web3')) === held ? undefined : true,
    );
    const gaveWay = performance.now() - begun;
    assert.ok(three.log.includes('was given to another host'));
    assert.equal((await told(three)).match(/alive/g)?.length, 3);
    assert.ok(!(await isFound(one, 'web1', 'web3')), 'it has overwritten nothing');
    await three.dockerOk('network', 'disconnect', 'lamp', 'web3');
    await three.dockerOk('network', 'connect', 'lamp', 'web3');
    const back = await finds(one, 'web1', 'web3');
    await one.dockerOk('rm', '-f', 'heir');
    return `it gives way ${took(gaveWay)} after it is back; connected again, it is found after ${took(back)}`;
  },
);

test('the table of failures', (t) => {
  assert.equal(rows.length, 8);
  for (const row of rows) t.diagnostic(row.join(' | '));
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { begin, Etcd, endpoint, member, spec, until } from './store.ts';

/** What a change takes to be known on another host that has to leave the member first, in milliseconds. */
const KNOWN_AFTER_MS = 20_000;
/** By then a lease that was not renewed has ended. */
const LEASES_ENDED_MS = 20_000;

/** It takes connections and answers nothing: as one that waits for its disk; one without power does not even that. */
for (const silent of [0, 1, 2]) {
  test(`member ${silent} of etcd falls silent: nothing is refused, nobody is taken for dead, changes are known`, async (t) => {
    const etcd = new Etcd({ members: 3 });
    t.after(() => etcd.remove());
    await etcd.start();
    const hosts = [1, 2, 3, 4, 5, 6].map((number) => member(etcd, number));
    t.after(() => {
      for (const each of hosts) each.close();
    });
    await Promise.all(hosts.map((host) => begin(host)));
    const [first] = hosts;
    assert.ok(first !== undefined);
    await first.createNetwork('three', (_, vni) => spec('three', 'three', '10.0.0.0/24', vni));
    for (const host of hosts) host.join('three');
    await sleep(500);

    const pid = etcd.pids[silent];
    assert.ok(pid !== undefined);
    process.kill(pid, 'SIGSTOP');
    const begun = performance.now();
    let dead = 0;
    const watching = setInterval(() => {
      for (const host of hosts) dead += hosts.filter(({ node }) => !host.isAlive(node.id)).length;
    }, 100);
    t.after(() => clearInterval(watching));
    for (const [i, host] of hosts.entries()) host.publish(endpoint('three', i));
    let longest = 0;
    for (let i = 0; i < 30; i++) {
      const host = hosts[i % hosts.length];
      const asked = performance.now();
      await host?.createNetwork(`n${i}`, (_, vni) => spec(`n${i}`, `n${i}`, `10.1.${i}.0/24`, vni));
      longest = Math.max(longest, performance.now() - asked);
    }
    await until(() => hosts.every((host) => host.remotes('three').length === hosts.length - 1), 60_000);
    await until(() => hosts.every((host) => host.networks().length === 31), 60_000);
    const known = performance.now() - begun;
    await until(() => hosts.every((host) => host.status().state === 'connected'), 60_000);
    await sleep(LEASES_ENDED_MS - (performance.now() - begun));
    t.diagnostic(
      `a change takes ${longest.toFixed(0)} ms at the most; all is known everywhere after ${known.toFixed(0)} ms`,
    );
    process.kill(pid, 'SIGCONT');
    assert.ok(known < KNOWN_AFTER_MS, `${known} ms`);
    assert.equal(dead, 0);
  });
}

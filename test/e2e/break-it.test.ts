import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Answer } from '../../src/explain/answer.ts';
import { readSysctl, writeSysctl } from '../../src/kernel/sysctl.ts';
import { BREAKAGES, type Breakage, SHELL } from './breakages.ts';
import { CHECKOUT } from './engine-under-test.ts';
import { Machine } from './machine.ts';
import { HOST, HOST6, OUTSIDE, OUTSIDE6 } from './namespaces.ts';
import { must, run, until } from './process.ts';

/** Connectivity broken by hand: `why` names the cause, a real connection agrees, and the suggested command mends it. */
const only = process.env.BREAK;
let machine: Machine;

before(async () => {
  machine = await Machine.start();
  await machine.dockerOk('pull', '-q', 'busybox');
  const page = `mkdir -p ${machine.directory}/page; echo outside >${machine.directory}/page/index.html; echo SERVING; exec busybox httpd -f -h ${machine.directory}/page -p`;
  await machine.spawnHelper(machine.inOutside(['sh', '-c', `${page} 7000`]), 'SERVING');
  await machine.spawnHelper(machine.inMachine(['sh', '-c', `${page} 7001`]), 'SERVING');
});
after(() => machine.close());

/** Runs in the machine as a person would, with docker and gangway at hand. */
async function shell(script: string): Promise<string> {
  const environment = [
    `DOCKER_HOST=unix://${machine.socket}`,
    `PATH=${CHECKOUT}bin:${join(process.execPath, '..')}:${process.env.PATH}`,
    `OUTSIDE_PID=${machine.namespaces.outside}`,
    `DIRECTORY=${machine.directory}`,
    `CHECKOUT=${CHECKOUT}`,
  ];
  const result = await run(machine.inMachine(['env', ...environment, 'bash', '-ec', `${SHELL}\n${script}`]));
  if (result.status !== 0)
    throw new Error(`${script}: exit ${result.status}\n${result.stdout}${result.stderr}`);
  return result.stdout.trim();
}

const quietly = (script: string): Promise<string> => shell(`{ ${script}\n} >/dev/null 2>&1 || true`);

async function why({ from, to }: Breakage, probe: '0' | '1' = '0'): Promise<Answer> {
  const answer = await machine.api('GET', `/gangway/why?${new URLSearchParams({ from, to, probe })}`);
  assert.equal(answer.status, 200, answer.body);
  return JSON.parse(answer.body) as Answer;
}

/** The same question to the network itself. */
async function real({ from, to, cause }: Breakage): Promise<boolean> {
  const [name = '', port = '80'] = to.split(':');
  if (cause === 'mtu') return large(name);
  const url = (host: string, at: string): string => `http://${host}:${at}/`;
  switch (from) {
    case 'outside':
    case '203.0.113.9': {
      const source = from === 'outside' ? [] : ['--interface', from];
      const routed = await shell(`address ${name} other 2>/dev/null || true`);
      const published = await shell(
        `docker port ${name} 80/tcp 2>/dev/null | grep -v '\\[' | head -1 || true`,
      );
      const at = published.split(':').at(-1) || port;
      const direct = /^\d/.test(routed) ? [url(routed, port)] : [];
      for (const each of [url(HOST, at), ...direct]) {
        const answer = await machine.outside(['curl', '-sf', '-m', '2', ...source, each]);
        if (answer.stdout.trim() === name) return true;
      }
      return false;
    }
    case 'host': {
      const own = await shell(
        `docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' ${name}`,
      );
      const pages = await Promise.all(
        own.split(' ').map((each) => machine.host(['curl', '-sf', '-m', '2', url(each, port)])),
      );
      return pages.some(({ stdout }) => stdout.trim() === name);
    }
    default: {
      const gateway = "docker network inspect -f '{{(index .IPAM.Config 0).Gateway}}' lamp";
      const address = name === 'host' ? await shell(gateway) : name;
      const [answer = '-'] = await machine.ask(await machine.containerPid(from), [
        { protocol: 'http', address, port: Number(port) },
      ]);
      return / 200 /.test(answer);
    }
  }
}

/** A datagram of 1400 bytes from web to that container. */
async function large(name: string): Promise<boolean> {
  const script = `const s = require('node:dgram').createSocket('udp4');
    setTimeout(() => { console.log('-'); process.exit(); }, 1000);
    s.on('message', () => { console.log('+'); process.exit(); });
    s.send(Buffer.alloc(1400), 5300, process.argv[1]);`;
  await machine
    .serve(await machine.containerPid(name), name, [{ protocol: 'udp', port: 5300, address: '0.0.0.0' }])
    .catch(() => {});
  const pid = await machine.containerPid('web');
  const to = await shell(`address ${name} lamp`);
  const answer = await run(['nsenter', '-t', String(pid), '-n', process.execPath, '-e', script, to]);
  return answer.stdout.trim() === '+';
}

for (const breakage of BREAKAGES) {
  if (only !== undefined && !breakage.name.includes(only)) continue;
  test(breakage.name, async () => {
    await shell(
      'docker network create lamp; serve web 80 --network lamp -p 8080:80; serve db 80 --network lamp',
    );
    let stop = async (): Promise<void> => {};
    const before = breakage.wholeMachine && readSysctl(breakage.wholeMachine);
    try {
      await shell(breakage.how);
      const { again } = breakage;
      if (again !== undefined) stop = await keepUp(again);
      const reachable = breakage.reachable ?? false;
      const answer = again === undefined ? await why(breakage, '1') : await seen(breakage);
      const told = `${answer.sentence}\n${answer.steps.map(({ kind, detail }) => `  ${kind}: ${detail}`).join('\n')}\n${answer.fix}`;
      assert.equal(answer.cause, breakage.cause, told);
      assert.equal(answer.reachable, reachable, told);
      assert.match(answer.sentence, breakage.words, told);
      assert.notEqual(answer.agrees, false, `a live packet: ${JSON.stringify(answer.probe)}\n${told}`);
      if (again === undefined)
        assert.equal(await real(breakage), false, `the real connection comes about\n${told}`);
      await stop();
      const fix = breakage.mend?.by ?? answer.fix;
      assert.ok(fix, `no command is suggested\n${told}`);
      if (process.env.BREAK_SHOW) console.log(`${breakage.name}\n  ${answer.sentence}\n  ${fix}`);
      if (breakage.wholeMachine === undefined) await shell(fix);
      else await must(['sh', '-c', fix]);
      if (breakage.cause === 'name-unknown' && fix.startsWith('gangway')) return;
      await until(
        `the mended way (${fix})`,
        async () => {
          const now = await why(breakage);
          return (now.reachable && now.cause === null && (await real(breakage))) || undefined;
        },
        10,
      );
    } finally {
      if (breakage.wholeMachine && before) writeSysctl(breakage.wholeMachine, before);
      await stop();
      await cleanUp();
    }
  });
}

/** Breaks it anew every few milliseconds: the engine puts it right, and gives way to one who insists. */
async function keepUp(script: string): Promise<() => Promise<void>> {
  let over = false;
  const command = await shell(`echo "${script}"`);
  const loop = async (): Promise<void> => {
    while (!over) await run(machine.inMachine(['sh', '-c', command]));
  };
  const looping = loop();
  return async () => {
    over = true;
    await looping;
  };
}

/** Of several answers the one that saw it broken. */
function seen(breakage: Breakage): Promise<Answer> {
  return until('an answer while it is broken', async () => {
    const answer = await why(breakage);
    return answer.reachable ? undefined : answer;
  });
}

/** Listing makes a table: only those are looked at that are there. */
const LEGACY_CLEAN = `
  for t in $(cat /proc/net/ip_tables_names); do
    iptables-legacy -t $t -F; iptables-legacy -t $t -X
    for c in PREROUTING INPUT FORWARD OUTPUT POSTROUTING; do iptables-legacy -t $t -P $c ACCEPT || true; done
  done`;

async function cleanUp(): Promise<void> {
  await quietly(`
    kill $(cat $DIRECTORY/taker); rm -f $DIRECTORY/taker
  `);
  await quietly('docker rm -f web db');
  await quietly('for n in lamp other web-db; do docker network rm $n; done');
  await quietly(`nft list tables | grep -v ' gangway$' | while read -r t; do nft delete $t; done`);
  await quietly(LEGACY_CLEAN);
  await quietly('for p in 90 91 92 94; do ip rule del pref $p || true; done');
  await quietly('for t in 77 78 79; do ip route flush table $t; done');
  await quietly('ip route del blackhole 198.51.100.2/32');
  // What was lost with the uplink.
  await quietly(`ip link set up0 up; ip route replace default via ${OUTSIDE}
    ip -6 addr replace ${HOST6}/64 dev up0 nodad; ip -6 route replace default via ${OUTSIDE6}`);
  await quietly('ip link del up1; nsenter -t $OUTSIDE_PID -n ip addr del 203.0.113.9/32 dev lo');
  await shell('sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.up0.rp_filter=0');
}

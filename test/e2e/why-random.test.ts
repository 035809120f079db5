import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Answer } from '../../src/explain/answer.ts';
import { Chance } from './chance.ts';
import { Machine } from './machine.ts';
import { OUTSIDE } from './namespaces.ts';
import { must } from './process.ts';
import { installFirewall, takeAwayFirewall } from './random-firewall.ts';
import { randomQuestions } from './random-question.ts';
import { LAN_ROUTER, LAN_ROUTER6, randomTopology } from './random-topology.ts';
import { agrees, askReal, PATIENCE, type Question, questionText } from './real-connection.ts';
import { api, buildTopology, describeTopology, type RunningTopology, takeDown } from './running-topology.ts';

/**
 * The model's verdict beside what a real connection does: random networks, containers, firewalls of others, and questions.
 * WHY_SEED repeats a run, WHY_ROUNDS and WHY_QUESTIONS change how much is asked.
 */
const SEED = Number(process.env.WHY_SEED ?? 20_261_124);
const ROUNDS = Number(process.env.WHY_ROUNDS ?? 3);
const QUESTIONS = Number(process.env.WHY_QUESTIONS ?? 360);

let asked = 0;
console.log(`WHY_SEED=${SEED}`);

for (const bridgeFirewall of ['1', '0']) {
  describe(`bridge-nf-call-iptables=${bridgeFirewall}`, () => {
    let machine: Machine;

    before(async () => {
      machine = await Machine.start({ prepare: (made) => prepare(made, bridgeFirewall) });
      await machine.dockerOk('pull', '-q', 'busybox');
      await machine.serve(machine.namespaces.outside, 'outside', [
        { protocol: 'tcp', port: 7000 },
        // It has several addresses on one wire: a socket for all would answer from any of them.
        { protocol: 'udp', port: 7053, address: OUTSIDE },
      ]);
      await machine.serve(machine.namespaces.machine, 'host', [
        { protocol: 'tcp', port: 9000 },
        { protocol: 'tcp', port: 9001, address: '127.0.0.1' },
        { protocol: 'udp', port: 9053, address: '0.0.0.0' },
      ]);
    });
    after(() => machine.close());

    for (let round = 0; round < ROUNDS; round++) {
      const seed = SEED * 100 + Number(bridgeFirewall) * 50 + round;
      // The first of three has no firewall of others: more gets through.
      const guarded = round % 3 !== 0;
      test(`round ${round + 1}${guarded ? ', with rules of others' : ''}, seed ${seed}`, async () => {
        const chance = new Chance(seed);
        const topology = randomTopology(chance, `${round}`);
        let running: RunningTopology | undefined;
        try {
          running = await buildTopology(machine, topology);
          const rules = guarded ? await installFirewall(machine, running, chance) : [];
          const questions = randomQuestions(chance, running, QUESTIONS);
          const wrong = await compare(machine, running, questions);
          asked += questions.length;
          assert.equal(
            wrong.length,
            0,
            `${wrong.length} of ${questions.length} differ, WHY_SEED=${SEED}:\n${wrong.slice(0, 12).join('\n')}\n${describeTopology(running)}\n${rules.map(({ where, script }) => `in ${where}:\n${script}`).join('\n')}`,
          );
        } finally {
          for (const server of running?.servers ?? []) server.kill('SIGKILL');
          await takeAwayFirewall(machine);
          await takeDown(machine, topology);
        }
      });
    }
  });
}

test('that were many questions', () => {
  assert.ok(asked >= Math.min(2000, ROUNDS * 2 * QUESTIONS), `${asked} questions`);
  console.log(`${asked} questions asked`);
});

/** The host outside is the gateway of the macvlan networks, and hands nothing on. */
async function prepare(machine: Machine, bridgeFirewall: string): Promise<void> {
  for (const name of ['iptables', 'ip6tables'])
    await machine.host(['sysctl', '-qw', `net.bridge.bridge-nf-call-${name}=${bridgeFirewall}`]);
  const outside = `ip addr add ${LAN_ROUTER}/24 dev wire0; ip addr add ${LAN_ROUTER6}/64 dev wire0 nodad
    sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0`;
  await must(machine.inOutside(['sh', '-ec', outside]));
  const host = 'ip route add 198.18.70.0/24 dev up0; ip -6 route add 2001:db8:70::/64 dev up0';
  await must(machine.inMachine(['sh', '-ec', host]));
}

async function compare(
  machine: Machine,
  running: RunningTopology,
  questions: readonly Question[],
): Promise<string[]> {
  const answers = new Map<Question, Answer>();
  for (const question of questions) answers.set(question, await askModel(machine, question));
  const pidOf = ({ asker }: Question): number => {
    if (asker === 'host') return machine.namespaces.machine;
    if (asker === 'outside') return machine.namespaces.outside;
    return running.containers.get(asker)?.pid ?? 0;
  };
  const real = await askReal(questions, pidOf);
  const differing = questions.filter((question) => !agrees(answers.get(question), real.get(question)));
  // A busy machine may have been late: what differs is asked again, alone.
  const again = await askReal(differing, pidOf, PATIENCE * 2);
  return differing
    .filter((question) => !agrees(answers.get(question), again.get(question)))
    .map((question) => {
      const answer = answers.get(question);
      const way = answer?.steps.map(({ kind, detail }) => `      ${kind}: ${detail}`).join('\n');
      return `  ${question.asker} ${questionText(question)}: real ${again.get(question)}, model ${answer?.reachable} ${answer?.cause} ${answer?.sentence}\n${way}`;
    });
}

async function askModel(machine: Machine, question: Question): Promise<Answer> {
  const query = new URLSearchParams({ from: question.asker, to: questionText(question), probe: '0' });
  return api<Answer>(machine, 'GET', `/gangway/why?${query}`);
}

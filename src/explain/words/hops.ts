import { formatSocketAddress } from '../../model/address.ts';
import type { ListenerFacts, PolicyRule } from '../../model/kernel-facts.ts';
import type { End, Hop, MtuGap, Obstacle, PolicyRef, RuleRef } from '../hop.ts';
import type { Misleading } from '../misleading.ts';
import { ruleWords as policyText } from '../policy.ts';
import type { Where } from '../world.ts';

/** A hop as the API gives it. */
export interface WayStep {
  readonly kind: string;
  /** Which rule decided: the engine's by its id, another's by table, chain and handle. */
  readonly rule: string | null;
  readonly from: string | null;
  readonly to: string | null;
  /** One short sentence. */
  readonly detail: string;
}

export const whose = (where: Where): string =>
  where.kind === 'container' ? where.name : where.kind === 'host' ? 'the host' : 'a host outside';

export const end = ({ address, port }: End): string =>
  port === undefined ? address : formatSocketAddress(address, port);

export function ruleName(rule: RuleRef | PolicyRef): string {
  if (rule.by === 'routing') return `ip rule ${rule.rule.priority}`;
  if (rule.by === 'engine') return rule.id;
  const { table, chain, rule: of, tool } = rule;
  const place = tool === undefined ? `${table} ${chain}` : `${tool} ${table} ${chain}`;
  if (of === undefined) return `${place} policy`;
  return `${place} ${tool === undefined ? 'handle' : 'rule'} ${of.handle}`;
}

export function ruleWords(rule: RuleRef | PolicyRef): string {
  if (rule.by === 'routing') return policyWords(rule.rule);
  if (rule.by === 'engine') return `rule ${rule.id} of Gangway`;
  const { table, chain, rule: of, tool } = rule;
  const place = `${tool === undefined ? '' : `${tool} `}table ${table}, chain ${chain}`;
  return of === undefined ? `the policy of ${place}` : `${place}: ${of.text}`;
}

export function listenerWords({ address, port, program }: ListenerFacts): string {
  const who =
    program === undefined || program.name === '' ? 'a program' : `${program.name} (pid ${program.pid})`;
  return `${who} listens on ${formatSocketAddress(address, port)}`;
}

const step = (
  kind: string,
  detail: string,
  {
    rule,
    from,
    to,
  }: { rule?: RuleRef | PolicyRef | undefined; from?: string | undefined; to?: string | undefined } = {},
): WayStep => ({
  kind,
  rule: rule === undefined ? null : ruleName(rule),
  from: from ?? null,
  to: to ?? null,
  detail,
});

const SERVICES = {
  gangway: "the engine's name service (127.0.0.11) answers",
  'hosts-file': '/etc/hosts has',
  upstream: 'a name server outside answers',
  engine: 'the engine knows it as',
} as const;

const VERDICTS = { accept: 'lets it through', drop: 'drops it', reject: 'rejects it' } as const;

export function hopWords(hop: Hop): WayStep {
  switch (hop.kind) {
    case 'name': {
      const found = hop.addresses.join(', ');
      const detail =
        found === '' ? `nobody knows the name ${hop.name}` : `${hop.name}: ${SERVICES[hop.by]} ${found}`;
      return step('name', detail, { from: hop.name, to: found || undefined });
    }
    case 'send':
      return step(
        'send',
        `${whose(hop.where)} asks ${end(hop.to)} by ${hop.protocol}, from ${hop.from.address}`,
        {
          from: hop.from.address,
          to: end(hop.to),
        },
      );
    case 'route': {
      const way =
        hop.gateway === undefined
          ? `is behind ${hop.device}`
          : `by the gateway ${hop.gateway}, ${hop.device}`;
      const by = hop.rule === undefined ? '' : `, by the rule "${policyText(hop.rule)}"`;
      return step('route', `in ${whose(hop.where)}: ${hop.to} ${way}${by}`, {
        to: hop.device,
        ...(hop.rule && { rule: { by: 'routing', rule: hop.rule } }),
      });
    }
    case 'rule':
      return step(
        hop.verdict === 'accept' ? 'accept' : 'drop',
        `${ruleWords(hop.rule)} ${VERDICTS[hop.verdict]} (${hop.hook})`,
        {
          rule: hop.rule,
        },
      );
    case 'undecided':
      return step('undecided', `${ruleWords(hop.rule)}: whether it matches cannot be told`, {
        rule: hop.rule,
      });
    case 'nat':
      return step('nat', `the ${hop.side} ${end(hop.before)} becomes ${end(hop.after)}`, {
        rule: hop.rule,
        from: end(hop.before),
        to: end(hop.after),
      });
    case 'wire':
      return step('link', `from ${hop.from} to ${hop.to}`, { from: hop.from, to: hop.to });
    case 'bridge':
      return step('bridge', `${hop.bridge}: in by ${hop.from}, out by ${hop.to}`, {
        from: hop.from,
        to: hop.to,
      });
    case 'tunnel':
      return step('tunnel', tunnelWords(hop), {
        from: hop.device,
        to: hop.host,
      });
    case 'leave':
      return step('leave', `leaves this host by ${hop.device} for ${hop.to}`, {
        from: hop.device,
        to: hop.to,
      });
    case 'deliver':
      return step('listener', deliverWords(hop), { to: end(hop.to) });
    case 'answer':
      return step('answer', `the answer: from ${end(hop.from)} to ${end(hop.to)}`, {
        from: end(hop.from),
        to: end(hop.to),
      });
    case 'follow':
      return step('follow', `what ${whose(hop.where)} sends next, to ${end(hop.to)}`, { to: end(hop.to) });
    case 'stop':
      return step('stop', obstacleWords(hop.obstacle));
  }
}

function deliverWords({ where, to, listener }: Extract<Hop, { kind: 'deliver' }>): string {
  if (listener === undefined) return `${to.address} is ${whose(where)}`;
  return `in ${whose(where)}: ${listenerWords(listener)}`;
}

const LINKS = {
  down: 'is down',
  'no-carrier': 'has no carrier: nobody is at the other end of the wire',
  missing: 'has lost its other end',
  'no-port': 'is a port of no bridge',
} as const;

/** What ends the way, in one sentence without a full stop. */
export function obstacleWords(obstacle: Obstacle): string {
  const where = whose(obstacle.where);
  switch (obstacle.kind) {
    case 'rule':
      return `${ruleWords(obstacle.rule)} ${VERDICTS[obstacle.verdict]}`;
    case 'no-route':
      return noRouteWords(where, obstacle);
    case 'nobody':
      return `nobody behind ${obstacle.device} has the address ${obstacle.address}`;
    case 'link':
      return `${obstacle.link} of ${where} ${LINKS[obstacle.what]}`;
    case 'isolated-ports':
      return `the bridge ${obstacle.bridge} hands nothing on between its ports`;
    case 'forwarding-off':
      return `${where} forwards no packets`;
    case 'rp-filter':
      return `${where} takes nothing from ${obstacle.source} by ${obstacle.device}: its own route there is another (rp_filter)`;
    case 'martian':
      return `${where} takes no packet with ${obstacle.address} by ${obstacle.device}`;
    case 'conntrack-full':
      return `${where} tracks ${obstacle.count} connections and may track ${obstacle.most}`;
    case 'nothing-listens': {
      const [other] = obstacle.others;
      const only = other === undefined ? '' : `; ${listenerWords(other)}`;
      return `nothing listens on ${end(obstacle.at)}/${obstacle.protocol} in ${where}${only}`;
    }
    case 'untracked':
      return `${ruleWords(obstacle.rule)} leaves it untracked, and what is untracked is not translated`;
    case 'held':
      return `${end(obstacle.at)} is held for a published port, and nothing translates what comes for it`;
    case 'bridge-firewall':
      return 'br_netfilter translates the answer back before the kernel would take it for ::1';
    case 'other-source':
      return `the answer comes from ${end(obstacle.answers)}, and ${end(obstacle.asked)} was asked`;
    case 'host-away':
      return `the host ${obstacle.host} is away`;
    case 'left':
      return `it leaves this host by ${obstacle.device}, and ${obstacle.to} is on this host alone`;
    case 'macvlan-host':
      return 'the kernel hands nothing on between a macvlan and the host it is on';
    case 'macvlan-apart':
      return `in macvlan mode ${obstacle.mode} the kernel hands nothing on between containers on ${obstacle.parent}`;
    case 'loop':
      return 'it goes round in circles';
  }
}

function noRouteWords(
  where: string,
  { to, refusing, rule }: Extract<Obstacle, { kind: 'no-route' }>,
): string {
  if (refusing === undefined && rule === undefined) return `${where} has no route to ${to}`;
  const by = rule === undefined ? '' : `${policyWords(rule)} of ${where}`;
  if (refusing === undefined) return `${by} says that ${to} is not to be reached`;
  const [of, and] = rule === undefined ? [where, ''] : [`table ${refusing.table}`, `, and ${by} leads there`];
  return `a route of ${of} says that ${to} is not to be reached${and}`;
}

const policyWords = (rule: PolicyRule): string => `the rule "${policyText(rule)}"`;

/** That sends what comes to nothing where nobody has the address. */
export const misledWords = ({ rule, where }: Misleading): string =>
  `${policyWords(rule)} of ${whose(where)} sends it there`;

export function gapWords({ sender, narrow }: MtuGap): string {
  return `${sender.name} of ${whose(sender.where)} sends packets of up to ${sender.mtu} bytes, ${narrow.name} of ${whose(narrow.where)} takes ${narrow.mtu}`;
}

const tunnelWords = ({ device, host, to }: Extract<Hop, { kind: 'tunnel' }>): string =>
  to === undefined
    ? `out of ${device}, from the host ${host}`
    : `by ${device} to the host ${host}, where ${to} is`;

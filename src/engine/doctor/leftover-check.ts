import type { FirewallRule } from '../../kernel/firewall-rules.ts';
import type { Finding } from '../../model/finding.ts';
import { TABLE_NAME } from '../../plan/nft-text.ts';
import { type Change, type Resource, resourceKey } from '../../plan/resource.ts';
import type { HostLook } from './host-facts.ts';

type Look = Pick<HostLook, 'drift' | 'inventory' | 'rules'>;

/** What is in the kernel and should not be, and the other way round. */
export function checkLeftovers(look: Look): readonly Finding[] {
  const strays = look.drift.filter(({ op }) => op === 'delete').map(({ resource }) => resource);
  const wrong = look.drift.filter(({ op, resource }) => op !== 'delete' && resource.kind !== 'host-port');
  return [...strays.flatMap(stray), ...wrong.slice(0, 10).map(drifted), ...others(look)];
}

/** Elements and entries go with what they belong to. */
function stray(resource: Resource): readonly Finding[] {
  const command = removal(resource);
  if (command === undefined) return [];
  return [
    {
      kind: 'leftover',
      area: 'leftovers',
      severity: 'warning',
      subject: resourceKey(resource),
      sentence: `There is a ${resource.kind} with the engine's mark that belongs to no container and no network.`,
      evidence: [resourceKey(resource)],
      fix: [command],
    },
  ];
}

function removal(resource: Resource): string | undefined {
  switch (resource.kind) {
    case 'bridge':
    case 'vxlan':
      return `sudo ip link delete ${resource.ifName}`;
    case 'veth':
      return `sudo ip link delete ${resource.hostIfName}`;
    case 'macvlan':
      return `sudo nsenter --net=${resource.netns} ip link delete ${resource.ifName}`;
    case 'netns':
      return `sudo umount ${resource.path} && sudo rm ${resource.path}`;
    case 'element':
      return `sudo nft delete element ${resource.table} ${TABLE_NAME} ${resource.set} "{ ${resource.key} }"`;
    default:
      return undefined;
  }
}

function drifted({ op, resource }: Change): Finding {
  return {
    kind: 'drift',
    area: 'leftovers',
    severity: 'error',
    subject: resourceKey(resource),
    sentence:
      op === 'create'
        ? `${resourceKey(resource)} is missing, and the engine has not made it again.`
        : `${resourceKey(resource)} is not as the engine made it.`,
    evidence: [JSON.stringify(resource)],
    fix:
      resource.kind === 'bridge'
        ? [
            `sudo ip link set dev ${resource.ifName} mtu ${resource.mtu}`,
            `sudo ip link set dev ${resource.ifName} up`,
          ]
        : ['# start gangwayd again (containers go on): it makes everything as it should be'],
  };
}

/** By what other engines call their things. */
const ENGINES: readonly (readonly [engine: string, link: RegExp, chain: RegExp])[] = [
  ['Docker', /^(docker0|docker_gwbridge|br-[0-9a-f]{12})$/, /^DOCKER/],
  ['Podman', /^(podman|cni-podman)\d+$/, /^(NETAVARK|CNI)-/],
  ['Kubernetes', /^(cni0|flannel\.\d+|cali[0-9a-f]{11}|cilium_\w+)$/, /^KUBE-/],
];

function others({ inventory, rules }: Look): readonly Finding[] {
  const foreign = rules.filter(({ table }) => table !== TABLE_NAME);
  return ENGINES.flatMap(([engine, link, chain]): Finding[] => {
    const links = inventory.links.filter(({ name, alias }) => alias !== TABLE_NAME && link.test(name));
    const chains = new Set(
      foreign
        .filter((rule) => chain.test(rule.chain))
        .map((rule: FirewallRule) => `${rule.family} ${rule.table} ${rule.chain}`),
    );
    if (links.length === 0 && chains.size === 0) return [];
    return [
      {
        kind: 'other-engine',
        area: 'leftovers',
        severity: 'note',
        subject: engine,
        sentence: `${engine} is on this host, or has left something behind.`,
        evidence: [
          ...links.map(({ name, up }) => `interface ${name}, ${up ? 'up' : 'down'}`),
          ...[...chains].map((name) => `chain ${name}`),
        ],
        fix: [
          '# if it is not used any more:',
          ...links.map(({ name }) => `# sudo ip link delete ${name}`),
          ...[...chains].map((name) => `# sudo nft flush chain ${name}`),
        ],
      },
    ];
  });
}

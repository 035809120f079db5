import { type Finding, findingsOf } from '../../model/finding.ts';
import type { HostLook } from './host-facts.ts';

type Look = Pick<
  HostLook,
  | 'networks'
  | 'endpoints'
  | 'plan'
  | 'host'
  | 'inventory'
  | 'inCluster'
  | 'ipForward'
  | 'sysctl'
  | 'hasFeature'
  | 'now'
>;

const about = findingsOf('kernel');

/** Settings and abilities of the kernel that containers rest on. */
export function checkKernel(look: Look): readonly Finding[] {
  return [
    ...forwarding(look),
    ...bridgeFirewall(look),
    ...reversePath(look),
    ...features(look),
    ...conntrack(look),
    ...clock(look),
  ];
}

const bridgesOf = ({ networks }: Look) => networks.filter((network) => network.driver === 'bridge');

function forwarding(look: Look): readonly Finding[] {
  const { sysctl } = look;
  const bridges = bridgesOf(look).filter(({ internal }) => !internal);
  const names = [
    'net/ipv4/ip_forward',
    ...bridges.filter(({ ipv4 }) => ipv4).map(({ bridge }) => `net/ipv4/conf/${bridge.ifName}/forwarding`),
    ...(bridges.some(({ ipv6 }) => ipv6) ? ['net/ipv6/conf/all/forwarding'] : []),
  ];
  const off = names.filter((name) => sysctl(name) === '0');
  // The setting of the whole host changes those of its interfaces.
  const all = off.includes('net/ipv4/ip_forward');
  return off
    .filter((name) => !(all && name.startsWith('net/ipv4/conf/')))
    .map((name) =>
      about(
        'forwarding-off',
        'error',
        name,
        `The kernel does not forward packets${name.includes('/conf/') && !name.includes('/all/') ? ` of ${name.split('/')[3]}` : name.includes('ipv6') ? ' of IPv6' : ''}: containers reach nothing outside, and published ports lead nowhere.`,
        [`${name} = 0${look.ipForward ? '' : ', and gangwayd runs with --ip-forward=false'}`],
        [`sudo sysctl -w ${name}=1`],
      ),
    );
}

/** The plan rests on what it was when the daemon started. */
function bridgeFirewall(look: Look): readonly Finding[] {
  const name = 'net/bridge/bridge-nf-call-iptables';
  const closed = bridgesOf(look).filter(({ bridge }) => !bridge.icc);
  if (look.host.bridgeFirewall === look.plan.bridgeFirewall || closed.length === 0) return [];
  const was = look.plan.bridgeFirewall ? 1 : 0;
  return [
    about(
      'bridge-nf',
      'error',
      name,
      was === 1
        ? `What is bridged does not pass the firewall any more: containers of ${closed.map((each) => each.name).join(', ')} reach each other, although icc is off there.`
        : 'What is bridged passes the firewall now: it did not when gangwayd started.',
      [`${name} = ${1 - was}, and it was ${was} when gangwayd started`],
      [was === 1 ? `sudo sysctl -w ${name}=1` : '# start gangwayd again: it makes its bridges for that'],
    ),
  ];
}

const STRICT = 1;

/** ip-sysctl: the larger of `all` and the interface's counts; 1 drops what came by another way than answers would go. */
function reversePath(look: Look): readonly Finding[] {
  const { sysctl, inventory, endpoints } = look;
  const number = (name: string): number => Number(sysctl(`net/ipv4/conf/${name}/rp_filter`) ?? 0);
  const strict = (name: string): boolean => Math.max(number('all'), number(name)) === STRICT;
  const perSandbox = Map.groupBy(endpoints, ({ sandboxId }) => sandboxId);
  const shared = bridgesOf(look).filter(({ id, bridge }) => {
    const several = [...perSandbox.values()].some(
      (list) => list.length > 1 && list.some(({ networkId }) => networkId === id),
    );
    return several && strict(bridge.ifName);
  });
  const named = new Map(inventory.links.map(({ index, name }) => [index, name]));
  const uplinks = [
    ...new Set(
      inventory.routes
        .filter(({ to, family }) => to === undefined && family === 'ipv4')
        .map(({ link }) => named.get(link) ?? ''),
    ),
  ];
  const second = uplinks.length < 2 ? [] : uplinks.filter(strict);
  const fix = (name: string): string[] => [`sudo sysctl -w net/ipv4/conf/${name}/rp_filter=2`];
  return [
    ...shared.map(({ name, bridge }) =>
      about(
        'rp-filter',
        'warning',
        bridge.ifName,
        `Strict reverse path filtering on ${bridge.ifName} drops what containers of ${name} answer with an address of another network.`,
        [
          'a container is on this network and on others',
          `rp_filter of ${bridge.ifName} is ${STRICT} (strict)`,
        ],
        fix(bridge.ifName),
      ),
    ),
    ...second.map((name) =>
      about(
        'rp-filter',
        'warning',
        name,
        `Strict reverse path filtering on ${name} drops clients that answers would reach by another uplink.`,
        [
          `there are default routes by ${uplinks.join(' and ')}`,
          `rp_filter of ${name} is ${STRICT} (strict)`,
        ],
        fix(name),
      ),
    ),
  ];
}

const FEATURES: readonly (readonly [option: string, module: string, what: string])[] = [
  ['VETH', 'veth', 'containers have no interface'],
  ['BRIDGE', 'bridge', 'there are no bridge networks'],
  ['NF_TABLES', 'nf_tables', 'there is no firewall of the engine'],
  ['NFT_NAT', 'nft_chain_nat', 'ports cannot be published'],
  ['NFT_MASQ', 'nft_masq', 'containers have no way out'],
  ['NFT_FIB_IPV4', 'nft_fib_ipv4', 'published ports are not told from others'],
  ['NF_CONNTRACK', 'nf_conntrack', 'nothing can be translated'],
  ['OVERLAY_FS', 'overlay', 'images have no file system'],
];

function features({ hasFeature, inCluster, networks }: Look): readonly Finding[] {
  const wanted = [
    ...FEATURES,
    ...(inCluster ? [['VXLAN', 'vxlan', 'there are no overlay networks'] as const] : []),
    ...(networks.some(({ driver }) => driver === 'macvlan')
      ? [['MACVLAN', 'macvlan', 'there are no macvlan networks'] as const]
      : []),
  ];
  return wanted
    .filter(([option, module]) => hasFeature(option, module) === false)
    .map(([option, module, what]) =>
      about(
        'feature-missing',
        'error',
        module,
        `This kernel has no ${module}: ${what}.`,
        [`neither loaded, nor built in, nor a module of it (CONFIG_${option})`],
        [
          `sudo modprobe ${module}`,
          "# or install the kernel's package of further modules, or another kernel",
        ],
      ),
    );
}

function conntrack({ sysctl }: Look): readonly Finding[] {
  const count = Number(sysctl('net/netfilter/nf_conntrack_count') ?? 0);
  const most = Number(sysctl('net/netfilter/nf_conntrack_max') ?? 0);
  if (most === 0 || count < most * 0.9) return [];
  return [
    about(
      'conntrack-full',
      count >= most * 0.98 ? 'error' : 'warning',
      'nf_conntrack',
      `The table of connections is ${count >= most ? '' : 'nearly '}full: new connections are dropped.`,
      [`nf_conntrack_count = ${count}, nf_conntrack_max = ${most}`],
      [`sudo sysctl -w net.netfilter.nf_conntrack_max=${most * 2}`],
    ),
  ];
}

/** Nobody had this program before. */
const FIRST_RELEASE = Date.UTC(2026, 0, 1);

function clock({ now }: Look): readonly Finding[] {
  if (now >= FIRST_RELEASE) return [];
  return [
    about(
      'clock-unset',
      'error',
      'clock',
      "This host's clock is not set: certificates of registries are not valid yet.",
      [`it says ${new Date(now).toISOString()}`],
      ['sudo timedatectl set-ntp true'],
    ),
  ];
}

import {
  bitsOf,
  contains,
  familyOf,
  formatPrefix,
  type Ip,
  overlaps,
  type Prefix,
  parseIp,
  prefixOf,
} from '../../model/address.ts';
import { type Finding, findingsOf } from '../../model/finding.ts';
import { type AddressedNetwork, familiesOf, GATEWAY_NETWORK, isAddressed } from '../../model/network.ts';
import { chooseSubnet, edgeAddresses } from '../../plan/subnet-pool.ts';
import type { HostLook } from './host-facts.ts';

type Look = Pick<
  HostLook,
  'networks' | 'endpoints' | 'host' | 'inventory' | 'sources' | 'resolvers' | 'resolversFrom'
>;

/** A bridge has 10 bits for its ports (net/bridge/br_private.h, BR_PORT_BITS). */
const BRIDGE_PORTS = 1023;
const NEARLY = 0.9;

const about = findingsOf('addresses');

/** Networks whose addresses are somebody else's too, whose packets are too large, or that are full. */
export function checkAddresses(look: Look): readonly Finding[] {
  return [
    ...mtu(look),
    ...overlapping(look),
    ...resolvers(look),
    ...full(look),
    ...pools(look),
    ...ports(look),
    ...gateway(look),
  ];
}

const addressed = ({ networks }: Look): readonly AddressedNetwork[] => networks.filter(isAddressed);

/** A network again, with other options: its containers have to be disconnected first. */
function again(look: Look, network: AddressedNetwork, options: string, daemonKey: string): string[] {
  if (network.name === 'bridge') return [`# set ${daemonKey} in daemon.json, and start gangwayd again`];
  const users = look.endpoints.filter(({ networkId }) => networkId === network.id);
  return [
    ...users.map(({ containerName }) => `docker network disconnect ${network.name} ${containerName}`),
    `docker network rm ${network.name}`,
    `docker network create ${options} ${network.name}`,
    ...users.map(({ containerName }) => `docker network connect ${network.name} ${containerName}`),
  ];
}

function mtu(look: Look): readonly Finding[] {
  const { uplinkMtu } = look.host;
  return addressed(look)
    .filter((network) => network.driver === 'bridge' && !network.internal)
    .filter((network) => network.driver === 'bridge' && network.bridge.mtu > uplinkMtu)
    .map((network) => {
      const own = network.driver === 'bridge' ? network.bridge.mtu : 0;
      return about(
        'bridge-mtu',
        'warning',
        network.name,
        `Containers on ${network.name} send packets of up to ${own} bytes, and the way out takes ${uplinkMtu}.`,
        [`MTU of the network: ${own}, of the uplink: ${uplinkMtu}`],
        again(look, network, `-o com.docker.network.driver.mtu=${uplinkMtu}`, `"mtu": ${uplinkMtu}`),
      );
    });
}

function freeSubnet(look: Look, like: Ip): string {
  const taken = [
    ...addressed(look).flatMap((network) => familiesOf(network).map(({ subnet }) => subnet)),
    ...look.host.usedPrefixes,
    ...look.inventory.routes.flatMap(({ to }) => (to === undefined ? [] : [to])),
  ];
  const free = chooseSubnet(look.sources, taken, like);
  return free === undefined ? 'SUBNET' : formatPrefix(free);
}

function overlapping(look: Look): readonly Finding[] {
  const { links, routes } = look.inventory;
  const named = new Map(links.map((link) => [link.index, link]));
  return addressed(look)
    .filter(({ driver }) => driver === 'bridge')
    .flatMap((network) =>
      familiesOf(network).flatMap(({ subnet }) => {
        const bridge = network.driver === 'bridge' ? network.bridge.ifName : undefined;
        const others = routes.filter(({ to, link }) => {
          const { name, alias } = named.get(link) ?? {};
          // A network of ours that overlaps is refused when it is created.
          if (to === undefined || name === bridge || alias === 'gangway') return false;
          return !to.address.startsWith('fe80:') && overlaps(prefixOf(to), subnet);
        });
        return others.map(({ to, link, gateway }) => {
          const prefix = to === undefined ? '' : formatPrefix(to);
          const by = named.get(link)?.name ?? '';
          const narrower = to !== undefined && to.length >= subnet.length;
          return about(
            'route-overlap',
            narrower ? 'error' : 'warning',
            `${network.name} ${prefix}`,
            narrower
              ? `The host sends packets for ${prefix} to ${by}, and not to containers on ${network.name}.`
              : `Containers hide a part of ${prefix}, which the host reaches by ${by}: the network ${network.name} has ${formatPrefix(subnet)} of it.`,
            [
              `route ${prefix}${gateway === undefined ? '' : ` via ${gateway}`} dev ${by}`,
              `network ${network.name} has ${formatPrefix(subnet)}`,
            ],
            [
              ...again(
                look,
                network,
                `--subnet ${freeSubnet(look, subnet.address)}`,
                `"bip": ${JSON.stringify(freeSubnet(look, subnet.address))}`,
              ),
              `# or: sudo ip route del ${prefix}${gateway === undefined ? '' : ` via ${gateway}`} dev ${by}`,
            ],
          );
        });
      }),
    );
}

function resolvers(look: Look): readonly Finding[] {
  return addressed(look).flatMap((network) =>
    familiesOf(network).flatMap(({ subnet }) =>
      look.resolvers
        .flatMap(({ address }) => {
          try {
            return [parseIp(address)];
          } catch {
            return [];
          }
        })
        .filter((address) => contains(subnet, address) && !look.host.localAddresses.includes(address))
        .map((address) =>
          about(
            'resolver-overlap',
            'error',
            `${network.name} ${address}`,
            `The name server ${address} has an address of the network ${network.name}: neither host nor containers reach it.`,
            [`${look.resolversFrom} names ${address}`, `network ${network.name} has ${formatPrefix(subnet)}`],
            again(look, network, `--subnet ${freeSubnet(look, subnet.address)}`, '"bip"'),
          ),
        ),
    ),
  );
}

function full(look: Look): readonly Finding[] {
  return addressed(look).flatMap((network) => {
    const { ipv4 } = network;
    // Of an overlay network this host has blocks, and asks for more by itself.
    if (ipv4 === undefined || network.driver === 'overlay') return [];
    const range: Prefix = ipv4.ipRange ?? ipv4.subnet;
    const reserved = [
      ipv4.gateway.address,
      ...Object.values(ipv4.auxAddresses),
      ...edgeAddresses(ipv4.subnet),
    ];
    const room =
      2 ** (bitsOf(range.address) - range.length) -
      new Set(reserved.filter((address) => contains(range, address))).size;
    const used = look.endpoints.filter(({ networkId }) => networkId === network.id).length;
    const most = network.driver === 'bridge' ? Math.min(room, BRIDGE_PORTS) : room;
    if (used < most * NEARLY) return [];
    const wider = `${freeSubnet(look, range.address).split('/')[0]}/${Math.max(16, range.length - 2)}`;
    return [
      about(
        'network-full',
        used >= most ? 'error' : 'warning',
        network.name,
        used >= most
          ? `The network ${network.name} is full: no container can be started on it.`
          : `The network ${network.name} is nearly full.`,
        [
          `${used} of ${most} ${room > BRIDGE_PORTS ? 'ports of its bridge' : `addresses of ${formatPrefix(range)}`} are used`,
        ],
        again(look, network, `--subnet ${wider}`, '"bip"'),
      ),
    ];
  });
}

function pools(look: Look): readonly Finding[] {
  const sources = look.sources.filter(({ base }) => familyOf(base.address) === 'ipv4');
  const taken: Prefix[] = [
    ...addressed(look).flatMap((network) => familiesOf(network).map(({ subnet }) => subnet)),
    ...look.host.usedPrefixes.map(prefixOf),
  ];
  const all = sources.reduce((sum, { base, size }) => sum + 2 ** (size - base.length), 0);
  let left = 0;
  // Two more are enough to know.
  for (; left < 2; left++) {
    const next = chooseSubnet(sources, taken, '0.0.0.0' as Ip);
    if (next === undefined) break;
    taken.push(next);
  }
  if (left === 2 || (left === 1 && all < 10)) return [];
  return [
    about(
      'pools-used-up',
      left === 0 ? 'error' : 'warning',
      'address pools',
      left === 0 ? 'No subnet is left for another network.' : 'One subnet is left for another network.',
      [
        `${all} subnets in ${sources.map(({ base }) => formatPrefix(base)).join(', ')}, all but ${left} in use`,
      ],
      ['docker network prune -f', '# or give more with --default-address-pool'],
    ),
  ];
}

/** `-P` and `-p 80` take host ports of this range. */
function ports({ endpoints, host }: Look): readonly Finding[] {
  const { first, last } = host.ephemeralPorts;
  const used = new Set(
    endpoints.flatMap(({ published }) =>
      published.flatMap(({ protocol, hostPorts }) =>
        Array.from({ length: hostPorts.last - hostPorts.first + 1 }, (_, i) => hostPorts.first + i)
          .filter((port) => port >= first && port <= last)
          .map((port) => `${protocol} ${port}`),
      ),
    ),
  );
  const room = last - first + 1;
  const tcp = [...used].filter((key) => key.startsWith('tcp ')).length;
  if (tcp < room * NEARLY) return [];
  return [
    about(
      'ports-used-up',
      tcp >= room ? 'error' : 'warning',
      `${first}-${last}`,
      `Ports for -P and for the host's own connections are ${tcp >= room ? 'used up' : 'nearly used up'}.`,
      [`${tcp} of the ${room} ports ${first} to ${last} (net.ipv4.ip_local_port_range) are published`],
      [`sudo sysctl -w net.ipv4.ip_local_port_range="${Math.max(1024, first - 16_384)} ${last}"`],
    ),
  ];
}

function gateway(look: Look): readonly Finding[] {
  const network = look.networks.find(({ name }) => name === GATEWAY_NETWORK);
  if (network?.driver !== 'bridge' || network.bridge.owned) return [];
  return [
    about(
      'gateway-network',
      'warning',
      GATEWAY_NETWORK,
      `The bridge ${network.bridge.ifName}, by which containers on overlay networks go out, was made by another engine.`,
      [
        `${network.bridge.ifName} was there before the network ${GATEWAY_NETWORK}; what removes it cuts those containers off`,
      ],
      [
        '# leave the swarm of the other engine (docker swarm leave), or',
        `docker network rm ${GATEWAY_NETWORK}`,
      ],
    ),
  ];
}

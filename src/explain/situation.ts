import type { Ip } from '../model/address.ts';
import type { AddressedNetwork, Endpoint, Network } from '../model/network.ts';
import { isAddressed } from '../model/network.ts';
import type { Asked } from './question.ts';
import type { World } from './world.ts';

/** A container as the engine has it. */
export interface ContainerFacts {
  readonly id: string;
  readonly name: string;
  readonly status: 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead';
  /** Why it does not run, in the engine's words; empty without. */
  readonly error: string;
  /** 0 when there is no process. */
  readonly pid: number;
  /** Whose network namespace it has: its own, the host's, or another container's (its id). */
  readonly network:
    | { readonly kind: 'own' | 'none' | 'host' }
    | { readonly kind: 'container'; readonly id: string };
  readonly endpoints: readonly Endpoint[];
  /** What it is called, by network id. */
  readonly names: Readonly<Record<string, readonly string[]>>;
  /** The command that made it, for suggestions that make it anew. */
  readonly image: string;
  readonly command: readonly string[];
  /** Image, command, one network and published ports are all there is to it: it can be made anew by a command. */
  readonly plain: boolean;
  /** `0.0.0.0:8080:80/tcp`…, as the user wants them published. */
  readonly wished: readonly WishedPort[];
}

export interface WishedPort {
  readonly hostIp: string;
  readonly hostPort: string;
  readonly containerPort: number;
  readonly protocol: string;
}

/** What the asker's name lookup gives. */
export interface Lookup {
  readonly by: 'gangway' | 'hosts-file' | 'upstream';
  readonly addresses: readonly Ip[];
}

/** Everything an answer is computed from. Data, read at one moment. */
export interface Situation {
  readonly asked: Asked;
  readonly containers: readonly ContainerFacts[];
  readonly networks: readonly Network[];
  /** Of TO's name in FROM; undefined when nothing was looked up. */
  readonly lookup: Lookup | undefined;
  readonly uplink: Uplink | undefined;
  /** Containers of other hosts, by address. */
  readonly remotes: ReadonlyMap<Ip, { readonly name: string; readonly host: Ip; readonly networkId: string }>;
  readonly world: World;
  /** The engine's tables as they should be; compared with those in `world` only when the way ends. */
  readonly wanted: World['own'];
}

/** The interface with the default route, and an example of a neighbour there. */
export interface Uplink {
  readonly device: string;
  readonly addresses: readonly Ip[];
  readonly neighbours: readonly Ip[];
}

export const networkOf = (
  { networks }: Pick<Situation, 'networks'>,
  id: string,
): AddressedNetwork | undefined => {
  const network = networks.find((each) => each.id === id);
  return isAddressed(network) ? network : undefined;
};

/** The container in whose namespace it lives; undefined for the host's. */
export function sandboxOwner(
  { containers }: Pick<Situation, 'containers'>,
  container: ContainerFacts,
): ContainerFacts | undefined {
  const { network } = container;
  if (network.kind === 'host') return undefined;
  if (network.kind !== 'container') return container;
  const other = containers.find(({ id }) => id === network.id);
  return other === undefined || other === container ? undefined : sandboxOwner({ containers }, other);
}

export const holderOf = (
  { containers }: Pick<Situation, 'containers'>,
  address: Ip,
): ContainerFacts | undefined =>
  containers.find(({ endpoints }) => endpoints.some((endpoint) => hasAddress(endpoint, address)));

export const hasAddress = ({ ipv4, ipv6 }: Pick<Endpoint, 'ipv4' | 'ipv6'>, address: Ip): boolean =>
  ipv4?.address === address || ipv6?.address === address;

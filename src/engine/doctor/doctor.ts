import type { Cluster } from '../../cluster/cluster.ts';
import type { Area, DoctorReport, Finding } from '../../model/finding.ts';
import type { HealthTunnel } from '../network/health-tunnel.ts';
import { checkAddresses } from './address-check.ts';
import { checkCluster } from './cluster-check.ts';
import { clusterFacts } from './cluster-facts.ts';
import { checkFirewall } from './firewall-check.ts';
import { type HostLook, type HostParts, lookAtHost } from './host-facts.ts';
import { checkKernel } from './kernel-check.ts';
import { checkLeftovers } from './leftover-check.ts';
import { checkLegacy } from './legacy-check.ts';
import { checkNames } from './name-check.ts';
import { checkRoom } from './room-check.ts';

export interface DoctorParts extends HostParts {
  readonly networking: HostParts['networking'] & { readonly health: HealthTunnel | undefined };
  /** Of a host in a cluster. */
  readonly cluster?: Cluster;
}

/** Of one host; each is pure over what was read. */
const CHECKS: readonly (readonly [Area, (look: HostLook) => readonly Finding[]])[] = [
  ['firewall', (look) => [...checkFirewall(look), ...checkLegacy(look)]],
  ['kernel', checkKernel],
  ['addresses', checkAddresses],
  ['leftovers', checkLeftovers],
  ['names', checkNames],
  ['room', checkRoom],
];

const SEVERITIES: readonly Finding['severity'][] = ['error', 'warning', 'note'];

/** Reads the whole host, and tells what would break containers. Nothing is changed, and nothing is remembered. */
export class Doctor {
  readonly #parts: DoctorParts;

  constructor(parts: DoctorParts) {
    this.#parts = parts;
  }

  async examine(): Promise<DoctorReport> {
    const [cluster, host] = await Promise.all([this.#cluster(), this.#host()]);
    const parts = [...cluster, ...host];
    return {
      findings: parts
        .flatMap(({ findings }) => findings)
        .toSorted((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity)),
      looked: parts.flatMap(({ area, why }) => (why === undefined ? [area] : [])),
      unseen: parts.flatMap(({ area, why }) => (why === undefined ? [] : [{ area, why }])),
    };
  }

  async #cluster(): Promise<readonly Part[]> {
    const { kernel, cluster, networking } = this.#parts;
    const tunnel = networking.health;
    if (cluster === undefined || tunnel === undefined) return [];
    try {
      return [part('cluster', checkCluster(await clusterFacts({ cluster, tunnel, kernel })))];
    } catch (error) {
      return [unseen('cluster', error)];
    }
  }

  async #host(): Promise<readonly Part[]> {
    try {
      const look = await lookAtHost(this.#parts);
      return CHECKS.map(([area, check]) => {
        try {
          return part(area, check(look));
        } catch (error) {
          return unseen(area, error);
        }
      });
    } catch (error) {
      return CHECKS.map(([area]) => unseen(area, error));
    }
  }
}

interface Part {
  readonly area: Area;
  readonly findings: readonly Finding[];
  readonly why?: string;
}

const part = (area: Area, findings: readonly Finding[]): Part => ({ area, findings });
const unseen = (area: Area, error: unknown): Part => ({
  area,
  findings: [],
  why: error instanceof Error ? error.message : String(error),
});

import type { Cluster } from '../../cluster/cluster.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Area, DoctorReport, Finding } from '../../model/finding.ts';
import type { HealthTunnel } from '../network/health-tunnel.ts';
import { checkCluster } from './cluster-check.ts';
import { clusterFacts } from './cluster-facts.ts';

export interface DoctorParts {
  readonly kernel: Kernel;
  readonly networking: { readonly health: HealthTunnel | undefined };
  /** Of a host in a cluster. */
  readonly cluster?: Cluster;
}

/** Reads the whole host, and tells what would break containers. Nothing is changed, and nothing is remembered. */
export class Doctor {
  readonly #parts: DoctorParts;

  constructor(parts: DoctorParts) {
    this.#parts = parts;
  }

  async examine(): Promise<DoctorReport> {
    const { kernel, cluster, networking } = this.#parts;
    const findings: Finding[] = [];
    const looked: Area[] = [];
    const unseen: { area: Area; why: string }[] = [];
    const look = async (area: Area, check: () => Promise<readonly Finding[]>): Promise<void> => {
      try {
        findings.push(...(await check()));
        looked.push(area);
      } catch (error) {
        unseen.push({ area, why: error instanceof Error ? error.message : String(error) });
      }
    };
    const tunnel = networking.health;
    if (cluster !== undefined && tunnel !== undefined) {
      await look('cluster', async () => checkCluster(await clusterFacts({ cluster, tunnel, kernel })));
    }
    return { findings: findings.toSorted(worstFirst), looked, unseen };
  }
}

const worstFirst = (a: Finding, b: Finding): number =>
  Number(a.severity === 'warning') - Number(b.severity === 'warning');

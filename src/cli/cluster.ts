import type { ClusterReport } from '../model/overlay.ts';
import { table } from './table.ts';

const STATES: Readonly<Record<ClusterReport['state'], string>> = {
  connecting: 'not reached yet',
  connected: 'reached',
  away: 'away: traffic, names and local starts go on',
  closed: 'closed',
};

export function formatCluster(report: ClusterReport, now: number): string {
  const seconds = Math.max(0, Math.round((now - report.since) / 1000));
  const waiting = report.waiting === 0 ? '' : `, ${report.waiting} changes of this host wait for it`;
  const lag = report.answered === undefined ? '' : `, it answers in ${report.answered.toFixed(1)} ms`;
  const fault = report.fault === undefined ? '' : `\n  ${report.fault}`;
  const nodes = report.nodes.map(({ name, address, id, own, state }) => [
    `${name}${own ? ' (this host)' : ''}`,
    address,
    state,
    id.slice(0, 12),
  ]);
  const networks = report.networks.map(({ name, subnets, vni, here, elsewhere, blocks }) => [
    name,
    subnets.join(' '),
    String(vni),
    String(here),
    String(elsewhere),
    blocks.join(' ') || '-',
  ]);
  return [
    `The cluster store is ${STATES[report.state]} (since ${seconds} s)${lag}${waiting}.${fault}`,
    '',
    table([['HOST', 'ADDRESS', 'STATE', 'ID'], ...nodes]),
    '',
    networks.length === 0
      ? 'There is no overlay network: docker network create -d overlay NAME makes one.'
      : table([['NETWORK', 'SUBNET', 'VNI', 'HERE', 'ELSEWHERE', 'BLOCKS OF THIS HOST'], ...networks]),
  ].join('\n');
}

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { familyOf, type NetnsPath } from '../model/address.ts';
import type { ProbeFacts, ProbeOutcome, ProbePlace, ProbeRequest } from '../model/probe.ts';
import type { Tuple } from '../model/tuple.ts';
import { ConnectionListener } from './conntrack-events.ts';
import { DropRecorder } from './drop-reasons.ts';
import { hostFacts } from './host-facts.ts';
import { KernelError } from './kernel.ts';
import type { NetnsSwitch } from './netns.ts';
import { ProbeSocket } from './probe-socket.ts';
import { ProbeView } from './probe-view.ts';
import type { RouteSocket } from './rtnetlink.ts';
import { StandIn } from './stand-in.ts';
import { readSysctl } from './sysctl.ts';

const PATIENCE_MS = 1000;
/** A packet that was dropped may have been a copy: the answer to the other comes at once. */
const AFTER_DROP_MS = 60;
/** A datagram that was delivered may be refused by its host, or answered; most programs do not answer an empty one. */
const AFTER_DELIVERY_MS = 150;
const LONGEST_PAUSE_MS = 20;

interface ProbeParts {
  readonly routes: RouteSocket;
  readonly namespaces: NetnsSwitch;
}

/**
 * Sends one real packet and sees what becomes of it: by nft's trace in every namespace it passes, by connection
 * tracking, by the kernel's reasons for drops, and by what the sender is told. Nothing stays behind. One at a time.
 * @throws KernelError without the right to look
 */
export async function probe(
  parts: ProbeParts,
  netnsDirectory: string,
  request: ProbeRequest,
): Promise<ProbeFacts> {
  const { routes, namespaces } = parts;
  let standIn: StandIn | undefined;
  if (request.from === 'outside') {
    try {
      const netns = join(netnsDirectory, 'probe') as NetnsPath;
      const used = hostFacts(routes).usedPrefixes;
      standIn = StandIn.make(routes, namespaces, netns, familyOf(request.to.address), used);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      return notSent(`no client could be made on the host's network: ${error.message}`);
    }
  }
  try {
    return await send(parts, request, standIn);
  } finally {
    standIn?.remove();
  }
}

async function send(
  { namespaces }: ProbeParts,
  request: ProbeRequest,
  standIn: StandIn | undefined,
): Promise<ProbeFacts> {
  const from = standIn?.netns ?? (request.from === 'host' ? undefined : (request.from as NetnsPath));
  const places = new Map<ProbePlace, NetnsPath | undefined>([['host', undefined]]);
  if (from !== undefined) places.set('from', from);
  if (request.toNetns !== undefined && request.toNetns !== from) places.set('to', request.toNetns);
  const inside = <T>(netns: NetnsPath | undefined, body: () => T): T =>
    netns === undefined ? body() : namespaces.inside(netns, body);

  const recorder = await DropRecorder.start();
  const views: ProbeView[] = [];
  let socket: ProbeSocket | undefined;
  let connections: ConnectionListener | undefined;
  try {
    const own = inside(from, () => new ProbeSocket(request.to));
    socket = own;
    for (const [place, netns] of places) {
      const mark = { target: request.to, id: own.id, translated: place !== 'host' };
      views.push(inside(netns, () => new ProbeView(place, mark, (body) => inside(netns, body))));
    }
    connections = listenToConnections();
    const outcome = own.send() ?? (await wait(own, views, request));
    const dropped = (await recorder?.stop()) ?? [];
    const hops = views.flatMap((view) => view.hops());
    const sent = hops.find((hop) => hop.direction === 'there')?.tuple;
    return {
      outcome,
      sent,
      hops,
      connection: connections === undefined ? undefined : connectionOf(connections, own.id, request),
      dropped,
      forwarding: forwards(request),
      conntrackFull: conntrackFull(),
      standIn: standIn?.address,
    };
  } finally {
    connections?.close();
    socket?.close();
    await Promise.all([recorder?.stop(), ...views.map((view) => view.close())]);
  }
}

/** Until the sender hears something, or it is plain that it will not. */
async function wait(
  socket: ProbeSocket,
  views: readonly ProbeView[],
  { to, timeout = PATIENCE_MS }: ProbeRequest,
): Promise<ProbeOutcome> {
  const start = performance.now();
  let end = start + timeout;
  for (let pause = 1; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    const outcome = socket.outcome();
    if (outcome !== undefined) return outcome;
    const now = performance.now();
    if (now >= end) return { kind: 'silence' };
    for (const view of views) {
      const seen = view.look();
      if (seen === 'dropped') end = Math.min(end, now + AFTER_DROP_MS);
      if (seen === 'delivered' && to.protocol === 'udp') end = Math.min(end, now + AFTER_DELIVERY_MS);
    }
    await sleep(pause);
  }
}

/** Undefined in a kernel without connection tracking. */
function listenToConnections(): ConnectionListener | undefined {
  try {
    return new ConnectionListener();
  } catch {
    return undefined;
  }
}

function connectionOf(
  listener: ConnectionListener,
  id: number,
  { to }: ProbeRequest,
): ProbeFacts['connection'] {
  const isProbe = ({ protocol, destination, sourcePort, destinationPort, echoId }: Tuple): boolean => {
    if (destination !== to.address) return false;
    if (to.protocol === 'icmp') return echoId === id;
    return protocol === to.protocol && sourcePort === id && destinationPort === to.port;
  };
  const events = listener.read().filter(({ original }) => isProbe(original));
  const last = events.at(-1);
  if (last === undefined) return undefined;
  const { original, reply } = last;
  return { original, reply, answered: events.some(({ answered }) => answered) };
}

const forwards = ({ to }: ProbeRequest): boolean =>
  readSysctl(familyOf(to.address) === 'ipv4' ? 'net/ipv4/ip_forward' : 'net/ipv6/conf/all/forwarding') ===
  '1';

function conntrackFull(): boolean {
  const count = Number(readSysctl('net/netfilter/nf_conntrack_count') ?? 0);
  const max = Number(readSysctl('net/netfilter/nf_conntrack_max') ?? 0);
  return max > 0 && count >= max;
}

const notSent = (why: string): ProbeFacts => ({
  outcome: { kind: 'not-sent', why },
  sent: undefined,
  hops: [],
  connection: undefined,
  dropped: [],
  forwarding: true,
  conntrackFull: false,
  standIn: undefined,
});

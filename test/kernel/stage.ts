import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as libc from '../../src/kernel/libc.ts';
import { LinuxKernel } from '../../src/kernel/linux-kernel.ts';
import { mount, unmount } from '../../src/kernel/mount.ts';
import { RouteSocket } from '../../src/kernel/rtnetlink.ts';
import { socketAddress } from '../../src/kernel/socket-address.ts';
import { type NetnsPath, parseIfName, parseIp, parseIpv4, parseMac } from '../../src/model/address.ts';
import type { Change, NetnsResource, Resource, VethResource } from '../../src/plan/resource.ts';

// The test's process is its own: what it makes ends with it.
libc.unshare(libc.CLONE_NEWNET | libc.CLONE_NEWNS);
mount('none', '/', 'none', 0, ['rprivate']);
const directory = mkdtempSync(join(tmpdir(), 'gangway-kernel-'));
mount('tmpfs', directory, 'tmpfs', 0, []);
process.on('exit', () => {
  unmount(directory, libc.MNT_DETACH);
  rmSync(directory, { recursive: true });
});

export const netnsDirectory = join(directory, 'netns');
mkdirSync(netnsDirectory);
/** The host of the play: this thread's own, fresh namespace. */
export const host = undefined;
export const notes: string[] = [];
export const kernel = new LinuxKernel({ netnsDirectory, log: (note) => notes.push(note) });

const routes = new RouteSocket();
routes.changeLink({ index: 1, name: 'lo' }, [], true);
routes.close();

export const create = (resource: Resource): Change => ({ op: 'create', resource });
export const remove = (resource: Resource): Change => ({ op: 'delete', resource });
/** Delete changes for `resources`, newest first. */
export const removeAll = (resources: readonly Resource[]): Change[] => resources.toReversed().map(remove);

export const bridge = {
  kind: 'bridge',
  ifName: parseIfName('gwtest0'),
  mac: parseMac('02:42:0a:58:00:01'),
  mtu: 1500,
  addresses: [{ address: parseIpv4('10.88.0.1'), length: 24 }],
  ipv6: false,
  routeLocalnet: true,
} as const satisfies Resource;

export function netns(name: string): NetnsResource {
  return { kind: 'netns', path: join(netnsDirectory, name) as NetnsPath };
}

/** The endpoint `10.88.0.N` on the bridge. */
export function veth(n: number, sandbox: NetnsResource): VethResource {
  return {
    kind: 'veth',
    hostIfName: parseIfName(`vethtest${n}`),
    bridge: bridge.ifName,
    netns: sandbox.path,
    ifName: parseIfName('eth0'),
    mac: parseMac(`02:42:0a:58:00:${n.toString(16).padStart(2, '0')}`),
    mtu: 1500,
    addresses: [{ address: parseIpv4(`10.88.0.${n}`), length: 24 }],
    ipv6: false,
    gateway: parseIpv4('10.88.0.1'),
  };
}

const inside = <T>(where: NetnsPath | undefined, body: () => T): T =>
  where === undefined ? body() : (kernel.inNetns(where, body as () => never) as T);

/** A TCP server that says who called, and ends the connection. */
export async function serve(where: NetnsPath | undefined, address: string, port: number): Promise<Server> {
  const fd = inside(where, () => {
    const made = libc.socket(libc.AF_INET, libc.SOCK_STREAM, libc.IPPROTO_TCP);
    libc.setSocketOption(made, libc.SOL_SOCKET, libc.SO_REUSEADDR, Buffer.from([1, 0, 0, 0]));
    libc.bind(made, socketAddress(parseIp(address), port));
    libc.listen(made, 16);
    return made;
  });
  const server = createServer((socket) => socket.end(socket.remoteAddress ?? ''));
  await new Promise<void>((resolve) => server.listen({ fd }, resolve));
  return server;
}

/** Whom the server at that place saw calling. @throws Error of the connection, or `timeout` after `patience` ms */
export function call(
  where: NetnsPath | undefined,
  address: string,
  port: number,
  patience = 700,
): Promise<string> {
  const fd = inside(where, () => libc.socket(libc.AF_INET, libc.SOCK_STREAM, libc.IPPROTO_TCP));
  return new Promise((resolve, reject) => {
    const socket = new Socket({ fd });
    let said = '';
    const timer = setTimeout(() => socket.destroy(new Error('timeout')), patience);
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      said += chunk;
    });
    socket.on('error', reject);
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(said);
    });
    socket.connect(port, address);
  });
}

/** A ruleset with what published ports need, enough to prove the kernel side. */
export const ruleset = {
  kind: 'ruleset',
  table: 'ip',
  version: 'a1',
  text: `table ip gangway {
  map pub_any { type inet_proto . inet_service : ipv4_addr . inet_service; counter; }
  map pub_same { type inet_proto . inet_service : ipv4_addr; flags interval; }
  set bridges { type ifname; }
  set hairpin { type ipv4_addr . ifname; flags interval; }
  chain dnat_local {
    meta l4proto { tcp, udp } dnat ip to meta l4proto . th dport map @pub_any
    meta l4proto { tcp, udp } dnat to meta l4proto . th dport map @pub_same
  }
  chain prerouting { type nat hook prerouting priority dstnat; fib daddr type local jump dnat_local
  }
  chain output { type nat hook output priority -100; fib daddr type local jump dnat_local
  }
  chain postrouting { type nat hook postrouting priority srcnat;
    ip saddr 127.0.0.0/8 oifname @bridges masquerade
    ct status dnat ip saddr . oifname @hairpin masquerade
  }
}`,
} as const satisfies Resource;

export const element = (set: string, key: string, value?: string): Resource => ({
  kind: 'element',
  table: 'ip',
  set,
  key,
  ...(value === undefined ? {} : { value }),
});

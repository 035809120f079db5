/**
 * Keeps the connection table of its namespace full, as a flood would: with entries that the kernel may not push out.
 *   node fill-conntrack.ts [COUNT]   up to COUNT entries; all there are until SIGTERM, which empties the table
 */

import { attribute, NLM_F_CREATE, nested, u8, u16be, u32be } from '../../src/kernel/netlink.ts';
import { NetlinkSocket } from '../../src/kernel/netlink-socket.ts';
import { readSysctl } from '../../src/kernel/sysctl.ts';

const NETLINK_NETFILTER = 12;
/** linux/netfilter/nfnetlink_conntrack.h. */
const CT_NEW = 1 << 8;
const CT_DELETE = (1 << 8) | 2;
const CTA = { TUPLE_ORIG: 1, TUPLE_REPLY: 2, STATUS: 3, TIMEOUT: 7 } as const;
/** IPS_SEEN_REPLY, IPS_ASSURED, IPS_CONFIRMED. */
const STATUS = 2 | 4 | 8;
const AF_INET = 2;
const UDP = 17;

const tuple = (type: number, source: number, destination: number, from: number, to: number): Buffer =>
  nested(
    type,
    nested(1, attribute(1, u32be(source)), attribute(2, u32be(destination))),
    nested(2, attribute(1, u8(UDP)), attribute(2, u16be(from)), attribute(3, u16be(to))),
  );

const FIRST = 0xcb007100; // 203.0.113.0, RFC 5737
const SERVER = 0xc0000201;
/** Others end meanwhile: what is free is taken again. */
const EVERY_MS = 5;

const netlink = new NetlinkSocket(NETLINK_NETFILTER);
const most = Number(process.argv[2] ?? readSysctl('net/netfilter/nf_conntrack_max'));
let made = 0;

function add(): void {
  const client = FIRST + Math.floor(made / 60_000);
  const port = 1024 + (made++ % 60_000);
  netlink.request(
    CT_NEW,
    NLM_F_CREATE,
    [
      Buffer.from([AF_INET, 0, 0, 0]),
      tuple(CTA.TUPLE_ORIG, client, SERVER, port, 9),
      tuple(CTA.TUPLE_REPLY, SERVER, client, 9, port),
      attribute(CTA.STATUS, u32be(STATUS)),
      attribute(CTA.TIMEOUT, u32be(600)),
    ],
    'new connection',
  );
}

function fill(): void {
  try {
    for (let i = Number(readSysctl('net/netfilter/nf_conntrack_count')); i < most; i++) add();
  } catch {
    // Full before we were.
  }
}

/** Without a tuple: every entry of the namespace. */
process.on('SIGTERM', () => {
  netlink.request(CT_DELETE, 0, [Buffer.alloc(4)], 'forget all connections');
  process.exit();
});
fill();
console.log('FULL');
setInterval(fill, EVERY_MS);

import { ANY_IPV4, ANY_IPV6, type Family, type Ipv4, type NetnsPath } from '../model/address.ts';
import * as libc from './libc.ts';
import type { NetnsSwitch } from './netns.ts';
import { addressFamily, socketAddress } from './socket-address.ts';

const BACKLOG = 64;
/** 4 MB: as it comes, a socket keeps some 270 questions while the process does something else. */
const RECEIVE_BUFFER = Buffer.from([0, 0, 0x40, 0]);
const ON = Buffer.from([1, 0, 0, 0]);

/**
 * A datagram and a listening stream socket on one port of a namespace. A socket belongs to its namespace for ever, so
 * they are served from here like any other (network_namespaces(7)). The caller owns the descriptors.
 * @throws KernelError; nothing is left open then
 */
export function bindInside(
  namespaces: NetnsSwitch,
  netns: NetnsPath,
  address: Ipv4,
  port: number,
): { readonly udp: number; readonly tcp: number } {
  const open: number[] = [];
  try {
    return namespaces.inside(netns, () => {
      const bound = (type: number, protocol: number): number => {
        const fd = libc.socket(libc.AF_INET, type, protocol);
        open.push(fd);
        libc.setSocketOption(fd, libc.SOL_SOCKET, libc.SO_REUSEADDR, ON);
        libc.bind(fd, socketAddress(address, port));
        return fd;
      };
      const udp = bound(libc.SOCK_DGRAM, libc.IPPROTO_UDP);
      libc.setSocketOption(udp, libc.SOL_SOCKET, libc.SO_RCVBUFFORCE, RECEIVE_BUFFER);
      const tcp = bound(libc.SOCK_STREAM, libc.IPPROTO_TCP);
      libc.listen(tcp, BACKLOG);
      return { udp, tcp };
    });
  } catch (error) {
    for (const fd of open) libc.close(fd);
    throw error;
  }
}

/** ip(7), IP_PMTUDISC_PROBE: sent whole or not at all, whatever was learned of the way. */
const WHOLE = Buffer.from([3, 0, 0, 0]);

/** An IPv4 datagram socket of a namespace that sends whole packets only. The caller owns the descriptor. @throws KernelError */
export function wholeDatagramsInside(namespaces: NetnsSwitch, netns: NetnsPath, port: number): number {
  return namespaces.inside(netns, () => {
    const fd = libc.socket(libc.AF_INET, libc.SOCK_DGRAM, libc.IPPROTO_UDP);
    try {
      libc.setSocketOption(fd, libc.IPPROTO_IP, libc.IP_MTU_DISCOVER, WHOLE);
      libc.bind(fd, socketAddress(ANY_IPV4, port));
      return fd;
    } catch (error) {
      libc.close(fd);
      throw error;
    }
  });
}

/** A datagram socket of a namespace on a port of the kernel's choice, for asking from there. @throws KernelError */
export function datagramInside(namespaces: NetnsSwitch, netns: NetnsPath, family: Family): number {
  return namespaces.inside(netns, () => {
    const any = family === 'ipv4' ? ANY_IPV4 : ANY_IPV6;
    const fd = libc.socket(addressFamily(any), libc.SOCK_DGRAM, libc.IPPROTO_UDP);
    try {
      libc.bind(fd, socketAddress(any, 0));
      return fd;
    } catch (error) {
      libc.close(fd);
      throw error;
    }
  });
}

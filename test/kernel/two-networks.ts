import { parseIfName, parseIpv4, parseMac } from '../../src/model/address.ts';
import type { Resource } from '../../src/plan/resource.ts';
import { bridge, element, netns, veth } from './stage.ts';

/** `web` and `db` on one bridge, `far` on another, and `db` published on 8080. */
export const [web, db] = [netns('web'), netns('db')];
const far = netns('far');

const second = {
  ...bridge,
  ifName: parseIfName('gwtest1'),
  mac: parseMac('02:42:0a:59:00:01'),
  addresses: [{ address: parseIpv4('10.89.0.1'), length: 24 }],
} as const;

/** All of it but the rulesets, which come before. */
export const twoNetworks: readonly Resource[] = [
  bridge,
  second,
  ...[web, db, far],
  veth(2, web),
  veth(3, db),
  {
    ...veth(4, far),
    bridge: second.ifName,
    addresses: [{ address: parseIpv4('10.89.0.4'), length: 24 }],
    gateway: parseIpv4('10.89.0.1'),
  },
  element('bridges', '"gwtest0"'),
  element('bridges', '"gwtest1"'),
  element('icc', '"gwtest0" . "gwtest0"'),
  element('pub_any', 'tcp . 8080', '10.88.0.3 . 80'),
];

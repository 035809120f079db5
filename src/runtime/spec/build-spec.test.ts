import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { ContainerConfig, HostConfig } from '@docker/node-sdk';
import { buildProcess } from './build-process.ts';
import { buildSpec, type SpecInput } from './build-spec.ts';
import { capabilitiesOfMask } from './capabilities.ts';
import { compileSeccomp, parseSeccompProfile } from './seccomp.ts';
import { parseSecurityOptions } from './security-options.ts';

const PROFILE = parseSeccompProfile(
  JSON.stringify({
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: 38,
    archMap: [{ architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] }],
    syscalls: [
      { names: ['read'], action: 'SCMP_ACT_ALLOW', args: [], includes: {}, excludes: {} },
      { names: ['mount'], action: 'SCMP_ACT_ALLOW', includes: { caps: ['CAP_SYS_ADMIN'] }, excludes: {} },
      { names: ['mount'], action: 'SCMP_ACT_ERRNO', errnoRet: 1, excludes: { caps: ['CAP_SYS_ADMIN'] } },
      { names: ['s390'], action: 'SCMP_ACT_ALLOW', includes: { arches: ['s390x'] } },
      { names: ['ptrace'], action: 'SCMP_ACT_ALLOW', includes: { minKernel: '4.8' } },
    ],
  }),
);

const input = (hostConfig: HostConfig = {}, config: ContainerConfig = {}): SpecInput => ({
  id: 'c'.repeat(64),
  config: { Cmd: ['sleep', '1'], ...config },
  hostConfig,
  hostname: 'cccccccccccc',
  user: { uid: 0, gid: 0, additionalGids: [0] },
  host: {
    cgroupVersion: 1,
    capabilities: capabilitiesOfMask(2n ** 41n - 1n),
    architecture: 'amd64',
    kernel: [6, 1],
    apparmor: false,
    seccomp: PROFILE,
    cpuCount: 2,
  },
  namespaces: { network: { path: '/run/netns/x' }, pid: 'own', ipc: 'own', uts: 'own', cgroup: 'host' },
  mounts: [],
  sharedMemory: { kind: 'private', size: 67108864 },
  devices: [],
  deviceRules: [],
});

test('the plain container is the one dockerd 28.5 writes', () => {
  const golden = JSON.parse(readFileSync(new URL('./plain.golden.json', import.meta.url), 'utf8'));
  const spec = JSON.parse(JSON.stringify(buildSpec(input())));
  spec.linux.seccomp = undefined;
  assert.deepEqual(JSON.parse(JSON.stringify(spec)), golden);
});

test('limits', () => {
  const { resources } = buildSpec(
    input({ Memory: 64 << 20, NanoCpus: 500_000_000, PidsLimit: 50, CpusetCpus: '0', MemorySwappiness: -1 }),
  ).linux;
  assert.deepEqual(resources.memory, { limit: 64 << 20, swap: 128 << 20 });
  assert.deepEqual(resources.cpu, { cpus: '0', period: 100_000, quota: 50_000 });
  assert.deepEqual(resources.pids, { limit: 50 });
});

test('privileged opens everything that is closed otherwise', () => {
  const { process, linux, mounts } = buildSpec(input({ Privileged: true }));
  assert.equal(process.capabilities.bounding.length, 41);
  assert.equal(linux.seccomp, undefined);
  assert.deepEqual([linux.maskedPaths, linux.readonlyPaths], [[], []]);
  assert.deepEqual(linux.resources.devices, [{ allow: true, access: 'rwm' }]);
  assert.ok(!mounts.find((m) => m.destination === '/sys')?.options.includes('ro'));
});

test('capabilities are added, dropped, and refused when unknown', () => {
  const bounding = (hostConfig: HostConfig): readonly string[] =>
    buildSpec(input(hostConfig)).process.capabilities.bounding;
  assert.ok(bounding({ CapAdd: ['net_admin'] }).includes('CAP_NET_ADMIN'));
  assert.ok(!bounding({ CapDrop: ['CAP_NET_RAW'] }).includes('CAP_NET_RAW'));
  assert.deepEqual(bounding({ CapDrop: ['ALL'], CapAdd: ['CHOWN'] }), ['CAP_CHOWN']);
  assert.equal(bounding({ CapAdd: ['ALL'], CapDrop: ['SYS_ADMIN'] }).length, 40);
  assert.throws(() => bounding({ CapAdd: ['NOSUCH'] }), {
    code: 'INVALID_PARAMETER',
    message: 'invalid CapAdd: unknown capability: "CAP_NOSUCH"',
  });
});

test('the seccomp profile follows capabilities, architecture and kernel', () => {
  const context = { capabilities: [], architecture: 'amd64', kernel: [4, 7] } as const;
  const closed = compileSeccomp(PROFILE, context);
  assert.deepEqual(closed.architectures, ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86']);
  assert.deepEqual(closed.syscalls, [
    { names: ['read'], action: 'SCMP_ACT_ALLOW' },
    { names: ['mount'], action: 'SCMP_ACT_ERRNO', errnoRet: 1 },
  ]);
  const open = compileSeccomp(PROFILE, { ...context, capabilities: ['CAP_SYS_ADMIN'], kernel: [6, 1] });
  assert.deepEqual(
    open.syscalls.slice(1).map((rule) => [rule.names[0], rule.action]),
    [
      ['mount', 'SCMP_ACT_ALLOW'],
      ['ptrace', 'SCMP_ACT_ALLOW'],
    ],
  );
});

test('security options', () => {
  assert.equal(parseSecurityOptions(['no-new-privileges:true']).noNewPrivileges, true);
  assert.equal(parseSecurityOptions(['seccomp=unconfined']).seccomp, 'unconfined');
  assert.throws(() => parseSecurityOptions(['foo']), { message: 'invalid --security-opt 1: "foo"' });
  assert.throws(() => parseSecurityOptions(['foo=bar']), { message: 'invalid --security-opt 2: "foo=bar"' });
  assert.throws(() => parseSecurityOptions(['seccomp={']), /^EngineError: Decoding seccomp profile failed/);
});

test('mounts of the user come by depth and replace those of the engine', () => {
  const spec = buildSpec({
    ...input({ ReadonlyRootfs: true }),
    initPath: '/usr/bin/tini-static',
    mounts: [
      { kind: 'bind', source: '/h', target: '/a/b', readOnly: true },
      { kind: 'tmpfs', target: '/a', options: 'exec,size=1m' },
      { kind: 'bind', source: '/s', target: '/dev/shm', readOnly: false, propagation: 'rshared' },
    ],
  });
  assert.deepEqual(spec.process.args, ['/sbin/docker-init', '--', 'sleep', '1']);
  assert.deepEqual(spec.root, { path: 'rootfs', readonly: true });
  assert.deepEqual(
    spec.mounts.slice(-4).map((m) => [m.destination, m.options]),
    [
      ['/sbin/docker-init', ['bind', 'ro']],
      ['/a', ['nosuid', 'nodev', 'rprivate', 'exec', 'size=1m']],
      ['/a/b', ['rbind', 'rro', 'rprivate']],
      ['/dev/shm', ['rbind', 'rshared']],
    ],
  );
  assert.equal(spec.mounts.filter((m) => m.destination === '/dev/shm').length, 1);
  assert.equal(spec.linux.rootfsPropagation, 'shared');
});

test('environment, terminal, namespaces and sysctls', () => {
  const spec = buildSpec({
    ...input({ Sysctls: { 'net.core.somaxconn': '9' } }, { Tty: true, Env: ['A=1', 'PATH=/x', 'HOSTNAME'] }),
    namespaces: { network: 'host', pid: { path: '/proc/1/ns/pid' }, ipc: 'own', uts: 'host', cgroup: 'own' },
  });
  assert.deepEqual(spec.process.env, ['PATH=/x', 'TERM=xterm', 'A=1']);
  assert.equal(spec.hostname, undefined);
  assert.deepEqual(spec.linux.sysctl, { 'net.core.somaxconn': '9' });
  assert.deepEqual(spec.linux.namespaces, [
    { type: 'mount' },
    { type: 'pid', path: '/proc/1/ns/pid' },
    { type: 'ipc' },
    { type: 'cgroup' },
  ]);
});

test('ulimits of the container go before the daemon’s; an exec takes the container’s over', () => {
  const process = buildProcess({
    ...input({ Ulimits: [{ Name: 'nofile', Soft: 1, Hard: -1 }] }, { Env: ['A=1'], WorkingDir: '/w' }),
    defaultUlimits: [
      { Name: 'nofile', Soft: 5, Hard: 5 },
      { Name: 'core', Soft: 0, Hard: 0 },
    ],
    exec: { Cmd: ['id'], Env: ['A=2'], Privileged: true },
  });
  assert.deepEqual(process.rlimits, [
    { type: 'RLIMIT_NOFILE', hard: 18446744073709551615n, soft: 1 },
    { type: 'RLIMIT_CORE', hard: 0, soft: 0 },
  ]);
  assert.deepEqual([process.args, process.cwd, process.env.at(-1)], [['id'], '/w', 'A=2']);
  assert.equal(process.capabilities.bounding.length, 41);
});

test('a container without a command is refused', () => {
  assert.throws(() => buildSpec(input({}, { Cmd: [] })), { message: 'no command specified' });
});

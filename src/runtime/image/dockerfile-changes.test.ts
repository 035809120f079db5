import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyChanges } from './dockerfile-changes.ts';

test('each instruction lands in the config', () => {
  const config = applyChanges({ Env: ['A=old'] }, [
    'CMD ["httpd", "-f"]',
    'ENTRYPOINT exec top',
    'ENV A=new B="x y"',
    'EXPOSE 80 8000-8001/udp',
    'LABEL maintainer=me',
    'VOLUME ["/data"]',
    'WORKDIR /srv',
    'WORKDIR app',
    'USER 1000:1000',
    'STOPSIGNAL SIGQUIT',
    'HEALTHCHECK --interval=1m30s --retries=2 CMD true',
  ]);
  assert.deepEqual(config, {
    Env: ['A=new', 'B=x y'],
    Cmd: ['httpd', '-f'],
    Entrypoint: ['/bin/sh', '-c', 'exec top'],
    ExposedPorts: { '80/tcp': {}, '8000/udp': {}, '8001/udp': {} },
    Labels: { maintainer: 'me' },
    Volumes: { '/data': {} },
    WorkingDir: '/srv/app',
    User: '1000:1000',
    StopSignal: 'SIGQUIT',
    Healthcheck: { Interval: 90e9, Retries: 2, Test: ['CMD-SHELL', 'true'] },
  });
});

test('wrong instructions are named', () => {
  assert.throws(() => applyChanges({}, ['FROM x']), { message: 'FROM is not a valid change command' });
  assert.throws(() => applyChanges({}, ['EXPOSE 0']), { message: 'invalid containerPort: 0' });
  assert.throws(() => applyChanges({}, ['ENV']), {
    message: 'dockerfile parse error: ENV requires at least one argument',
  });
});

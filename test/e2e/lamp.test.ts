import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { IS_GANGWAY } from './engine-under-test.ts';
import { Machine } from './machine.ts';
import { HOST, OUTSIDE } from './namespaces.ts';
import { ownVar } from './own-var.ts';
import { until } from './process.ts';

/** What must be shown, 2: the tutorial's web server and database, its two commands word for word. */
let machine: Machine;
before(async () => {
  machine = await Machine.start({
    prepare: ownVar,
  });
});
after(() => machine.close());

/** A command of the tutorial as it is printed there. */
const typed = (command: string): Promise<string> => machine.dockerOk(...command.split(' ').slice(1));

const sql = (statement: string) =>
  machine.outside(
    ['mariadb', '-h', HOST, '-P', '3306', '-uroot', '-p123456', '--connect-timeout=2', '-N', '-e', statement],
    { timeout: 20 },
  );

const whenDatabaseAnswers = () =>
  until('the database', async () => ((await sql('SELECT 1')).stdout.trim() === '1' ? true : undefined), 60);

test('docker run -d -p 80:80 apache: the page is fetched from the host outside', async () => {
  const id = await typed('docker run -d -p 80:80 apache');
  assert.match(id, /^[0-9a-f]{64}$/m);
  const page = await until('the page', async () => {
    const got = await machine.outside(['curl', '-s', '-m', '2', '-D', '-', `http://${HOST}/`]);
    return got.status === 0 ? got.stdout : undefined;
  });
  assert.match(page, /^HTTP\/1\.1 200 OK/);
  assert.match(page, /Server: Apache\/2\.4/);
  assert.match(page, /It works!/);
  const container = id.split('\n').at(-1) ?? '';
  assert.match(await machine.dockerOk('port', container), /^80\/tcp -> 0\.0\.0\.0:80$/m);
  assert.match(await machine.dockerOk('ps', '--format', '{{.Ports}}'), /0\.0\.0\.0:80->80\/tcp/);
  const log = await until('the access log', async () => {
    const text = await machine.dockerOk('exec', container, 'cat', '/var/log/apache2/access.log');
    return text === '' ? undefined : text;
  });
  assert.match(
    log,
    new RegExp(`^${OUTSIDE.replaceAll('.', '\\.')} `, 'm'),
    "the outside client's own address",
  );
});

test('the database: a real client outside makes a table, and after docker restart the row is there', async () => {
  await typed(
    'docker run -id -p 3306:3306 --name lampmysql5.7 -v /var/lampmysql5.7/conf:/etc/mysql/conf.d ' +
      '-v /var/lampmysql5.7/logs:/logs -v /var/lampmysql5.7/data:/var/lib/mysql ' +
      '-e MYSQL_ROOT_PASSWORD=123456 mysql:5.7 --lower_case_table_names=1',
  );
  await whenDatabaseAnswers();
  const made = await sql(
    "CREATE DATABASE shop; CREATE TABLE shop.Orders (what VARCHAR(40)); INSERT INTO shop.Orders VALUES ('a gangway');",
  );
  assert.equal(made.status, 0, made.stderr);
  await machine.dockerOk('restart', 'lampmysql5.7');
  await whenDatabaseAnswers();
  const read = await sql(
    'SELECT what FROM shop.ORDERS; SHOW TABLES IN shop; SELECT @@lower_case_table_names;',
  );
  assert.deepEqual(read.stdout.trim().split('\n'), ['a gangway', 'orders', '1']);
  assert.match(await machine.dockerOk('port', 'lampmysql5.7'), /^3306\/tcp -> 0\.0\.0\.0:3306$/m);
});

test('the folders of the -v flags are on the host', async () => {
  if (!IS_GANGWAY) return;
  const listed = await machine.host(['ls', '/var/lampmysql5.7', '/var/lampmysql5.7/data']);
  assert.match(listed.stdout, /^conf\ndata\nlogs$/m);
  assert.match(listed.stdout, /^shop$/m);
});

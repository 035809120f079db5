import { Command } from 'commander';
import { GANGWAY_VERSION } from '../src/api/version.ts';
import { ApiClient, ApiFailure } from '../src/cli/api-client.ts';
import { formatCluster } from '../src/cli/cluster.ts';
import { formatPorts, publishedPorts } from '../src/cli/ports.ts';
import type { ClusterReport } from '../src/model/overlay.ts';

const program = new Command('gangway')
  .description("Looks into Gangway's network. For everything else there is docker --context gangway.")
  .version(GANGWAY_VERSION)
  .option('-H, --host <address>', "the daemon's socket", 'unix:///run/gangway/docker.sock')
  .addHelpText(
    'after',
    `
Examples:
  gangway ports               every published port of this host, and where it leads
  gangway ways web            the way of a packet to and from the container web
  gangway cluster             hosts and overlay networks of the cluster`,
  );

const client = (): ApiClient => new ApiClient(program.opts<{ host: string }>().host);

program
  .command('ports')
  .description('every published port and where it leads')
  .action(async () => {
    console.log(formatPorts(publishedPorts(await client().get('/containers/json'))));
  });

program
  .command('ways')
  .argument('<container>', 'name or id')
  .description('the way of a packet to and from a container')
  .action(async (container: string) => {
    const { text } = await client().get<{ text: string }>(`/gangway/ways/${encodeURIComponent(container)}`);
    console.log(text);
  });

const cluster = program
  .command('cluster')
  .description('hosts, overlay networks, and whether the store they share is reached')
  .action(async () => {
    console.log(formatCluster(await client().get<ClusterReport>('/gangway/cluster'), Date.now()));
  });

cluster
  .command('forget')
  .argument('<host>', 'name, id or its beginning')
  .description('gives up the containers and addresses of a host that does not come back')
  .action(async (host: string) => {
    await client().delete(`/gangway/cluster/hosts/${encodeURIComponent(host)}`);
    console.log(`${host} is forgotten: its addresses are free, its containers keep no network from being removed`);
  });

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof ApiFailure)) throw error;
  console.error(`gangway: ${error.message}`);
  process.exitCode = 1;
}

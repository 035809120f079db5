import { Command } from 'commander';
import { GANGWAY_VERSION } from '../src/api/version.ts';
import { ApiClient, ApiFailure } from '../src/cli/api-client.ts';
import { formatCluster } from '../src/cli/cluster.ts';
import { doctorStatus, formatDoctor } from '../src/cli/doctor.ts';
import { formatPorts, publishedPorts } from '../src/cli/ports.ts';
import { drawTopology, onlyNetworks } from '../src/cli/topology.ts';
import { parsePort, runUi } from '../src/cli/ui.ts';
import { type WatchOptions, watch } from '../src/cli/watch.ts';
import type { DoctorReport } from '../src/model/finding.ts';
import type { ClusterReport } from '../src/model/overlay.ts';
import type { Topology, TopologyCounters } from '../src/model/topology.ts';

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
  gangway watch               connections and dropped packets as they happen
  gangway topology lamp       the network lamp: its switch, veth pairs, containers
  gangway ui                  the picture live, in a browser of this machine
  gangway cluster             hosts and overlay networks of the cluster
  gangway doctor              what of this host would break containers, and what mends it`,
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

program
  .command('watch')
  .description('connections and dropped packets of containers as they happen, with names at both ends')
  .option(
    '--container <name...>',
    'of these containers; one that does not run yet is followed from its start',
  )
  .option('--network <name...>', 'of these networks')
  .option('--drops', 'dropped packets alone, with the rule and the cause')
  .option('--json', 'one JSON object a line, as GET /gangway/watch gives them')
  .addHelpText(
    'after',
    `
Examples:
  gangway watch --container web         who connects to web, and to whom web does
  gangway watch --network lamp --drops  what is dropped from and to the network lamp

A line is an event: a connection opens (with what was asked, where a published
port was translated), closes (with its bytes in both directions), or a packet is
dropped: by a rule of the engine's, told by its name, or by one of somebody else's
firewall, told by table and chain (of those, at most 100 new packets a second are
looked at).`,
  )
  .action(async (options: WatchOptions) => watch(client(), options));

const cluster = program
  .command('cluster')
  .description('hosts, overlay networks, and whether the store they share is reached')
  .action(async () => {
    console.log(formatCluster(await client().get<ClusterReport>('/gangway/cluster'), Date.now()));
  });

program
  .command('topology')
  .argument('[network...]', 'names or ids; all networks without one')
  .option('--json', 'the data instead of the picture')
  .description('the picture of the network: switches, veth pairs, containers, published ports, NAT')
  .addHelpText(
    'after',
    `
↓ and ↑ are what each container received and sent, ✗ what was dropped, since its interface was made.
DNAT leads from a port of the host to a container; SNAT is what the source becomes on the way out.`,
  )
  .action(async (networks: string[], { json }: { json?: true }) => {
    const topology = onlyNetworks(await client().get<Topology>('/gangway/topology'), networks);
    if (json) return console.log(JSON.stringify(topology, undefined, 2));
    const counters = await client().get<TopologyCounters>('/gangway/topology?counters=1');
    console.log(drawTopology(topology, counters));
  });

program
  .command('ui')
  .option('-p, --port <number>', 'on 127.0.0.1; 0 takes a free one', '0')
  .description('the same picture, live, as a page for the browser of this machine')
  .addHelpText(
    'after',
    `
Prints a link that opens once. The page shows and changes nothing; it is reached from this machine alone,
and by whoever has the link.`,
  )
  .action(({ port }: { port: string }) => runUi(program.opts<{ host: string }>().host, parsePort(port)));
cluster
  .command('forget')
  .argument('<host>', 'name, id or its beginning')
  .description('gives up the containers and addresses of a host that does not come back')
  .action(async (host: string) => {
    await client().delete(`/gangway/cluster/hosts/${encodeURIComponent(host)}`);
    console.log(
      `${host} is forgotten: its addresses are free, its containers keep no network from being removed`,
    );
  });

program
  .command('doctor')
  .description('what of this host would break containers, with what was seen and the command that mends it')
  .option('--json', 'the findings as JSON')
  .addHelpText('after', '\nExit status: 0 nothing found, 1 findings, 2 could not look.')
  .action(async ({ json }: { json?: true }) => {
    try {
      const report = await client().get<DoctorReport>('/gangway/doctor');
      console.log(json ? JSON.stringify(report, null, 2) : formatDoctor(report));
      process.exitCode = doctorStatus(report);
    } catch (error) {
      if (!(error instanceof ApiFailure)) throw error;
      console.error(`gangway: ${error.message}`);
      process.exitCode = 2;
    }
  });

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof ApiFailure)) throw error;
  console.error(`gangway: ${error.message}`);
  process.exitCode = 1;
}

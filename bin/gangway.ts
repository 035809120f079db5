import { Command, CommanderError } from 'commander';
import { GANGWAY_VERSION } from '../src/api/version.ts';
import { ApiClient, ApiFailure } from '../src/cli/api-client.ts';
import { formatCluster } from '../src/cli/cluster.ts';
import { chooseEngine, DEFAULT_HOST, type EngineAddress } from '../src/cli/docker-context.ts';
import { METADATA_ARGUMENT, pluginMetadata, withoutPluginName } from '../src/cli/docker-plugin.ts';
import { doctorStatus, formatDoctor } from '../src/cli/doctor.ts';
import { formatPorts, publishedPorts } from '../src/cli/ports.ts';
import { drawTopology, onlyNetworks } from '../src/cli/topology.ts';
import { parsePort, runUi } from '../src/cli/ui.ts';
import { type WatchOptions, watch } from '../src/cli/watch.ts';
import { exitStatusOf, formatAnswer, WHY_HELP, whyPath } from '../src/cli/why.ts';
import type { Answer } from '../src/explain/answer.ts';
import type { DoctorReport } from '../src/model/finding.ts';
import type { ClusterReport } from '../src/model/overlay.ts';
import type { Topology, TopologyCounters } from '../src/model/topology.ts';

const { args, plugin } = withoutPluginName(process.argv.slice(2));

const program = new Command('gangway')
  .description("Looks into Gangway's network. For everything else there is docker --context gangway.")
  .version(GANGWAY_VERSION)
  .option(
    '-H, --host <address>',
    `the daemon: unix:///path or tcp://host:port (default: DOCKER_HOST, the docker context in use, ${DEFAULT_HOST})`,
  )
  .option('-c, --context <name>', 'the docker context whose engine is asked')
  .option('--config <directory>', "docker's configuration: its contexts are there")
  .addHelpText(
    'after',
    `
Examples:
  gangway why web db:3306     can web reach db on port 3306, by which way, and why not
  gangway ports               every published port of this host, and where it leads
  gangway ways web            the way of a packet to and from the container web
  gangway watch               connections and dropped packets as they happen
  gangway topology lamp       the network lamp: its switch, veth pairs, containers
  gangway ui                  the picture live, in a browser of this machine
  gangway cluster             hosts and overlay networks of the cluster
  gangway doctor              what of this host would break containers, and what mends it

A link to this program in ~/.docker/cli-plugins/docker-gangway makes it \`docker gangway\`.`,
  );

function engine(): EngineAddress {
  const { host, context, config } = program.opts<{ host?: string; context?: string; config?: string }>();
  const env = config === undefined ? process.env : { ...process.env, DOCKER_CONFIG: config };
  return chooseEngine({ host, context, env, plugin });
}

const client = (): ApiClient => new ApiClient(engine());

program
  .command('why')
  .argument('<from>', 'container, service or alias, host, outside, internet, or an address')
  .argument('<to>', 'the same, with :PORT or :PORT/udp; without a port, whether packets arrive')
  .description('can FROM reach TO: by which way, and if not, why not and what to change')
  .option('--json', 'the answer as data')
  .option('--no-probe', 'send no packet, say only what follows from rules, routes and listeners')
  .addHelpText('after', WHY_HELP)
  .exitOverride()
  .action(async (from: string, to: string, options: { json?: boolean; probe: boolean }) => {
    const answer = await client().get<Answer>(whyPath(from, to, options.probe));
    console.log(options.json ? JSON.stringify(answer, undefined, 2) : formatAnswer(answer));
    process.exitCode = exitStatusOf(answer);
  });

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
firewall, told by table and chain (of those, at most 50 new packets a second are
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
  .action(({ port }: { port: string }) => runUi(client(), parsePort(port)));

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
      console.log(json ? JSON.stringify(report, null, 2) : formatDoctor(report, process.stdout.columns));
      process.exitCode = doctorStatus(report);
    } catch (error) {
      if (!(error instanceof ApiFailure)) throw error;
      console.error(`gangway: ${error.message}`);
      process.exitCode = 2;
    }
  });

if (args[0] === METADATA_ARGUMENT) {
  console.log(pluginMetadata());
} else {
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    // Only `why` has it thrown, whose exit status 1 is an answer.
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
    else if (error instanceof ApiFailure) {
      console.error(`gangway: ${error.message}`);
      process.exitCode = args.includes('why') ? exitStatusOf(error) : 1;
    } else throw error;
  }
}

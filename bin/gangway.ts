import { Command, CommanderError } from 'commander';
import { GANGWAY_VERSION } from '../src/api/version.ts';
import { ApiClient, ApiFailure } from '../src/cli/api-client.ts';
import { formatCluster } from '../src/cli/cluster.ts';
import { chooseEngine, DEFAULT_HOST } from '../src/cli/docker-context.ts';
import { METADATA_ARGUMENT, pluginMetadata, withoutPluginName } from '../src/cli/docker-plugin.ts';
import { doctorStatus, formatDoctor } from '../src/cli/doctor.ts';
import { formatPorts, publishedPorts } from '../src/cli/ports.ts';
import { exitStatusOf, formatAnswer, WHY_HELP, whyPath } from '../src/cli/why.ts';
import type { Answer } from '../src/explain/answer.ts';
import type { DoctorReport } from '../src/model/finding.ts';
import type { ClusterReport } from '../src/model/overlay.ts';

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
  gangway cluster             hosts and overlay networks of the cluster
  gangway doctor              what of this host would break containers, and what mends it

A link to this program in ~/.docker/cli-plugins/docker-gangway makes it \`docker gangway\`.`,
  );

function client(): ApiClient {
  const { host, context, config } = program.opts<{ host?: string; context?: string; config?: string }>();
  const env = config === undefined ? process.env : { ...process.env, DOCKER_CONFIG: config };
  return new ApiClient(chooseEngine({ host, context, env, plugin }));
}

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

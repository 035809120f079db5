import { Command, CommanderError, Option as Flag } from 'commander';
import { OPTIONS, type Option, type OptionGroup } from './option.ts';
import * as values from './values.ts';
import { ConfigError } from './values.ts';

/** Values by `daemon.json` key, in the shape the file would have them. */
export type RawConfig = Readonly<Record<string, unknown>>;

export type Invocation =
  | {
      readonly action: 'run' | 'validate';
      readonly flags: RawConfig;
      /** `--config-file`; absent: the default one, which need not exist. */
      readonly configFile?: string;
    }
  | { readonly action: 'print'; readonly text: string };

const GROUPS: readonly OptionGroup[] = ['Daemon', 'API', 'Default network', 'Containers', 'Images'];

const ITEM: Readonly<Record<string, (text: string) => string>> = {
  hosts: (text) => values.host(text, false) && text,
  labels: values.label,
  dns: (text) => {
    try {
      return values.ip(text);
    } catch {
      throw new ConfigError(`invalid string being converted to IP address: ${text}`);
    }
  },
  'host-gateway-ips': (text) => {
    try {
      return values.ip(text);
    } catch {
      throw new ConfigError(`ParseAddr(${JSON.stringify(text)}): unable to parse IP`);
    }
  },
  'dns-search': (text) => {
    if (text !== '.' && !/^[A-Za-z0-9_.-]{1,254}$/.test(text)) {
      throw new ConfigError(`${text} is not a valid domain`);
    }
    return text;
  },
  'registry-mirrors': values.mirror,
  'default-gateway': values.ip,
  ip: values.ip,
};

function parseValue(option: Option, text: string, before: unknown): unknown {
  const item = ITEM[option.key] ?? ((given: string) => given);
  switch (option.kind) {
    case 'bool':
      return values.goBool(text);
    case 'int':
      return values.goInt(text);
    case 'string':
      return item(text);
    case 'list':
      return [...((before as string[] | undefined) ?? []), item(text)];
    case 'map':
    case 'object': {
      const [key, value] = values.keyValue(text);
      return { ...(before as Record<string, string> | undefined), [key]: value };
    }
    case 'ulimits': {
      const limit = values.ulimit(text);
      return { ...(before as Record<string, unknown> | undefined), [limit.Name]: limit };
    }
    case 'driver-opts': {
      const [driver, option] = values.keyValue(text);
      const [key, value] = values.keyValue(option);
      const known = (before as Record<string, Record<string, string>> | undefined) ?? {};
      return { ...known, [driver]: { ...known[driver], [key]: value } };
    }
    case 'pools':
      return [...((before as unknown[] | undefined) ?? []), values.pool(text)];
  }
}

function flagName(option: Option): string {
  return `${option.short === undefined ? '' : `-${option.short}, `}--${option.flag}`;
}

function makeFlag(option: Option, into: Record<string, unknown>): Flag {
  const placeholder = option.state === 'honoured' ? (option.placeholder ?? option.kind) : option.kind;
  const value = option.kind === 'bool' ? ' [bool]' : ` <${placeholder}>`;
  const flag = new Flag(flagName(option) + value);
  if (option.state !== 'honoured') flag.hideHelp();
  flag.argParser((text: string) => {
    try {
      into[option.key] = parseValue(option, text, into[option.key]);
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      throw new ConfigError(
        `invalid argument ${JSON.stringify(text)} for "${flagName(option)}" flag: ${error.message}`,
      );
    }
    return text;
  });
  if (option.kind === 'bool') flag.preset('true');
  return flag;
}

const HINT = "See 'gangwayd --help'.";

function inDockersWords(error: CommanderError, extra: string | undefined): ConfigError {
  const quoted = /'([^']*)'/.exec(error.message)?.[1] ?? '';
  const guess = /\(Did you mean (.*)\?\)/.exec(error.message)?.[1];
  switch (error.code) {
    case 'commander.unknownOption': {
      const unknown = quoted.startsWith('--')
        ? `unknown flag: ${quoted.replace(/=.*/, '')}`
        : `unknown shorthand flag: '${quoted.slice(1, 2)}' in ${quoted}`;
      return new ConfigError(`${unknown}${guess === undefined ? '' : `\nDid you mean ${guess}?`}\n${HINT}`);
    }
    case 'commander.optionMissingArgument': {
      const flag = quoted.replace(/ .*/, '').replace(/,$/, '');
      return new ConfigError(`flag needs an argument: ${flag}\n${HINT}`);
    }
    case 'commander.excessArguments':
      return new ConfigError(`"gangwayd" accepts no arguments: ${extra ?? ''}\n${HINT}`);
    default:
      return new ConfigError(`${error.message}\n${HINT}`);
  }
}

/** @throws ConfigError in the words of dockerd's flag parser */
export function parseFlags(argv: readonly string[], version: string): Invocation {
  const flags: Record<string, unknown> = {};
  let configFile: string | undefined;
  const command = new Command('gangwayd')
    .exitOverride()
    .configureOutput({ writeErr: () => undefined, writeOut: () => undefined })
    .helpOption(false)
    .allowExcessArguments(false)
    .addOption(new Flag('--validate'))
    .addOption(new Flag('-h, --help'))
    .addOption(new Flag('-v, --version'));
  for (const option of OPTIONS) if (option.flag !== undefined) command.addOption(makeFlag(option, flags));
  try {
    command.parse([...argv], { from: 'user' });
  } catch (error) {
    if (error instanceof ConfigError) throw new ConfigError(`${error.message}\n${HINT}`);
    if (error instanceof CommanderError) throw inDockersWords(error, command.args[0]);
    throw error;
  }
  const given = command.opts<{ validate?: true; help?: true; version?: true }>();
  if (given.help) return { action: 'print', text: helpText() };
  if (given.version) return { action: 'print', text: `Gangway version ${version}` };
  if (typeof flags['config-file'] === 'string') configFile = flags['config-file'];
  delete flags['config-file'];
  return {
    action: given.validate ? 'validate' : 'run',
    flags,
    ...(configFile === undefined ? {} : { configFile }),
  };
}

const EXAMPLES = `Examples:
  gangwayd                                        docker context "gangway" talks to it
  gangwayd -H unix:///var/run/docker.sock         in Docker's own place
  gangwayd --bip 10.10.10.10/24 --dns 10.0.0.53   another default network
  gangwayd --data-root /srv/b --exec-root /run/b -p /run/b/pid -H unix:///run/b/docker.sock
                                                  a second daemon, in its own network namespace
  gangwayd --validate --config-file new.json      is this file right?`;

/** Grouped, at most 100 columns. */
export function helpText(): string {
  const lines = [
    'Usage: gangwayd [flags]',
    '',
    'The Gangway daemon: runs containers and their networks for every client of the Docker Engine API.',
    'Every flag is a key of the configuration file too (--dns-opt: "dns-opts"), but not both at once.',
  ];
  for (const group of GROUPS) {
    lines.push('', `${group}:`);
    for (const option of OPTIONS) {
      if (option.state !== 'honoured' || option.group !== group || option.flag === undefined) continue;
      const short = option.short === undefined ? '    ' : `-${option.short}, `;
      const value = option.placeholder === undefined ? '' : ` ${option.placeholder}`;
      const left = `  ${short}--${option.flag}${value}`;
      lines.push(
        left.length > 39 ? `${left}\n${' '.repeat(40)}${option.help}` : left.padEnd(40) + option.help,
      );
    }
  }
  lines.push('', 'Other:');
  lines.push('      --validate                        check flags and configuration file, then exit');
  lines.push('  -v, --version                         print the version and exit');
  lines.push('  -h, --help                            this page', '', EXAMPLES);
  return lines.join('\n');
}

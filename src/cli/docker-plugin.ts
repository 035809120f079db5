import { GANGWAY_VERSION } from '../api/version.ts';

/** docker asks a plugin with this argument what it is (docker/cli cli-plugins/metadata). */
export const METADATA_ARGUMENT = 'docker-cli-plugin-metadata';

export const pluginMetadata = (): string =>
  JSON.stringify({
    SchemaVersion: '0.1.0',
    Vendor: 'Gangway',
    Version: GANGWAY_VERSION,
    ShortDescription: 'Why can A reach B, and why not',
  });

/**
 * `docker -H X gangway why a b` starts the plugin with all of docker's own arguments, the plugin's name among them.
 * @param args what comes after the program
 */
export function withoutPluginName(args: readonly string[]): {
  readonly args: readonly string[];
  readonly plugin: boolean;
} {
  let at = 0;
  while (at < args.length && args[at]?.startsWith('-')) {
    // Options of docker with a value of their own word.
    at += ['-H', '--host', '-c', '--context', '--config', '-l', '--log-level'].includes(args[at] ?? '')
      ? 2
      : 1;
  }
  if (args[at] !== 'gangway') return { args, plugin: false };
  return { args: [...args.slice(0, at), ...args.slice(at + 1)], plugin: true };
}

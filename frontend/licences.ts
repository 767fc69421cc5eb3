import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Plugin } from 'vite';

/** The directory of the package that a module is of; null for our own and for virtual modules. */
function packageOf(module: string): string | null {
  const path = module.replace(/^\0/, '').split('?')[0]!;
  const inside = path.lastIndexOf('/node_modules/');
  if (inside < 0) return null;
  for (let directory = dirname(path); directory.length > inside; directory = dirname(directory)) {
    const manifest = join(directory, 'package.json');
    // Packages have manifests inside that say no more than the type of their modules.
    if (existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).version)
      return directory;
  }
  throw new Error(`${module} is of no package that has a version`);
}

function notice(directory: string): string {
  const { name, version, license } = JSON.parse(
    readFileSync(join(directory, 'package.json'), 'utf8'),
  );
  const file = readdirSync(directory).find((entry) => /^licen[cs]e(\.|$)/i.test(entry));
  if (!file) throw new Error(`${directory} has no licence file, so it cannot be given on`);
  return `${name} ${version} (${license})\n\n${readFileSync(join(directory, file), 'utf8').trim()}`;
}

function collected(packages: ReadonlySet<string>): string {
  return (
    'This bundle holds code of these packages.\n\n' +
    [...packages]
      .map(notice)
      .sort()
      .join(`\n\n${'-'.repeat(80)}\n\n`) +
    '\n'
  );
}

/**
 * Plugins that keep the licences of all packages whose code goes into a bundle, which these
 * licences demand: of the main build, and of the workers' builds inside it.
 *
 * They become a file LICENSES.txt or, with `inside`, a comment at the head of the only script,
 * so that pages that hold the script hold them as well.
 */
export function licences({ inside = false } = {}): { main: Plugin; worker: Plugin } {
  const packages = new Set<string>();
  const collect = (bundle: Record<string, { type: string; moduleIds?: string[] }>): void => {
    for (const output of Object.values(bundle))
      for (const module of output.moduleIds ?? []) {
        const directory = packageOf(module);
        if (directory) packages.add(directory);
      }
  };
  return {
    worker: {
      name: 'licences-of-workers',
      generateBundle(_, bundle) {
        collect(bundle);
      },
    },
    main: {
      name: 'licences',
      generateBundle(_, bundle) {
        collect(bundle);
        const source = collected(packages);
        if (!inside) {
          this.emitFile({ type: 'asset', fileName: 'LICENSES.txt', source });
          return;
        }
        for (const output of Object.values(bundle))
          if (output.type === 'chunk')
            output.code = `/*!\n${source.replaceAll('*/', '* /')}*/\n${output.code}`;
      },
    },
  };
}

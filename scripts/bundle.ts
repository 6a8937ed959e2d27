import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type OutputChunk, rolldown } from 'rolldown'
import { loadFacilitatorPresets } from '../src/config/facilitator-presets.ts'
import { readYaml, shippedFile } from '../src/networks/data-file.ts'
import { loadNetworkRegistry } from '../src/networks/registry.ts'
import { licencesOf } from './licences.ts'

const ROOT = join(import.meta.dirname, '..')

/** What a process or a thread starts with, or a program imports. */
const ENTRIES = {
  main: 'src/main.ts',
  index: 'src/index.ts',
  'sqlite-worker': 'src/ledger/sqlite-worker.ts',
  'worker-process': 'src/cli/workers/worker-process.ts',
}

/**
 * Writes all that farebox needs to run, but for its package.json, which is looked for one directory
 * above.
 *
 * A start is mostly the looking for a thousand modules and the reading of them one by one. So the
 * sources and the libraries are put together in a few files: those that a start needs, and others
 * for what is loaded where it is needed. Nothing is renamed or squeezed, so that stack traces say
 * what they say in the sources.
 *
 * @throws Error for whatever the bundler warns of, and DataFileError for a broken data file.
 */
export async function bundle(folder: string): Promise<readonly OutputChunk[]> {
  mkdirSync(folder, { recursive: true })
  writeDataFiles(folder)
  await using build = await rolldown({
    cwd: ROOT,
    input: ENTRIES,
    platform: 'node',
    // pg asks for it, and does without.
    external: ['pg-native'],
    onLog(_level, log) {
      throw new Error(log.message)
    },
  })
  const { output } = await build.write({
    dir: folder,
    format: 'esm',
    // In one directory, where the sources find their workers and data files beside themselves.
    entryFileNames: '[name].js',
    chunkFileNames: '[name]-[hash].js',
    comments: { legal: true, annotation: false, jsdoc: false },
    sourcemap: true,
    sourcemapExcludeSources: true,
  })
  const chunks = output.filter(file => file.type === 'chunk')
  writeFileSync(join(folder, 'LICENSES.txt'), licencesOf(chunks.flatMap(one => one.moduleIds)))
  return chunks
}

/** As JSON, which is read a hundred times as fast as YAML. */
function writeDataFiles(folder: string): void {
  loadNetworkRegistry()
  loadFacilitatorPresets()
  for (const name of ['networks', 'facilitators'] as const) {
    writeFileSync(join(folder, `${name}.json`), JSON.stringify(readYaml(shippedFile(name))))
  }
}

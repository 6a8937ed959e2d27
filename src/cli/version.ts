import type { Command } from 'commander'
import { fareboxVersion } from '../version.ts'
import { createOutput } from './output.ts'
import type { Surroundings } from './surroundings.ts'

export function registerVersion(program: Command, surroundings: Surroundings): void {
  program
    .command('version')
    .description('print the versions of farebox and of Node.js')
    .option('--json', 'print JSON, as when piped')
    .action((options: { json?: true }) => {
      const versions = { farebox: fareboxVersion(), node: process.versions.node }
      createOutput({ json: options.json === true }, surroundings).result(
        versions,
        () => `farebox ${versions.farebox}, Node.js ${versions.node}`,
      )
    })
}

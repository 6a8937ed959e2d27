import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { createOutput } from './output.ts'
import type { Surroundings } from './surroundings.ts'

/** The version in package.json, which lies two directories above both `src/cli` and `dist/cli`. */
export function fareboxVersion(): string {
  const file = new URL('../../package.json', import.meta.url)
  const { version }: { version: string } = JSON.parse(readFileSync(file, 'utf8'))
  return version
}

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

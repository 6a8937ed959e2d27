import type { Command } from 'commander'
import { EXIT_OK, type ExitCode } from './exit-code.ts'
import { createOutput, type Output, styled, table } from './output.ts'
import { serveUntilStopped } from './serve-until-stopped.ts'
import { reportServiceFailure } from './service-failure.ts'
import { type Addresses, listening } from './start.ts'
import type { Surroundings } from './surroundings.ts'

export function registerFacilitator(program: Command, surroundings: Surroundings): void {
  program
    .command('facilitator')
    .description('run a facilitator of your own: verify and settle payments for others')
    .option('-c, --config <file>', 'configuration file', 'facilitator.yaml')
    .option('--json', 'print nothing but JSON logs, as when piped')
    .addHelpText(
      'after',
      '\nTo list the facilitators that a gateway can name: farebox facilitators.' +
        '\nSignals: SIGTERM and SIGINT finish what runs and stop, a second SIGINT stops at once,' +
        '\nSIGHUP reads the keys again.' +
        '\nExit codes: 0 stopped as asked, 1 failed, 2 the configuration has problems.\n',
    )
    .action(async (options: { config: string; json?: true }) => {
      const output = createOutput({ json: options.json === true }, surroundings)
      surroundings.exitCode = await serve(options.config, { output, env: surroundings.env })
    })
}

interface Place {
  readonly output: Output
  /** Where the configuration's ${VARIABLES} are looked up. */
  readonly env: NodeJS.ProcessEnv
}

async function serve(configFile: string, { output, env }: Place): Promise<ExitCode> {
  const open = async () => {
    const { startFacilitatorService } = await import('../facilitator-service.ts')
    const service = await startFacilitatorService({ configFile, env, log: output.stdout })
    const reload = async () => {
      const reloaded = await service.reload()
      output.note(
        reloaded.kind === 'reloaded'
          ? `The keys of ${configFile} were read again and are in force.`
          : `${configFile} was not taken, what was in force stays:\n${reloaded.problems.join('\n')}`,
      )
    }
    return { ...service, reload }
  }
  const served = await serveUntilStopped(open, {
    output,
    onStarted: async service => {
      if (output.terminal) greet(service, output)
      else output.stdout.write(`${JSON.stringify(listening(service))}\n`)
    },
  })
  return served.kind === 'stopped' ? EXIT_OK : reportServiceFailure(served.error, output)
}

function greet({ url, adminUrl }: Addresses, output: Output): void {
  output.note(
    table([
      ['Facilitator on', styled('bold', url, output.stderr)],
      ['Admin', adminUrl ?? 'off'],
    ]),
  )
}
